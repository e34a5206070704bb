-- An event lies at its call's others, in one tree: its number alone was a second one to write. coming counts on over restarts
-- and only parts events of one microsecond. Forget and Erase see to the events of the calls that they forget: a foreign key
-- looked a call up for each event written.

-- +goose Up

CREATE TABLE events (
    call_id    BLOB    NOT NULL CHECK (length(call_id) = 16),
    at         INTEGER NOT NULL,
    coming     INTEGER NOT NULL,
    tenant     TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    link       TEXT    NOT NULL,
    message_id TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    wire       BLOB,
    PRIMARY KEY (call_id, at, coming)
) STRICT, WITHOUT ROWID;
INSERT INTO events (call_id, at, coming, tenant, kind, reason, link, message_id, text, wire)
    SELECT call_id, at, seq, tenant, kind, reason, link, message_id, text, wire FROM call_events ORDER BY call_id, at, seq;
DROP TABLE call_events;
ALTER TABLE events RENAME TO call_events;
