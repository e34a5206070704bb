-- The proof that a number's holder wants their texts shown: what they were asked, and when and over which link they said what.

-- +goose Up

CREATE TABLE consents (
    msisdn     INTEGER PRIMARY KEY CHECK (msisdn > 0),
    tenant     TEXT    NOT NULL CHECK (tenant <> ''),
    request    TEXT    NOT NULL,
    asked      TEXT    NOT NULL,
    asked_at   INTEGER NOT NULL,
    asked_link TEXT    NOT NULL,
    reply      TEXT    NOT NULL,
    replied_at INTEGER NOT NULL,
    reply_link TEXT    NOT NULL
) STRICT;
