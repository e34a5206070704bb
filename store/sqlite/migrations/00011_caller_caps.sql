-- How many texts within 24 hours a caller wants of those calls; 0: none at all, as nodes that don't know the column take each row.

-- +goose Up

ALTER TABLE opt_outs ADD COLUMN per_day INTEGER NOT NULL DEFAULT 0 CHECK (per_day BETWEEN 0 AND 1000);
