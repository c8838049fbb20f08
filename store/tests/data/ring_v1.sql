-- The tables of the ring's version 1, as the release made them; never to be changed.
CREATE TABLE block (
    id INTEGER PRIMARY KEY, state INTEGER NOT NULL, class INTEGER NOT NULL, kind INTEGER NOT NULL,
    boot BLOB NOT NULL, run INTEGER NOT NULL, sequence INTEGER NOT NULL, schema BLOB NOT NULL,
    records INTEGER NOT NULL, len INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL,
    sealed_boot_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX block_by_state ON block (state, class, id);
CREATE TABLE body (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
CREATE TABLE schema (hash BLOB PRIMARY KEY, bytes BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE books (
    class INTEGER NOT NULL, entry TEXT NOT NULL, blocks INTEGER NOT NULL, records INTEGER NOT NULL,
    PRIMARY KEY (class, entry)
) STRICT, WITHOUT ROWID;
PRAGMA application_id = 0x45435552;
PRAGMA user_version = 1;
