-- What subscribers, and operators for a tenant, say of what is shown, as JSON. Its texts are accounts of the network policy. account is the
-- one that alone is shown, as NETWORK/ACCOUNT, or ''.

-- +goose Up

CREATE TABLE policies (
    msisdn   INTEGER PRIMARY KEY REFERENCES subscribers ON DELETE CASCADE,
    rev      INTEGER NOT NULL,
    account  TEXT    NOT NULL,
    document TEXT    NOT NULL
) STRICT;

CREATE TABLE tenant_policies (
    tenant   TEXT    PRIMARY KEY CHECK (tenant <> ''),
    rev      INTEGER NOT NULL,
    document TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
