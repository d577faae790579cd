package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"greengate/internal/deploy"
)

// auditKept is how many entries of the audit are kept; older ones go.
const auditKept = 20_000

// Audit adds an entry to the audit. Its Seq is ignored.
func (db *DB) Audit(ctx context.Context, e deploy.AuditEntry) error {
	err := db.write(ctx, func(ctx context.Context, t tx) error {
		const insert = `INSERT INTO audit (at, principal, source, agent, service, operation, resource, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
		_, err := t.exec(ctx, insert, stamp(e.At), e.Principal, clip(e.Source, 100), clip(e.Agent, 200), e.Service, e.Operation, clip(e.Resource, 500), e.Outcome)
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, `DELETE FROM audit WHERE seq <= (SELECT max(seq) FROM audit) - ?`, auditKept)
		return err
	})
	if err != nil {
		return fmt.Errorf("write audit: %w", err)
	}
	return nil
}

// clip bounds a text by bytes and leaves no half of a character.
func clip(s string, n int) string { return strings.ToValidUTF8(s[:min(len(s), n)], "") }

// ListAudit returns entries older than before (0: the newest), newest first.
func (db *DB) ListAudit(ctx context.Context, before int64, limit int) ([]deploy.AuditEntry, error) {
	const query = `SELECT seq, at, principal, source, agent, service, operation, resource, outcome FROM audit
		WHERE ?1 = 0 OR seq < ?1 ORDER BY seq DESC LIMIT ?2`
	list := []deploy.AuditEntry{}
	err := db.each(ctx, query, []any{before, page(limit)}, func(scan scanFunc) error {
		var e deploy.AuditEntry
		var at string
		err := scan(&e.Seq, &at, &e.Principal, &e.Source, &e.Agent, &e.Service, &e.Operation, &e.Resource, &e.Outcome)
		if err != nil {
			return err
		}
		if e.At, err = time.Parse(timeLayout, at); err != nil {
			return fmt.Errorf("decode time of audit entry %d: %w", e.Seq, err)
		}
		list = append(list, e)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read audit: %w", err)
	}
	return list, nil
}
