package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"greengate/internal/deploy"
)

// Limits of lists: what a limit of 0 means, and what is given at most.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// Filter selects deployments. A field left zero selects all.
type Filter struct {
	Service, Application, Group string
	Kind                        deploy.Kind
	Statuses                    []deploy.Status // any of them
	// CreatedFrom is included, CreatedTo is not.
	CreatedFrom, CreatedTo time.Time
	// Limit is the length of a page: 0 is 100, and 1000 the most.
	Limit int
	// After is the id of the last deployment of a page: those older than it are selected. Before is
	// the id of the first one of a page: those newer are selected, the nearest ones where there are
	// more than Limit. Only one of them may be set.
	After, Before string
	// Brief leaves verdicts and lifecycle out, which are most of a deployment: for lists that do not show them.
	Brief bool
}

// StoredRecord is one line of the history with its place in it.
type StoredRecord struct {
	Seq        int64 // grows over all deployments
	Deployment string
	deploy.Record
}

// Deployment returns a deployment as it was last committed (deploy.CodeNotFound).
func (db *DB) Deployment(ctx context.Context, id string) (deploy.Deployment, error) {
	var d deploy.Deployment
	found := false
	err := db.each(ctx, `SELECT state FROM deployments WHERE id = ?`, []any{id}, func(scan scanFunc) error {
		var text []byte
		if err := scan(&text); err != nil {
			return err
		}
		found = true
		return decodeState(id, text, &d)
	})
	if err != nil {
		return deploy.Deployment{}, fmt.Errorf("read deployment %s: %w", id, err)
	}
	if !found {
		return deploy.Deployment{}, notFound(id)
	}
	return d, nil
}

