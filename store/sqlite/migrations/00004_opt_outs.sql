-- Who wants no texts: of calls to callee, or of any where callee is 0.

-- +goose Up

CREATE TABLE opt_outs (
    caller INTEGER NOT NULL CHECK (caller > 0),
    callee INTEGER NOT NULL,
    tenant TEXT    NOT NULL CHECK (tenant <> ''),
    at     INTEGER NOT NULL,
    origin TEXT    NOT NULL,
    PRIMARY KEY (caller, callee)
) STRICT, WITHOUT ROWID;
