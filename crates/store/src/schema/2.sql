-- What an account usually sends, in the engine's own words.
CREATE TABLE habits(
    account TEXT PRIMARY KEY,
    habit   TEXT NOT NULL,
    last    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX habits_last ON habits(last);
