package store

import (
	"context"
	"encoding/json"
	"fmt"

	"greengate/internal/deploy"
)

// Resource is a stored document.
type Resource struct {
	Kind, Name string
	// Version changes with every write, and is never given twice, not even to a resource that was
	// deleted and made again.
	Version int64
	Data    []byte // JSON
}

// Write is one change of a resource.
type Write struct {
	Kind, Name string
	// Expect is the version that was read: the write is refused over any other. 0 is none: the
	// resource must not exist.
	Expect int64
	Data   []byte // JSON
	// Delete removes the resource; Data is not looked at.
	Delete bool
}

// PutResource writes a resource and returns its new version. Where the stored version is not expect
// (0: it must not exist) it answers deploy.ErrStale.
func (db *DB) PutResource(ctx context.Context, kind, name string, expect int64, data []byte) (int64, error) {
	versions, err := db.PutResources(ctx, []Write{{Kind: kind, Name: name, Expect: expect, Data: data}})
	if err != nil {
		return 0, err
	}
	return versions[0], nil
}

// DeleteResource removes a resource; deploy.ErrStale says that its version is not expect, or that
// it is gone already.
func (db *DB) DeleteResource(ctx context.Context, kind, name string, expect int64) error {
	_, err := db.PutResources(ctx, []Write{{Kind: kind, Name: name, Expect: expect, Delete: true}})
	return err
}

// PutResources makes several changes in the given order, all or none, and returns the new versions
// (0 for a deleted one). The error names the resource that refused.
func (db *DB) PutResources(ctx context.Context, writes []Write) ([]int64, error) {
	for _, w := range writes {
		if !w.Delete && !json.Valid(w.Data) {
			return nil, fmt.Errorf("write %s %s: data is not JSON", w.Kind, w.Name)
		}
	}
	versions := make([]int64, len(writes))
	err := db.write(ctx, func(ctx context.Context, t tx) error {
		for i, w := range writes {
			v, err := t.put(ctx, w)
			if err != nil {
				return fmt.Errorf("write %s %s: %w", w.Kind, w.Name, err)
			}
			versions[i] = v
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return versions, nil
}

// resourceVersion is the counter that gives versions to resources.
const resourceVersion = "resource version"

func (t tx) put(ctx context.Context, w Write) (int64, error) {
	var n, version int64
	var err error
	if !w.Delete {
		if version, err = t.count(ctx, resourceVersion); err != nil {
			return 0, err
		}
	}
	switch {
	case w.Delete:
		n, err = t.exec(ctx, `DELETE FROM resources WHERE kind = ? AND name = ? AND version = ?`, w.Kind, w.Name, w.Expect)
	case w.Expect == 0:
		n, err = t.exec(ctx, `INSERT INTO resources (kind, name, version, data) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			w.Kind, w.Name, version, string(w.Data))
	default:
		n, err = t.exec(ctx, `UPDATE resources SET version = ?, data = ? WHERE kind = ? AND name = ? AND version = ?`,
			version, string(w.Data), w.Kind, w.Name, w.Expect)
	}
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, fmt.Errorf("over version %d: %w", w.Expect, deploy.ErrStale)
	}
	return version, nil
}

// GetResource reads a resource (deploy.CodeNotFound).
func (db *DB) GetResource(ctx context.Context, kind, name string) (Resource, error) {
	const query = `SELECT name, version, data FROM resources WHERE kind = ? AND name = ?`
	list, err := db.resources(ctx, kind, query, kind, name)
	if err != nil {
		return Resource{}, fmt.Errorf("read %s %s: %w", kind, name, err)
	}
	if len(list) == 0 {
		return Resource{}, deploy.Errorf(deploy.CodeNotFound, "%s '%s' does not exist", kind, name)
	}
	return list[0], nil
}

// ListResources reads every resource of a kind, by name.
func (db *DB) ListResources(ctx context.Context, kind string) ([]Resource, error) {
	const query = `SELECT name, version, data FROM resources WHERE kind = ? ORDER BY name`
	list, err := db.resources(ctx, kind, query, kind)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind, err)
	}
	return list, nil
}

func (db *DB) resources(ctx context.Context, kind, query string, args ...any) ([]Resource, error) {
	var list []Resource
	err := db.each(ctx, query, args, func(scan scanFunc) error {
		r := Resource{Kind: kind}
		err := scan(&r.Name, &r.Version, &r.Data)
		list = append(list, r)
		return err
	})
	return list, err
}

// Next adds one to a counter and returns it; the first value is 1. A value is never given twice,
// though one may be lost to a crash.
func (db *DB) Next(ctx context.Context, name string) (int64, error) {
	var v int64
	err := db.write(ctx, func(ctx context.Context, t tx) (err error) {
		v, err = t.count(ctx, "counter/"+name)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count %s: %w", name, err)
	}
	return v, nil
}

func (t tx) count(ctx context.Context, name string) (int64, error) {
	var v int64
	const query = `INSERT INTO meta (name, value) VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value`
	_, err := t.query(ctx, query, []any{name}, &v)
	return v, err
}
