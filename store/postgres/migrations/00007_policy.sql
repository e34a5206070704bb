-- What subscribers, and operators for a tenant, say of what is shown, as JSON. Its texts are accounts of the network policy. account is the
-- one that alone is shown, as NETWORK/ACCOUNT, or ''.

-- +goose Up

CREATE TABLE policies (
    msisdn   bigint PRIMARY KEY REFERENCES subscribers ON DELETE CASCADE,
    rev      bigint NOT NULL,
    account  text   NOT NULL,
    document bytea  NOT NULL
);

CREATE TABLE tenant_policies (
    tenant   text   PRIMARY KEY CHECK (tenant <> ''),
    rev      bigint NOT NULL,
    document bytea  NOT NULL
);
