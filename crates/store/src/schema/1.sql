CREATE TABLE meta(
    key   TEXT PRIMARY KEY,
    value ANY
) STRICT, WITHOUT ROWID;

-- Words that rows name by number: event kinds, services, outcomes, nodes.
CREATE TABLE names(
    id    INTEGER PRIMARY KEY,
    space TEXT NOT NULL,
    name  TEXT NOT NULL,
    UNIQUE(space, name)
) STRICT;

-- Runs of events with consecutive sequence numbers. Each has a part of the indexes of its own, so that writing touches
-- few pages however long the log is, and the oldest can go without looking at the rest.
CREATE TABLE segments(
    segment   INTEGER PRIMARY KEY,
    seq_first INTEGER NOT NULL,
    seq_last  INTEGER NOT NULL,
    time_min  INTEGER NOT NULL,
    time_max  INTEGER NOT NULL,
    committed INTEGER NOT NULL
) STRICT;

CREATE TABLE events(
    seq         INTEGER PRIMARY KEY,
    segment     INTEGER NOT NULL,
    time        INTEGER NOT NULL,
    client      BLOB NOT NULL,
    kind        INTEGER NOT NULL,
    service     INTEGER NOT NULL,
    outcome     INTEGER NOT NULL,
    node        INTEGER NOT NULL,
    count       INTEGER,
    witness     TEXT,
    account     TEXT COLLATE NOCASE,
    digest      TEXT,
    session     TEXT,
    helo        TEXT,
    return_path TEXT,
    recipient   TEXT,
    program     TEXT,
    method      TEXT,
    reason      TEXT
) STRICT;
CREATE INDEX events_client ON events(segment, client);
CREATE INDEX events_account ON events(segment, account) WHERE account IS NOT NULL;
CREATE INDEX events_kind ON events(segment, kind);

-- Receipts, append-only until retention takes them together with their block.
CREATE TABLE decisions(
    id         INTEGER PRIMARY KEY,
    seq        INTEGER NOT NULL,
    code       INTEGER NOT NULL,
    time       INTEGER NOT NULL,
    action     TEXT NOT NULL,
    subject    BLOB NOT NULL,
    rule       TEXT,
    manual     TEXT,
    reason     TEXT NOT NULL,
    score      INTEGER NOT NULL,
    threshold  INTEGER NOT NULL,
    until      INTEGER,
    effect     TEXT NOT NULL,
    diagnosis  TEXT NOT NULL,
    offence    INTEGER NOT NULL,
    spares     INTEGER NOT NULL,
    in_kernel  INTEGER NOT NULL,
    holes      TEXT
) STRICT;
CREATE INDEX decisions_code ON decisions(code);
CREATE INDEX decisions_subject ON decisions(subject);
CREATE INDEX decisions_seq ON decisions(seq);

CREATE TABLE evidence(
    decision INTEGER PRIMARY KEY REFERENCES decisions(id) ON DELETE CASCADE,
    events   TEXT NOT NULL
) STRICT;

-- What the decisions come to: one row per block or guard.
CREATE TABLE blocks(
    id        INTEGER PRIMARY KEY,
    code      INTEGER NOT NULL,
    subject   BLOB NOT NULL,
    action    TEXT NOT NULL,
    rule      TEXT NOT NULL,
    start     INTEGER NOT NULL,
    until     INTEGER,
    decision  INTEGER NOT NULL REFERENCES decisions(id),
    net_first BLOB,
    net_last  BLOB,
    ended     INTEGER,
    how       TEXT,
    ended_by  TEXT,
    UNIQUE(code, subject)
) STRICT;
CREATE INDEX blocks_decision ON blocks(decision);
CREATE INDEX blocks_start ON blocks(start);
CREATE INDEX blocks_net ON blocks(net_first) WHERE net_first IS NOT NULL;
CREATE INDEX blocks_standing ON blocks(subject) WHERE ended IS NULL;
CREATE INDEX blocks_over ON blocks(coalesce(ended, until));

CREATE TABLE offences(
    subject BLOB PRIMARY KEY,
    count   INTEGER NOT NULL,
    last    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE familiar(
    account   TEXT NOT NULL,
    net       BLOB NOT NULL,
    first     INTEGER NOT NULL,
    last      INTEGER NOT NULL,
    successes INTEGER NOT NULL,
    PRIMARY KEY(account, net)
) STRICT, WITHOUT ROWID;

CREATE TABLE never(
    net    BLOB PRIMARY KEY,
    reason TEXT NOT NULL,
    by     TEXT NOT NULL,
    added  INTEGER NOT NULL,
    until  INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE cursors(
    source TEXT PRIMARY KEY,
    cursor TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit(
    seq     INTEGER PRIMARY KEY,
    time    INTEGER NOT NULL,
    actor   TEXT NOT NULL,
    act     TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail  TEXT NOT NULL,
    hash    BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_not_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER audit_not_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
