// Package store keeps deployments, their inboxes and history, and the resources of a local
// installation in one SQLite database.
//
// The contract:
//
//  1. One process owns a data folder: Open holds a lock on Dir/greengate.db.lock until Close.
//  2. A write that returned nil is on the disk (WAL, synchronous=FULL): neither a killed process
//     nor a power cut takes it back.
//  3. A write is one transaction, all or nothing. The context is asked until the write's turn has
//     come; from there on it runs to its end, so that a cancelled context never leaves in doubt
//     whether something was stored. Where the disk itself fails, an error may stand for a write
//     that happened; the revision number then refuses its repetition.
//  4. Reads see whole transactions only, and never wait for a write.
//  5. Everything that goes in is copied, and so is everything that comes out.
//
// A deployment is stored as JSON beside the columns that are searched. A change of deploy.Deployment
// that an older binary must not read needs a migration too, if only to raise the schema's version:
// Open refuses a database of a newer schema.
package store
