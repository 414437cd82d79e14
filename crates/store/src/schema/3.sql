-- What other rooms keep in their own words: users, tokens and links of the web pages, values of rules set there.
CREATE TABLE kept(
    space TEXT NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY(space, key)
) STRICT, WITHOUT ROWID;
-- Acts are looked for by name: changes of rules among all there is.
CREATE INDEX audit_act ON audit(act, seq);
