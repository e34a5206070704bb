-- What was asked to be changed, by whom. status is 0 until it is known how that ended.

-- +goose Up

CREATE TABLE audit (
    tenant  text     NOT NULL CHECK (tenant <> ''),
    id      text     COLLATE "C" NOT NULL CHECK (id <> ''),
    at      bigint   NOT NULL,
    key_id  text     NOT NULL,
    address text     NOT NULL,
    action  text     NOT NULL,
    msisdn  bigint   NOT NULL,
    object  bytea    NOT NULL,
    status  smallint NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX audit_msisdn ON audit (tenant, msisdn) WHERE msisdn <> 0;
