-- Who wants no texts: of calls to callee, or of any where callee is 0.

-- +goose Up

CREATE TABLE opt_outs (
    caller bigint NOT NULL CHECK (caller > 0),
    callee bigint NOT NULL,
    tenant text   NOT NULL CHECK (tenant <> ''),
    at     bigint NOT NULL,
    origin bytea  NOT NULL,
    PRIMARY KEY (caller, callee)
);
