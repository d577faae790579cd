package store

import (
	"context"
	"encoding/json"
	"fmt"

	"greengate/internal/deploy"
)

// Create stores a new deployment together with its first inbox event. A group that has a deployment
// which is not terminal refuses it (deploy.CodeActiveDeployment), and so does an id that is taken
// (deploy.CodeExists).
func (db *DB) Create(ctx context.Context, d deploy.Deployment, first deploy.Event) error {
	row, err := encode(d, first)
	if err != nil {
		return fmt.Errorf("create deployment %s: %w", d.ID, err)
	}
	err = db.write(ctx, func(ctx context.Context, t tx) error { return t.insert(ctx, row) })
	if err != nil {
		return fmt.Errorf("create deployment %s: %w", d.ID, err)
	}
	return nil
}

// Load returns a deployment with its inbox, oldest first (deploy.CodeNotFound).
func (db *DB) Load(ctx context.Context, id string) (deploy.Loaded, error) {
	// One statement is one snapshot: no commit can come between the state and its inbox.
	const query = `SELECT 0 AS item, state FROM deployments WHERE id = ?1
		UNION ALL SELECT id, event FROM inbox WHERE deployment = ?1 ORDER BY item`
	var l deploy.Loaded
	found := false
	err := db.each(ctx, query, []any{id}, func(scan scanFunc) error {
		var item int64
		var text []byte
		if err := scan(&item, &text); err != nil {
			return err
		}
		if item == 0 {
			found = true
			return decodeState(id, text, &l.Deployment)
		}
		var ev deploy.Event
		if err := json.Unmarshal(text, &ev); err != nil {
			return fmt.Errorf("decode inbox item %d of deployment %s: %w", item, id, err)
		}
		l.Inbox = append(l.Inbox, deploy.Item{ID: item, Event: ev})
		return nil
	})
	if err != nil {
		return deploy.Loaded{}, fmt.Errorf("load deployment %s: %w", id, err)
	}
	if !found {
		return deploy.Loaded{}, notFound(id)
	}
	return l, nil
}

// Commit stores one step in one transaction: the new state, the end of the consumed inbox item, the
// records, and the spawned deployment with its first event. It answers deploy.ErrStale when the
// stored revision number is not c.Deployment.Revno-1, or when the consumed item is not there. With
// a terminal state the rest of the inbox is dropped, and the group is free for the spawned one.
func (db *DB) Commit(ctx context.Context, c deploy.Commit) error {
	d := c.Deployment
	row, err := encode(d, deploy.Event{})
	if err != nil {
		return fmt.Errorf("commit deployment %s: %w", d.ID, err)
	}
	var spawn deploymentRow
	if c.Spawn != nil {
		if spawn, err = encode(*c.Spawn, c.SpawnFirst); err != nil {
			return fmt.Errorf("commit deployment %s: spawn %s: %w", d.ID, c.Spawn.ID, err)
		}
	}
	err = db.write(ctx, func(ctx context.Context, t tx) error {
		if err := t.update(ctx, row); err != nil {
			return err
		}
		if err := t.consume(ctx, d.ID, c.Consumed); err != nil {
			return err
		}
		if err := t.log(ctx, d.ID, c.Records); err != nil {
			return err
		}
		if d.Phase.Terminal() {
			if err := t.dropInbox(ctx, d.ID); err != nil {
				return err
			}
		}
		if c.Spawn == nil {
			return nil
		}
		// After the update: by now the group may be free.
		return t.insert(ctx, spawn)
	})
	if err != nil {
		return fmt.Errorf("commit deployment %s: %w", d.ID, err)
	}
	return nil
}

