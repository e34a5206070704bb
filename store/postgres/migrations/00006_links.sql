-- How accounts were tied to subscribers, and which ties still wait for their proof (proved is 0): until expires, for the code whose SHA-256
-- is code. tries counts the different wrong codes, of which wrong is the last. phase is as an account's.

-- +goose Up

CREATE TABLE links (
    tenant  text   NOT NULL,
    network text   NOT NULL CHECK (network <> ''),
    account text   NOT NULL CHECK (account <> ''),
    msisdn  bigint NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    proof   text   NOT NULL,
    by      text   NOT NULL,
    code    bytea  NOT NULL,
    wrong   bytea  NOT NULL DEFAULT '',
    tries   int    NOT NULL DEFAULT 0,
    asked   bigint NOT NULL,
    expires bigint NOT NULL,
    proved  bigint NOT NULL,
    phase   bigint NOT NULL DEFAULT floor(random() * 2147483648)::bigint,
    PRIMARY KEY (tenant, network, account, msisdn)
);
CREATE INDEX links_msisdn ON links (msisdn);
CREATE INDEX links_waiting ON links (network, expires) WHERE proved = 0;
