-- What became of the question whether a text may be shown: '' nothing was against it, or approved, pending, rejected. reviewed is when a
-- person decided, 0 if none did. Few texts are asked about, so what lists them is small.

-- +goose Up

ALTER TABLE accounts ADD COLUMN review TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN reviewed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX accounts_review ON accounts (tenant, review, at, network, account) WHERE review <> '';
