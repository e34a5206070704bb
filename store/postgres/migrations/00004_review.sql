-- What became of the question whether a text may be shown: '' nothing was against it, or approved, pending, rejected. reviewed is when a
-- person decided, 0 if none did. Few texts are asked about, so what lists them is small. queued is at of these and 0 of all others: at
-- itself changes with every text, and with an indexed column each change of a text would write into every index.

-- +goose Up

ALTER TABLE signatures ADD COLUMN review text NOT NULL DEFAULT '', ADD COLUMN reason bytea NOT NULL DEFAULT '',
    ADD COLUMN reviewed bigint NOT NULL DEFAULT 0, ADD COLUMN queued bigint NOT NULL DEFAULT 0;
CREATE INDEX signatures_review ON signatures (tenant, review, queued, network COLLATE "C", account COLLATE "C") WHERE review <> '';
