-- Who told a call's access; and whether its caller wants to stay unknown: then caller is 0.

-- +goose Up

ALTER TABLE calls ADD COLUMN access_from TEXT NOT NULL DEFAULT '';
ALTER TABLE calls ADD COLUMN private INTEGER NOT NULL DEFAULT 0 CHECK (private IN (0, 1));
