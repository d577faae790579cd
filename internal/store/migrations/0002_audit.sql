-- +goose Up

-- Who did what, when, from where; only the newest are kept.
CREATE TABLE audit (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    at        TEXT NOT NULL,
    principal TEXT NOT NULL,
    source    TEXT NOT NULL,
    agent     TEXT NOT NULL,
    service   TEXT NOT NULL,
    operation TEXT NOT NULL,
    resource  TEXT NOT NULL,
    outcome   TEXT NOT NULL
) STRICT;
