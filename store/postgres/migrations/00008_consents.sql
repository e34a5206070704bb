-- The proof that a number's holder wants their texts shown: what they were asked, and when and over which link they said what.

-- +goose Up

CREATE TABLE consents (
    msisdn     bigint PRIMARY KEY CHECK (msisdn > 0),
    tenant     text   NOT NULL CHECK (tenant <> ''),
    request    bytea  NOT NULL,
    asked      bytea  NOT NULL,
    asked_at   bigint NOT NULL,
    asked_link bytea  NOT NULL,
    reply      bytea  NOT NULL,
    replied_at bigint NOT NULL,
    reply_link bytea  NOT NULL
);
