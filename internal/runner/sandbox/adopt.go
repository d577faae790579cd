package sandbox

import (
	"cmp"
	"context"
	"maps"
	"slices"
)

// adopt reads the journal: sandboxes that may still run are taken over with what was handed to them, invocations that were
// not handed are queued, those whose sandbox is lost end as unknown.
func (m *Manager) adopt(ctx context.Context) error {
	m.kept, m.entries = maps.Clone(m.cfg.Inherited), map[string]entry{}
	waiting, handed, err := m.readInvocations()
	if err != nil {
		return err
	}
	boxes, err := m.readBoxes()
	if err != nil {
		return err
	}
	m.starts = make(chan *box, max(m.cfg.MaxSandboxes, len(boxes)))
	for _, b := range boxes {
		b.cur = handed[b.rec.ID]
		delete(handed, b.rec.ID)
		m.boxes[b.rec.ID] = b
		m.poolLocked(b.rec.Key).boxes++
		m.starts <- b
	}
	for _, inv := range handed {
		out := unknownOutcome("its sandbox is gone")
		if inv.rec.Phase == phaseAnswered {
			out = *inv.rec.Outcome
		}
		m.wg.Go(func() { m.finish(inv, out) })
	}
	needed := map[string]bool{}
	for _, b := range boxes {
		needed[b.rec.Unit] = true
	}
	m.releaseKept(func(name string) bool { return !needed[name] })
	slices.SortFunc(waiting, func(a, b *invocation) int {
		return cmp.Or(a.rec.Accepted.Compare(b.rec.Accepted), cmp.Compare(a.rec.ID, b.rec.ID))
	})
	for _, inv := range waiting {
		m.submit(inv)
	}
	if ctx.Err() == nil && len(boxes)+len(waiting)+len(handed) > 0 {
		m.log.InfoContext(ctx, "function sandboxes adopted", "sandboxes", len(boxes), "waiting", len(waiting), "lost", len(handed))
	}
	return nil
}

// readInvocations returns what waits and, by sandbox, what was handed out.
func (m *Manager) readInvocations() (waiting []*invocation, handed map[string]*invocation, err error) {
	ids, err := m.journal.ids("invocations")
	if err != nil {
		return nil, nil, err
	}
	handed = map[string]*invocation{}
	for _, id := range ids {
		rec, err := m.journal.load(id)
		if err != nil {
			m.log.Error("cannot read the journal of an invocation, its outcome stays unknown", "invocation", id, "err", err)
			continue
		}
		if rec.Phase == phaseFinished {
			continue
		}
		inv := newInvocation(rec)
		close(inv.accepted)
		m.open[id] = inv
		if rec.Phase == phaseAccepted {
			waiting = append(waiting, inv)
			continue
		}
		inv.status = runningStatus(rec)
		handed[rec.Sandbox] = inv
	}
	return waiting, handed, nil
}

func (m *Manager) readBoxes() ([]*box, error) {
	ids, err := m.journal.ids("sandboxes")
	if err != nil {
		return nil, err
	}
	var out []*box
	for _, id := range ids {
		rec, err := m.journal.loadBox(id)
		if err != nil {
			m.log.Error("cannot read the journal of a sandbox, it is not taken over", "sandbox", id, "err", err)
			continue
		}
		b := newBox(m, rec)
		b.adopted = true
		out = append(out, b)
	}
	return out, nil
}

func runningStatus(rec record) Result {
	return Result{ID: rec.ID, State: StateRunning, Started: rec.Handed, LogStream: rec.Result.LogStream, ColdStart: rec.Result.ColdStart}
}

// running makes it visible that an invocation was handed to a process.
func (m *Manager) running(inv *invocation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	inv.status = runningStatus(inv.rec)
}
