-- Which domains a block concerns: that of the account or sender that is blocked, and those of the accounts that its
-- evidence names. By these the people of a domain find theirs.
CREATE TABLE concerns(
    domain TEXT NOT NULL,
    block  INTEGER NOT NULL REFERENCES blocks(id) ON DELETE CASCADE,
    PRIMARY KEY(domain, block)
) STRICT, WITHOUT ROWID;
CREATE INDEX concerns_block ON concerns(block);

-- A domain is what follows the last @; of a sender that stands for a domain's subdomains, too, what follows its dot.
CREATE TEMP VIEW named AS
    SELECT id AS block, CASE kind WHEN 'sending' THEN replace(name, '@.', '@') ELSE trim(name) END AS name
        FROM main.blocks WHERE instr(name, '@') > 0
    UNION ALL
    SELECT b.id, trim(json_extract(each.value, '$.account')) FROM main.blocks b
        JOIN main.decisions d ON d.code = b.code AND d.subject = b.subject
        JOIN main.evidence e ON e.decision = d.id
        JOIN json_each(e.events) each
        WHERE instr(json_extract(each.value, '$.account'), '@') > 0;
INSERT OR IGNORE INTO concerns(domain, block)
    SELECT lower(rtrim(substr(name, length(rtrim(name, replace(name, '@', ''))) + 1), '.')) AS found, block FROM named
        WHERE found <> '';
DROP VIEW named;

-- To count what lies in a wide network, too.
DROP INDEX blocks_list;
CREATE INDEX blocks_list ON blocks(kind, ended, until, rule, diagnosis, net_first, net_last);
-- All that other firewalls fetch, in one place.
CREATE INDEX blocks_fed ON blocks(subject, until, effect, rule, code) WHERE ended IS NULL AND kind = 'network';
