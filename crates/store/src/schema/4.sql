-- Which kinds, outcomes and nodes of events a run holds together, so that a question can pass over it. NULL: not known.
ALTER TABLE segments ADD COLUMN holds BLOB;

-- What blocks are listed by, without a look at their receipts: what is blocked (network, account or sending), the name of
-- the account or sender, what lies behind it, and how it is felt.
ALTER TABLE blocks ADD COLUMN kind TEXT;
ALTER TABLE blocks ADD COLUMN name TEXT;
ALTER TABLE blocks ADD COLUMN diagnosis TEXT;
ALTER TABLE blocks ADD COLUMN effect TEXT;
UPDATE blocks SET
    kind = CASE substr(subject, 1, 1) WHEN x'6e' THEN 'network' WHEN x'73' THEN 'sending' ELSE 'account' END,
    name = CASE substr(subject, 1, 1)
        WHEN x'6e' THEN NULL
        ELSE lower(CAST(substr(subject, CASE substr(subject, 1, 1) WHEN x'34' THEN 7 WHEN x'36' THEN 19 ELSE 2 END) AS TEXT))
        END,
    diagnosis = (SELECT d.diagnosis FROM decisions d WHERE d.id = decision),
    effect = (SELECT d.effect FROM decisions d WHERE d.id = decision);

-- To count what passes a filter.
CREATE INDEX blocks_list ON blocks(kind, ended, until, rule, diagnosis);
CREATE INDEX blocks_name ON blocks(name) WHERE name IS NOT NULL;
-- To walk in an order: those that have not ended, and all.
CREATE INDEX blocks_standing_start ON blocks(start) WHERE ended IS NULL;
CREATE INDEX blocks_standing_until ON blocks(coalesce(until, 9223372036854775807)) WHERE ended IS NULL;
CREATE INDEX blocks_standing_rule ON blocks(rule) WHERE ended IS NULL;
CREATE INDEX blocks_subject ON blocks(subject);
CREATE INDEX blocks_until ON blocks(coalesce(until, 9223372036854775807));
CREATE INDEX blocks_rule ON blocks(rule);

-- What has not been seen for long is forgotten every second.
CREATE INDEX familiar_last ON familiar(last);
