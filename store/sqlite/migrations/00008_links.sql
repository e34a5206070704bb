-- How accounts were tied to subscribers, and which ties still wait for their proof (proved is 0): until expires, for the code whose SHA-256
-- is code. tries counts the different wrong codes, of which wrong is the last. phase is as an account's.

-- +goose Up

CREATE TABLE links (
    tenant  TEXT    NOT NULL,
    network TEXT    NOT NULL CHECK (network <> ''),
    account TEXT    NOT NULL CHECK (account <> ''),
    msisdn  INTEGER NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    proof   TEXT    NOT NULL,
    by      TEXT    NOT NULL,
    code    BLOB    NOT NULL,
    wrong   BLOB    NOT NULL DEFAULT x'',
    tries   INTEGER NOT NULL DEFAULT 0,
    asked   INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    proved  INTEGER NOT NULL,
    phase   INTEGER NOT NULL,
    PRIMARY KEY (tenant, network, account, msisdn)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_msisdn ON links (msisdn);
CREATE INDEX links_waiting ON links (network, expires) WHERE proved = 0;