// Append adds an event to the inbox of a deployment. With a key that was appended before, taken or
// not, it adds nothing and returns false. The empty key is none. A terminal deployment takes no
// events (deploy.CodeAlreadyCompleted), one that does not exist neither (deploy.CodeNotFound).
func (db *DB) Append(ctx context.Context, id, key string, ev deploy.Event) (bool, error) {
	event, err := json.Marshal(ev)
	if err != nil {
		return false, fmt.Errorf("append %s to deployment %s: encode event: %w", ev.Kind, id, err)
	}
	added := false
	err = db.write(ctx, func(ctx context.Context, t tx) error {
		if err := t.takesEvents(ctx, id); err != nil {
			return err
		}
		const query = `INSERT INTO inbox (deployment, key, at, event) SELECT ?1, nullif(?2, ''), ?3, ?4
			WHERE NOT EXISTS (SELECT 1 FROM spent_keys WHERE deployment = ?1 AND key = ?2)
			ON CONFLICT (deployment, key) DO NOTHING`
		n, err := t.exec(ctx, query, id, key, stamp(ev.At), string(event))
		added = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("append %s to deployment %s: %w", ev.Kind, id, err)
	}
	return added, nil
}

// Active lists the deployments that are not terminal, oldest first.
func (db *DB) Active(ctx context.Context) ([]string, error) {
	var ids []string
	err := db.each(ctx, `SELECT id FROM deployments WHERE active = 1 ORDER BY seq`, nil, func(scan scanFunc) error {
		var id string
		err := scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list active deployments: %w", err)
	}
	return ids, nil
}

// deploymentRow is a deployment ready to be stored; encoding is done before the writer's turn.
type deploymentRow struct {
	d     deploy.Deployment
	state string
	first deploy.Event
	event string
}

func encode(d deploy.Deployment, first deploy.Event) (deploymentRow, error) {
	state, err := json.Marshal(d)
	if err != nil {
		return deploymentRow{}, fmt.Errorf("encode state: %w", err)
	}
	event, err := json.Marshal(first)
	if err != nil {
		return deploymentRow{}, fmt.Errorf("encode event: %w", err)
	}
	return deploymentRow{d: d, state: string(state), first: first, event: string(event)}, nil
}

func decodeState(id string, text []byte, d *deploy.Deployment) error {
	if err := json.Unmarshal(text, d); err != nil {
		return fmt.Errorf("decode state of deployment %s: %w", id, err)
	}
	return nil
}

func notFound(id string) error {
	return deploy.Errorf(deploy.CodeNotFound, "Deployment '%s' does not exist", id)
}

// insert stores a new deployment with its first event.
func (t tx) insert(ctx context.Context, r deploymentRow) error {
	p := r.d.Plan
	var other string
	taken, err := t.query(ctx, `SELECT id FROM deployments WHERE id = ?`, []any{r.d.ID}, &other)
	if err != nil {
		return err
	}
	if taken {
		return deploy.Errorf(deploy.CodeExists, "Deployment '%s' exists already", r.d.ID)
	}
	const active = `SELECT id FROM deployments WHERE application = ? AND deployment_group = ? AND active = 1`
	busy, err := t.query(ctx, active, []any{p.Application, p.Group}, &other)
	if err != nil {
		return err
	}
	if busy {
		return deploy.Errorf(deploy.CodeActiveDeployment,
			"Deployment group '%s' of application '%s' already has an active Deployment '%s'", p.Group, p.Application, other)
	}
	const query = `INSERT INTO deployments (id, revno, service, application, deployment_group, kind, status, phase,
		active, created_at, updated_at, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	_, err = t.exec(ctx, query, r.d.ID, r.d.Revno, p.Service, p.Application, p.Group, string(r.d.Kind),
		string(r.d.Status), string(r.d.Phase), !r.d.Phase.Terminal(), stamp(r.d.CreatedAt), stamp(r.d.UpdatedAt), r.state)
	if err != nil {
		return err
	}
	const first = `INSERT INTO inbox (deployment, key, at, event) VALUES (?, NULL, ?, ?)`
	_, err = t.exec(ctx, first, r.d.ID, stamp(r.first.At), r.event)
	return err
}

// update stores the new state of a deployment over the revision before it.
func (t tx) update(ctx context.Context, r deploymentRow) error {
	const query = `UPDATE deployments SET revno = ?, status = ?, phase = ?, active = ?, updated_at = ?, state = ?
		WHERE id = ? AND revno = ?`
	n, err := t.exec(ctx, query, r.d.Revno, string(r.d.Status), string(r.d.Phase), !r.d.Phase.Terminal(),
		stamp(r.d.UpdatedAt), r.state, r.d.ID, r.d.Revno-1)
	if err != nil || n == 1 {
		return err
	}
	var stored int64
	found, err := t.query(ctx, `SELECT revno FROM deployments WHERE id = ?`, []any{r.d.ID}, &stored)
	if err != nil {
		return err
	}
	if !found {
		return notFound(r.d.ID)
	}
	return fmt.Errorf("revision %d over %d: %w", r.d.Revno, stored, deploy.ErrStale)
}

// consume takes an item from the inbox and remembers its key.
func (t tx) consume(ctx context.Context, id string, item int64) error {
	if item == 0 {
		return nil
	}
	const remember = `INSERT INTO spent_keys (deployment, key)
		SELECT deployment, key FROM inbox WHERE id = ? AND deployment = ? AND key IS NOT NULL`
	if _, err := t.exec(ctx, remember, item, id); err != nil {
		return err
	}
	n, err := t.exec(ctx, `DELETE FROM inbox WHERE id = ? AND deployment = ?`, item, id)
	if err == nil && n == 0 {
		return fmt.Errorf("consume inbox item %d: %w", item, deploy.ErrStale)
	}
	return err
}

func (t tx) log(ctx context.Context, id string, records []deploy.Record) error {
	const query = `INSERT INTO records (deployment, at, kind, phase, reason, message) VALUES (?, ?, ?, ?, ?, ?)`
	for _, r := range records {
		_, err := t.exec(ctx, query, id, stamp(r.At), r.Kind, string(r.Phase), string(r.Reason), r.Message)
		if err != nil {
			return err
		}
	}
	return nil
}

// dropInbox empties the inbox of a deployment that has ended. Its keys go as well: it takes no
// event any more, whatever the key.
func (t tx) dropInbox(ctx context.Context, id string) error {
	if _, err := t.exec(ctx, `DELETE FROM inbox WHERE deployment = ?`, id); err != nil {
		return err
	}
	_, err := t.exec(ctx, `DELETE FROM spent_keys WHERE deployment = ?`, id)
	return err
}

// takesEvents refuses a deployment that is unknown or has ended.
func (t tx) takesEvents(ctx context.Context, id string) error {
	var active bool
	found, err := t.query(ctx, `SELECT active FROM deployments WHERE id = ?`, []any{id}, &active)
	switch {
	case err != nil:
		return err
	case !found:
		return notFound(id)
	case !active:
		return deploy.Errorf(deploy.CodeAlreadyCompleted, "Deployment '%s' has already ended", id)
	}
	return nil
}
