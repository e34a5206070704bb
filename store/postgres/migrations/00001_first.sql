-- Times are microseconds since 1970 UTC, 0 is "none". Every row names its tenant. What comes from outside stands as bytes:
-- PostgreSQL's text takes no zero byte, and SIP headers and texts may hold one.

-- +goose Up

-- A revision is drawn while its subscriber's row is locked, so those of one subscriber are in the order of their commits.
-- A number that is deleted and created again goes on above what was ever told of it.
CREATE SEQUENCE revisions;

CREATE TABLE subscribers (
    msisdn bigint PRIMARY KEY CHECK (msisdn > 0),
    tenant text   NOT NULL CHECK (tenant <> ''),
    name   bytea  NOT NULL,
    rev    bigint NOT NULL
);
CREATE INDEX subscribers_tenant ON subscribers (tenant, msisdn);

-- Who has an account: its key must be unique over all subscribers.
CREATE TABLE accounts (
    tenant  text   NOT NULL,
    network text   NOT NULL CHECK (network <> ''),
    account text   NOT NULL CHECK (account <> ''),
    msisdn  bigint NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    PRIMARY KEY (tenant, network, account)
);
CREATE INDEX accounts_msisdn ON accounts (msisdn);

-- What each account last said, beside its subscriber's others. epoch is NULL until it says something, so that the first
-- stamp always wins. rev is that of the last change; the subscriber's is the greatest of its own and these.
CREATE TABLE signatures (
    msisdn  bigint NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    network text   NOT NULL,
    account text   NOT NULL,
    tenant  text   NOT NULL,
    text    bytea  NOT NULL DEFAULT '',
    shown   bytea  NOT NULL DEFAULT '',
    lang    bytea  NOT NULL DEFAULT '',
    origin  bytea  NOT NULL DEFAULT '',
    epoch   bigint,
    version bigint NOT NULL DEFAULT 0,
    at      bigint NOT NULL DEFAULT 0,
    expires bigint NOT NULL DEFAULT 0,
    rev     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (msisdn, network, account)
) PARTITION BY HASH (msisdn);

-- +goose StatementBegin
DO $$
BEGIN
    FOR i IN 0..15 LOOP
        -- Room on each page, so that a change of a text touches no index.
        EXECUTE format('CREATE TABLE signatures_%s PARTITION OF signatures FOR VALUES WITH (MODULUS 16, REMAINDER %s) WITH (fillfactor = 70)', i, i);
    END LOOP;
END $$;
-- +goose StatementEnd

CREATE TABLE sources (
    tenant text   NOT NULL CHECK (tenant <> ''),
    source text   NOT NULL,
    seq    bigint NOT NULL,
    PRIMARY KEY (tenant, source)
) WITH (fillfactor = 50);

-- tenant is '' until an event names it: the first lines of a call may be older than the look-up of its callee. An id begins
-- with its time, so a day's calls are one range; its partition is made when its first call is kept, and dropped with it.
CREATE TABLE calls (
    id          bytea   PRIMARY KEY CHECK (length(id) = 16),
    tenant      text    NOT NULL,
    caller      bigint  NOT NULL,
    callee      bigint  NOT NULL,
    sip_call_id bytea   NOT NULL,
    once        bytea   NOT NULL,
    access      bytea   NOT NULL,
    access_from text    NOT NULL,
    exempt      text    NOT NULL,
    private     boolean NOT NULL,
    at          bigint  NOT NULL
) PARTITION BY RANGE (id);
CREATE INDEX calls_tenant ON calls (tenant, id);
CREATE INDEX calls_callee ON calls (tenant, callee, id);
CREATE INDEX calls_caller ON calls (tenant, caller, id);

CREATE SEQUENCE call_event_seq;
CREATE TABLE call_events (
    call_id    bytea  NOT NULL,
    seq        bigint NOT NULL DEFAULT nextval('call_event_seq'),
    tenant     text   NOT NULL,
    at         bigint NOT NULL,
    kind       text   NOT NULL,
    reason     bytea  NOT NULL,
    link       text   NOT NULL,
    message_id bytea  NOT NULL,
    text       bytea  NOT NULL,
    wire       bytea
) PARTITION BY RANGE (call_id);
CREATE INDEX call_events_call ON call_events (call_id, at, seq);

CREATE TABLE keys (
    tenant  text    NOT NULL CHECK (tenant <> ''),
    id      text    NOT NULL CHECK (id <> ''),
    hash    bytea   NOT NULL UNIQUE CHECK (length(hash) = 32),
    name    bytea   NOT NULL,
    role    text    NOT NULL,
    network text    NOT NULL,
    source  text    NOT NULL,
    msisdn  bigint  NOT NULL,
    created bigint  NOT NULL,
    expires bigint  NOT NULL,
    revoked boolean NOT NULL,
    PRIMARY KEY (tenant, id)
);
