-- The one schema of every Skerry store: a device's journal, its telemetry, a hub's store (DESIGN 5).
-- Version: `PRAGMA user_version`; who may use it: `PRAGMA application_id`; both are set by protocol/aio/sqlite.py. How to change it: CONTRIBUTING.md, "changing the schema".
--
-- What is LOCAL never leaves this machine. What SYNCS crosses the link to the parent, as its class and credit allow.

-- LOCAL. This file's own papers: node, life (a counter of openings), inode, their sum, clean, boot; a hub's: arrived (when which
-- entry had arrived, for retention).
CREATE TABLE IF NOT EXISTS meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- SYNCS as heads (in Hello and Status). One row for each of our own streams.
-- `last` and `hash` are written only when rows go: the head is the greater of this row and of the newest row on the disk,
-- so that an append touches one page less. `former` is a messages.FormerEpoch as JSON, or NULL.
CREATE TABLE IF NOT EXISTS stream (
    name   TEXT PRIMARY KEY,
    epoch  TEXT NOT NULL,
    last   INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    acked  INTEGER NOT NULL,
    former BLOB,
    sum    INTEGER NOT NULL
) WITHOUT ROWID;

-- SYNCS: our own rows, one table for each stream (`own_audit`, `own_state`, ...), made by protocol/aio/life.py:
--     CREATE TABLE own_STREAM (seq INTEGER PRIMARY KEY, raw BLOB NOT NULL, hash BLOB NOT NULL)
-- One table for each, because SQLite appends fastest at the right edge of a tree, and a stream only grows there.

-- LOCAL. What a core knows, by space and key; values are JSON. Spaces: see the core that owns them. `sum` is the CRC-32 of
-- what stands before it, here and in `stream`: SQLite does not notice a bit that fell over inside a value.
CREATE TABLE IF NOT EXISTS state (
    space TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    sum   INTEGER NOT NULL,
    PRIMARY KEY (space, key)
) WITHOUT ROWID;

-- LOCAL (a hub's). A short number for where entries came from. `at`: the node's address below this hub, '' for a child.
CREATE TABLE IF NOT EXISTS channel (
    id     INTEGER PRIMARY KEY,
    node   TEXT NOT NULL,
    epoch  TEXT NOT NULL,
    stream TEXT NOT NULL,
    at     TEXT NOT NULL,
    UNIQUE (node, epoch, stream)
);

-- LOCAL (a hub's). How much of each channel is kept, for retention (protocol/aio/upkeep/retention.py). Channel 0 is none: its
-- `rows` is the id up to which entries are counted. Without a row they are counted anew.
CREATE TABLE IF NOT EXISTS tally (
    channel INTEGER PRIMARY KEY,
    rows    INTEGER NOT NULL,
    bytes   INTEGER NOT NULL
);

-- LOCAL (a hub's; what goes further up is wrapped into its own `relay_CLASS` streams). The children's entries in the order they
-- arrived; `id` never comes again. `raw` is what the child stored, byte for byte: [seq, time_ms, kind, key, body].
CREATE TABLE IF NOT EXISTS entry (
    id      INTEGER PRIMARY KEY,
    channel INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    time_ms INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    key     TEXT NOT NULL,
    raw     BLOB NOT NULL,
    hash    BLOB NOT NULL
);

-- A seq is stored once (INVARIANTS A4, A8), and one child's entries are found. It costs 12 % of an insert (decision 0003).
CREATE UNIQUE INDEX IF NOT EXISTS entry_channel_seq ON entry (channel, seq);

-- LOCAL. What could not be applied (a fork, a poison entry), for people to look at; never applied (INVARIANTS A7, A21).
CREATE TABLE IF NOT EXISTS aside (
    id     INTEGER PRIMARY KEY,
    node   TEXT NOT NULL,
    epoch  TEXT NOT NULL,
    stream TEXT NOT NULL,
    seq    INTEGER NOT NULL,
    raw    BLOB NOT NULL,
    reason TEXT NOT NULL
);
