-- +goose Up

-- "ggte": tells a database of Greengate from any other SQLite file.
PRAGMA application_id = 1734833253;

-- One row a deployment; the columns beside state repeat what lists select and indexes guard.
-- Times are UTC text of one width, so that they sort.
CREATE TABLE deployments (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT    NOT NULL UNIQUE,
    revno            INTEGER NOT NULL,
    service          TEXT    NOT NULL,
    application      TEXT    NOT NULL,
    deployment_group TEXT    NOT NULL,
    kind             TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    phase            TEXT    NOT NULL,
    active           INTEGER NOT NULL CHECK (active IN (0, 1)),
    created_at       TEXT    NOT NULL,
    updated_at       TEXT    NOT NULL,
    state            TEXT    NOT NULL
) STRICT;

-- A deployment group has at most one deployment that is not terminal.
CREATE UNIQUE INDEX deployments_active ON deployments (application, deployment_group) WHERE active = 1;
CREATE INDEX deployments_service ON deployments (service, seq);
CREATE INDEX deployments_group ON deployments (application, deployment_group, seq);

-- What happened and was not yet taken by a step.
CREATE TABLE inbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    deployment TEXT NOT NULL REFERENCES deployments (id),
    key        TEXT,
    at         TEXT NOT NULL,
    event      TEXT NOT NULL,
    UNIQUE (deployment, key)
) STRICT;

-- The keys of inbox items that were taken, as long as their deployment lives.
CREATE TABLE spent_keys (
    deployment TEXT NOT NULL REFERENCES deployments (id),
    key        TEXT NOT NULL,
    PRIMARY KEY (deployment, key)
) STRICT, WITHOUT ROWID;

-- The history; seq is the cursor of those who follow it.
CREATE TABLE records (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    deployment TEXT NOT NULL REFERENCES deployments (id),
    at         TEXT NOT NULL,
    kind       TEXT NOT NULL,
    phase      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    message    TEXT NOT NULL
) STRICT;

CREATE INDEX records_deployment ON records (deployment, seq);

-- Documents of the cloud package, changed by compare-and-set on version.
CREATE TABLE resources (
    kind    TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    data    TEXT    NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT;

-- Numbers of the installation: counters, and the last version given to a resource.
CREATE TABLE meta (
    name  TEXT    PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
