-- Where in a pass over a network each account is polled, drawn at random; and which node does which part of that.

-- +goose Up

ALTER TABLE accounts ADD COLUMN phase bigint NOT NULL DEFAULT floor(random() * 2147483648)::bigint;
CREATE INDEX accounts_phase ON accounts (network, phase) WHERE network <> 'manual';

CREATE TABLE shares (
    name  text  PRIMARY KEY CHECK (name <> ''),
    state bytea NOT NULL
) WITH (fillfactor = 50);
