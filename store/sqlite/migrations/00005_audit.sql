-- What was asked to be changed, by whom. status is 0 until it is known how that ended.

-- +goose Up

CREATE TABLE audit (
    tenant  TEXT    NOT NULL CHECK (tenant <> ''),
    id      TEXT    NOT NULL CHECK (id <> ''),
    at      INTEGER NOT NULL,
    key_id  TEXT    NOT NULL,
    address TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    msisdn  INTEGER NOT NULL,
    object  TEXT    NOT NULL,
    status  INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_msisdn ON audit (tenant, msisdn) WHERE msisdn <> 0;
