-- Where in a pass over a network each account is polled, drawn at random; and which node does which part of that.

-- +goose Up

ALTER TABLE accounts ADD COLUMN phase INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET phase = random() & 2147483647;
CREATE INDEX accounts_phase ON accounts (network, phase) WHERE network <> 'manual';

CREATE TABLE shares (
    name  TEXT PRIMARY KEY CHECK (name <> ''),
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;
