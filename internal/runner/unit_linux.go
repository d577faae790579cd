package runner

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// unit is one unit of the journal. While it has not ended, a keeper goroutine owns its process; everybody else changes
// the record (durably) and wakes the keeper.
type unit struct {
	s     *Server
	id    string
	group string
	wake  chan struct{} // capacity 1

	version uint64 // of the last change; guarded by s.mu

	saving sync.Mutex // held while the record is changed: one writer at a time

	mu           sync.Mutex
	rec          record
	health       string
	healthReason string
	adopted      bool
	firstErr     error
	out          *output       // nil before the first start and after the end
	first        chan struct{} // closed when the first start was attempted
	ended        chan struct{} // closed when the state is final
}

func newUnit(s *Server, r record) *unit {
	return &unit{
		s: s, id: r.Spec.ID, group: r.Spec.Group, rec: r, health: HealthUnknown,
		wake: make(chan struct{}, 1), first: make(chan struct{}), ended: make(chan struct{}),
	}
}

// record returns a copy; what it points to is never altered.
func (u *unit) record() record {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.rec
}

// change alters the record durably. Nothing is changed when that is impossible.
func (u *unit) change(f func(r *record)) error {
	return u.alter(f, true)
}

// alter alters the record, in memory only unless durable.
func (u *unit) alter(f func(r *record), durable bool) error {
	u.saving.Lock()
	defer u.saving.Unlock()
	r := u.record()
	f(&r)
	if durable {
		if err := u.s.journal.save(&r); err != nil {
			return err
		}
	}
	u.mu.Lock()
	u.rec = r
	u.mu.Unlock()
	u.s.touch(u)
	return nil
}

// note alters the record durably if it can, else in memory: for what has happened already and must be told.
func (u *unit) note(f func(r *record)) {
	if err := u.change(f); err != nil {
		u.s.logger.Error("record not saved", "unit", u.id, "err", err)
		_ = u.alter(f, false)
	}
}

// nudge makes the keeper look at the record again.
func (u *unit) nudge() {
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// setHealth publishes health. A change between healthy and not is kept in the journal, so that the next runner does not
// take a healthy unit for one that is starting.
func (u *unit) setHealth(health, reason string) {
	u.mu.Lock()
	same := u.health == health && u.healthReason == reason
	saved := u.rec.Health
	u.mu.Unlock()
	if same {
		return
	}
	if health != saved && (health == HealthHealthy || health == HealthUnhealthy) {
		u.note(func(r *record) { r.Health = health }) // before anybody acts on it
	}
	u.mu.Lock()
	u.health, u.healthReason = health, reason
	u.mu.Unlock()
	u.s.touch(u)
}

func (u *unit) setAdopted(yes bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.adopted = yes
}

// firstDone tells those who wait for the first start.
func (u *unit) firstDone(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	select {
	case <-u.first:
	default:
		u.firstErr = err
		close(u.first)
	}
}

// revive prepares a failed unit for another attempt; it reports false when somebody else did, or it is not failed.
func (u *unit) revive() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.rec.State != StateFailed || u.rec.Wish != wishRun {
		return false
	}
	select {
	case <-u.ended:
	default:
		return false
	}
	u.rec.State = StateStarting
	u.first, u.ended, u.firstErr = make(chan struct{}), make(chan struct{}), nil
	return true
}

// awaitFirst returns the status when the first start was attempted.
func (u *unit) awaitFirst(ctx context.Context) (Status, error) {
	u.mu.Lock()
	first := u.first
	u.mu.Unlock()
	select {
	case <-first:
	case <-ctx.Done():
		return u.status(), ctx.Err()
	case <-u.s.stopping:
		return u.status(), &Error{Kind: kindClosed, Message: "the runner is ending; ask the next one"}
	}
	st := u.status()
	u.mu.Lock()
	defer u.mu.Unlock()
	return st, u.firstErr
}

// endedSignal is closed when the unit has ended.
func (u *unit) endedSignal() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ended
}

func (u *unit) status() Status {
	u.mu.Lock()
	defer u.mu.Unlock()
	r := &u.rec
	st := Status{
		ID: u.id, Group: u.group, Mode: r.Spec.Mode, Digest: r.Spec.Digest, State: r.State,
		Health: u.health, HealthReason: u.healthReason, PID: r.PID, Address: r.Address, Port: r.Port,
		StartedAt: r.StartedAt, EndedAt: r.EndedAt, Exit: r.Exit, Reason: r.Reason,
		Enforced: r.Enforced, NotEnforced: r.NotEnforced, Adopted: u.adopted && r.PID != 0, LogFile: r.Spec.LogFile,
	}
	if r.Spec.Mode == ModeService {
		st.Restarts, st.LastEnd = max(r.Starts-1, 0), r.LastEnd
	}
	if u.out != nil {
		st.LogLost, _ = u.out.log.state()
	}
	return st
}

func (u *unit) tree(r *record) tree {
	t := tree{cgroup: r.Cgroups.Tree, installation: u.s.installation, id: u.id}
	if r.Boot == u.s.boot {
		t.session, t.start = r.Session, r.Start
	}
	return t
}

// book calls one of addressBook's methods with what the unit has.
func (u *unit) book(f func(*Spec, netip.Addr, int)) {
	r := u.record()
	if addr, err := netip.ParseAddr(r.Address); err == nil {
		f(&r.Spec, addr, r.Port)
	}
}

func (u *unit) output() *output {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.out
}

// openOutput makes sure that the unit's output is collected.
func (u *unit) openOutput() error {
	if u.output() != nil {
		return nil
	}
	spec := u.record().Spec
	log := openLog(spec.LogFile, spec.LogMaxBytes, spec.LogKeep)
	out, err := openOutput(u.s.journal.base(u.id), log, u.s.logger.With("unit", u.id))
	if err != nil {
		log.close()
		return err
	}
	u.keepOutput(out)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.out = out
	return nil
}

// keepOutput hands the FIFOs to Config.Keep.
func (u *unit) keepOutput(out *output) {
	if u.s.cfg.Keep == nil {
		return
	}
	for _, s := range []*stream{out.out, out.err} {
		if err := u.s.cfg.Keep(keptName(u.id, s.name), s.fifo); err != nil {
			u.s.logger.Warn("output pipe not kept", "unit", u.id, "stream", s.name, "err", err)
		}
	}
}

// forgetOutput lets go of the FIFOs.
func (u *unit) forgetOutput() {
	if u.s.cfg.Forget == nil {
		return
	}
	for _, name := range []string{"stdout", "stderr"} {
		if err := u.s.cfg.Forget(keptName(u.id, name)); err != nil {
			u.s.logger.Warn("output pipe not let go", "unit", u.id, "stream", name, "err", err)
		}
	}
}

func keptName(id, stream string) string { return "output-" + stream + "-" + fileName(id) }

func (u *unit) closeOutput() {
	u.mu.Lock()
	out := u.out
	u.out = nil
	u.mu.Unlock()
	if out != nil {
		out.close()
	}
}

// backoff is the pause after that many ends in a row.
func (u *unit) backoff(failures int) time.Duration {
	d := u.s.cfg.BackoffMin
	for range failures - 1 {
		if d >= u.s.cfg.BackoffMax {
			break
		}
		d *= 2
	}
	return min(d, u.s.cfg.BackoffMax)
}
