-- Times are microseconds since 1970 UTC, 0 is "none". Every row names its tenant.

-- +goose Up

-- One counter for every subscriber: a number that is deleted and created again goes on above what was ever told of it.
CREATE TABLE revision (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    rev INTEGER NOT NULL
) STRICT;
INSERT INTO revision VALUES (1, 0);

CREATE TABLE subscribers (
    msisdn INTEGER PRIMARY KEY CHECK (msisdn > 0),
    tenant TEXT    NOT NULL CHECK (tenant <> ''),
    name   TEXT    NOT NULL,
    rev    INTEGER NOT NULL
) STRICT;
CREATE INDEX subscribers_tenant ON subscribers (tenant, msisdn);

-- An account with what it last said. epoch is NULL until it says something, so that the first stamp always wins.
CREATE TABLE accounts (
    tenant  TEXT    NOT NULL,
    network TEXT    NOT NULL CHECK (network <> ''),
    account TEXT    NOT NULL CHECK (account <> ''),
    msisdn  INTEGER NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    text    TEXT    NOT NULL DEFAULT '',
    shown   TEXT    NOT NULL DEFAULT '',
    lang    TEXT    NOT NULL DEFAULT '',
    epoch   INTEGER,
    version INTEGER NOT NULL DEFAULT 0,
    at      INTEGER NOT NULL DEFAULT 0,
    expires INTEGER NOT NULL DEFAULT 0,
    origin  TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (tenant, network, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX accounts_msisdn ON accounts (msisdn, network, account);

CREATE TABLE sources (
    tenant TEXT    NOT NULL CHECK (tenant <> ''),
    source TEXT    NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (tenant, source)
) STRICT, WITHOUT ROWID;

-- tenant is '' until an event names it: the first lines of a call may be older than the look-up of its callee.
CREATE TABLE calls (
    id          BLOB    PRIMARY KEY CHECK (length(id) = 16),
    tenant      TEXT    NOT NULL,
    caller      INTEGER NOT NULL,
    callee      INTEGER NOT NULL,
    sip_call_id TEXT    NOT NULL,
    once        TEXT    NOT NULL,
    access      TEXT    NOT NULL,
    exempt      TEXT    NOT NULL,
    at          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX calls_tenant ON calls (tenant, id);
CREATE INDEX calls_callee ON calls (tenant, callee, id);
CREATE INDEX calls_caller ON calls (tenant, caller, id);

CREATE TABLE call_events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    call_id    BLOB    NOT NULL REFERENCES calls ON DELETE CASCADE,
    tenant     TEXT    NOT NULL,
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    reason     TEXT    NOT NULL,
    link       TEXT    NOT NULL,
    message_id TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    wire       BLOB
) STRICT;
CREATE INDEX call_events_call ON call_events (call_id, at, seq);

CREATE TABLE keys (
    tenant  TEXT    NOT NULL CHECK (tenant <> ''),
    id      TEXT    NOT NULL CHECK (id <> ''),
    hash    BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    name    TEXT    NOT NULL,
    role    TEXT    NOT NULL,
    network TEXT    NOT NULL,
    source  TEXT    NOT NULL,
    msisdn  INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    revoked INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