// List returns the selected deployments in the reverse order of their creation, newest first. A
// cursor that is no deployment is refused with deploy.CodeInvalid.
func (db *DB) List(ctx context.Context, f Filter) ([]deploy.Deployment, error) {
	query, args, err := db.listQuery(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	var list []deploy.Deployment
	err = db.each(ctx, query, args, func(scan scanFunc) error {
		var id string
		var text []byte
		if err := scan(&id, &text); err != nil {
			return err
		}
		var d deploy.Deployment
		var err error
		if f.Brief {
			d, err = decodeBrief(id, text)
		} else {
			err = decodeState(id, text, &d)
		}
		if err != nil {
			return err
		}
		list = append(list, d)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list deployments: %w", err)
	}
	if f.Before != "" {
		slices.Reverse(list)
	}
	return list, nil
}

// listQuery builds the query from constants; values go in as arguments only.
func (db *DB) listQuery(ctx context.Context, f Filter) (string, []any, error) {
	where, args := []string{"TRUE"}, []any{}
	add := func(use bool, condition string, arg any) {
		if use {
			where, args = append(where, condition), append(args, arg)
		}
	}
	add(f.Service != "", "service = ?", f.Service)
	add(f.Application != "", "application = ?", f.Application)
	add(f.Group != "", "deployment_group = ?", f.Group)
	add(f.Kind != "", "kind = ?", string(f.Kind))
	add(!f.CreatedFrom.IsZero(), "created_at >= ?", stamp(f.CreatedFrom))
	add(!f.CreatedTo.IsZero(), "created_at < ?", stamp(f.CreatedTo))
	if len(f.Statuses) > 0 {
		statuses, err := json.Marshal(f.Statuses)
		if err != nil {
			return "", nil, fmt.Errorf("encode statuses: %w", err)
		}
		add(true, "status IN (SELECT value FROM json_each(?))", string(statuses))
	}
	order := "DESC"
	switch {
	case f.After != "" && f.Before != "":
		return "", nil, &deploy.Error{Code: deploy.CodeInvalid, Field: "Before", Message: "a list goes on after a deployment or before one, not both"}
	case f.After != "":
		seq, err := db.cursor(ctx, "After", f.After)
		if err != nil {
			return "", nil, err
		}
		add(true, "seq < ?", seq)
	case f.Before != "":
		seq, err := db.cursor(ctx, "Before", f.Before)
		if err != nil {
			return "", nil, err
		}
		add(true, "seq > ?", seq)
		order = "ASC"
	}
	query := "SELECT id, state FROM deployments WHERE " + strings.Join(where, " AND ") + " ORDER BY seq " + order + " LIMIT ?"
	return query, append(args, page(f.Limit)), nil
}

// cursor finds the place of a deployment in the order of creation.
func (db *DB) cursor(ctx context.Context, field, id string) (int64, error) {
	seq := int64(-1)
	err := db.each(ctx, `SELECT seq FROM deployments WHERE id = ?`, []any{id}, func(scan scanFunc) error { return scan(&seq) })
	if err == nil && seq < 0 {
		return 0, &deploy.Error{Code: deploy.CodeInvalid, Field: field, Message: fmt.Sprintf("cursor %q is no deployment", id)}
	}
	return seq, err
}

func page(limit int) int {
	if limit <= 0 {
		return defaultLimit
	}
	return min(limit, maxLimit)
}

// Records returns the history of a deployment, or of all where id is empty, that is newer than
// after, oldest first. A limit of 0 is 100, and 1000 the most.
func (db *DB) Records(ctx context.Context, id string, after int64, limit int) ([]StoredRecord, error) {
	query, args := `SELECT seq, deployment, at, kind, phase, reason, message FROM records
		WHERE deployment = ? AND seq > ? ORDER BY seq LIMIT ?`, []any{id, after, page(limit)}
	if id == "" {
		query, args = `SELECT seq, deployment, at, kind, phase, reason, message FROM records
			WHERE seq > ? ORDER BY seq LIMIT ?`, args[1:]
	}
	var records []StoredRecord
	err := db.each(ctx, query, args, func(scan scanFunc) error {
		var r StoredRecord
		var at string
		err := scan(&r.Seq, &r.Deployment, &at, &r.Kind, &r.Phase, &r.Reason, &r.Message)
		if err != nil {
			return err
		}
		if r.At, err = time.Parse(timeLayout, at); err != nil {
			return fmt.Errorf("decode time of record %d: %w", r.Seq, err)
		}
		records = append(records, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read records: %w", err)
	}
	return records, nil
}

// Changed returns a channel that is closed after the next write of a deployment, a record or a
// resource, and at Close. Take it before reading, wait on it after: nothing is missed then.
func (db *DB) Changed() <-chan struct{} { return db.changed.next() }

// Wait is Records that blocks until there is at least one.
func (db *DB) Wait(ctx context.Context, id string, after int64, limit int) ([]StoredRecord, error) {
	for {
		changed := db.Changed()
		records, err := db.Records(ctx, id, after, limit)
		if err != nil || len(records) > 0 {
			return records, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// scanFunc copies the columns of the current row.
type scanFunc func(dest ...any) error

// each calls row for every row of a query on one of the readers.
func (db *DB) each(ctx context.Context, query string, args []any, row func(scanFunc) error) (err error) {
	defer func() {
		if err != nil && db.writer.closed() {
			err = errors.Join(ErrClosed, err)
		}
	}()
	rows, err := db.reader.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// left is a part of a document that is not decoded.
type left struct{}

// UnmarshalJSON implements json.Unmarshaler.
func (*left) UnmarshalJSON([]byte) error { return nil }

// decodeBrief decodes a deployment without its verdicts and lifecycle: the outer fields take their places.
func decodeBrief(id string, text []byte) (deploy.Deployment, error) {
	var b struct {
		deploy.Deployment
		Verdicts  left `json:"verdicts"`
		Lifecycle left `json:"lifecycle"`
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return deploy.Deployment{}, fmt.Errorf("decode deployment %s: %w", id, err)
	}
	return b.Deployment, nil
}
