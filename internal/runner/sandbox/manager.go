package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"time"

	"greengate/internal/durable"
)

// Manager accepts invocations and runs them in sandboxes. It is safe for concurrent use.
type Manager struct {
	cfg     Config
	log     *slog.Logger
	journal journal
	resolve resolver

	starts  chan *box // sandboxes to run; as many as MaxSandboxes fit
	closing chan struct{}
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	stopping bool                    // no sandbox is started any more
	open     map[string]*invocation  // accepted, not finished
	pools    map[string]*pool        // by sandbox key
	boxes    map[string]*box         // by id; all that have not ended
	kept     map[string]net.Listener // inherited, not taken yet
	entries  map[string]entry        // how functions start, by sandbox key
}

// invocation is an accepted one that has no final result yet.
type invocation struct {
	rec      record        // owned by whoever has the invocation: the queue (under mu), then one sandbox's goroutine
	accepted chan struct{} // closed once the journal holds it, or accErr says why not
	accErr   error
	stop     chan struct{} // closed by halt
	done     chan struct{} // closed once result is final
	key      string
	expiry   *time.Timer // of Invocation.Deadline

	// under Manager.mu
	halted  bool
	timedUp bool // halted by its deadline
	status  Result
}

// New reads the journal, takes over the sandboxes that still run and goes on with what is open.
func New(cfg Config) (*Manager, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{
		cfg: cfg, log: cfg.Logger, journal: journal{dir: cfg.Dir},
		closing: make(chan struct{}), open: map[string]*invocation{}, pools: map[string]*pool{}, boxes: map[string]*box{},
	}
	if err := m.journal.prepare(); err != nil {
		return nil, err
	}
	runtimeDir, err := installBootstraps(filepath.Join(cfg.Dir, "runtime"))
	if err != nil {
		return nil, err
	}
	m.resolve = resolver{searchPath: cfg.SearchPath, runtimeDir: runtimeDir}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	if err := m.adopt(ctx); err != nil {
		cancel()
		return nil, err
	}
	m.wg.Go(func() { m.startBoxes(ctx) })
	m.wg.Go(func() { m.prune(ctx) })
	return m, nil
}

// startBoxes runs each sandbox that was scheduled.
func (m *Manager) startBoxes(ctx context.Context) {
	for {
		select {
		case b := <-m.starts:
			m.wg.Go(func() { b.run(ctx) })
		case <-ctx.Done():
			return
		}
	}
}

// Invoke accepts an invocation: when it returns nil the journal holds it and it will be run once, also if this process
// ends. A second call with the same ID does nothing. ErrInvalid marks input that can never be accepted.
func (m *Manager) Invoke(ctx context.Context, in Invocation) error {
	if err := in.check(); err != nil {
		return err
	}
	in.Function = in.Function.withDefaults()
	if len(in.Payload) == 0 {
		in.Payload = []byte("{}")
	}
	inv := newInvocation(record{ID: in.ID, Phase: phaseAccepted, Accepted: time.Now(), Invocation: in})
	known, err := m.register(inv)
	if err != nil {
		return err
	}
	if known != nil {
		return known.awaitAccepted(ctx)
	}
	if inv.rec.Phase == "" { // accepted before
		return nil
	}
	m.cfg.Fault("accepting")
	if err := m.journal.save(inv.rec); err != nil {
		m.drop(inv, err)
		return fmt.Errorf("accept invocation %s: %w", in.ID, err)
	}
	m.cfg.Fault("accepted")
	close(inv.accepted)
	m.submit(inv)
	return nil
}

func newInvocation(rec record) *invocation {
	return &invocation{
		rec: rec, key: sandboxKey(rec.Invocation), accepted: make(chan struct{}), stop: make(chan struct{}), done: make(chan struct{}),
		status: Result{ID: rec.ID, State: StatePending},
	}
}

// register reserves the id. It returns the invocation that has it already; one that is only in the journal clears inv.rec.Phase.
func (m *Manager) register(inv *invocation) (*invocation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, ErrClosed
	}
	if known := m.open[inv.rec.ID]; known != nil {
		return known, nil
	}
	known, err := m.journal.has(inv.rec.ID)
	if err != nil {
		return nil, err
	}
	if known {
		inv.rec.Phase = ""
		return nil, nil //nolint:nilnil // documented: known from the journal only
	}
	m.open[inv.rec.ID] = inv
	return nil, nil //nolint:nilnil // the id is new
}

func (m *Manager) drop(inv *invocation, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, inv.rec.ID)
	inv.accErr = err
	close(inv.accepted)
	close(inv.done)
}

func (i *invocation) awaitAccepted(ctx context.Context) error {
	select {
	case <-i.accepted:
		return i.accErr
	case <-ctx.Done():
		return fmt.Errorf("accept invocation: %w", context.Cause(ctx))
	}
}

// submit queues an accepted invocation.
func (m *Manager) submit(inv *invocation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if d := inv.rec.Invocation.Deadline; !d.IsZero() && !m.closed {
		inv.expiry = time.AfterFunc(time.Until(d), func() { m.halt(inv, true) })
	}
	p := m.poolLocked(inv.key)
	p.queue = append(p.queue, inv)
	m.scheduleLocked(inv.key)
}

// Result tells what is known of an invocation now; ErrNotFound where it was never accepted, or is forgotten.
func (m *Manager) Result(_ context.Context, id string) (Result, error) {
	if !idPattern.MatchString(id) {
		return Result{}, invalid("invocation id %q", id)
	}
	m.mu.Lock()
	if inv := m.open[id]; inv != nil {
		defer m.mu.Unlock()
		return inv.status, nil
	}
	m.mu.Unlock()
	return m.stored(id)
}

// stored reads a result that is no longer in memory.
func (m *Manager) stored(id string) (Result, error) {
	rec, err := m.journal.load(id)
	if errors.Is(err, ErrNotFound) {
		return Result{}, err
	}
	if err != nil {
		return Result{ //nolint:nilerr // it is accepted and must not run again: its outcome is unknown
			ID: id, State: StateUnknown, ErrorType: ErrorTypeUnknown,
			ErrorMessage: "the journal of this invocation cannot be read: " + err.Error(),
		}, nil
	}
	switch rec.Phase { // not finished: this manager is closing
	case phaseFinished:
		return rec.Result, nil
	case phaseHanded, phaseAnswered:
		return runningStatus(rec), nil
	case phaseAccepted:
	}
	return Result{ID: id, State: StatePending}, nil
}

// Await returns once the invocation has a final state, or with the error of ctx and what is known until then.
func (m *Manager) Await(ctx context.Context, id string) (Result, error) {
	m.mu.Lock()
	inv := m.open[id]
	m.mu.Unlock()
	if inv == nil {
		return m.Result(ctx, id)
	}
	select {
	case <-inv.done:
		return m.Result(ctx, id)
	case <-m.closing:
		return Result{ID: id, State: StatePending}, ErrClosed
	case <-ctx.Done():
		r, err := m.Result(ctx, id)
		return r, errors.Join(fmt.Errorf("await invocation %s: %w", id, context.Cause(ctx)), err)
	}
}

// Cancel ends an invocation: one that waits is not run, one that runs has its sandbox killed. It begins that and returns;
// the result follows as failed with ErrorTypeCancelled. One that is finished stays as it is.
func (m *Manager) Cancel(ctx context.Context, id string) error {
	m.mu.Lock()
	inv := m.open[id]
	m.mu.Unlock()
	if inv == nil {
		_, err := m.Result(ctx, id)
		return err
	}
	if err := inv.awaitAccepted(ctx); err != nil {
		return err
	}
	m.halt(inv, false)
	return nil
}

// halt tells whoever has the invocation to end it, and ends it here while it waits in the queue.
func (m *Manager) halt(inv *invocation, byDeadline bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if inv.halted || m.closed {
		return
	}
	inv.halted, inv.timedUp = true, byDeadline
	close(inv.stop)
	if p := m.pools[inv.key]; p != nil && p.remove(inv) {
		m.wg.Go(func() { m.finish(inv, haltOutcome(byDeadline)) })
	}
}

// haltedBy tells why stop was closed.
func (m *Manager) haltedBy(inv *invocation) outcome {
	m.mu.Lock()
	defer m.mu.Unlock()
	return haltOutcome(inv.timedUp)
}

// finish makes a result final: durable first, then visible. A disk that refuses is tried again until the manager closes.
func (m *Manager) finish(inv *invocation, out outcome) {
	rec := &inv.rec
	r := Result{
		ID: rec.ID, State: out.State, ErrorType: out.ErrorType, ErrorMessage: out.ErrorMessage, StackTrace: out.StackTrace,
		Payload: out.Payload, Ended: out.Ended, TimedOut: out.TimedOut, MaxMemoryMB: out.MaxMemoryMB, Started: rec.Handed,
		LogStream: rec.Result.LogStream, ColdStart: rec.Result.ColdStart, LogTail: rec.Result.LogTail,
	}
	if !rec.Handed.IsZero() {
		r.Billed = billed(out.Ended.Sub(rec.Handed))
	}
	rec.Phase, rec.Result, rec.Outcome = phaseFinished, r, nil
	rec.strip()
	m.cfg.Fault("finishing")
	if err := m.persist(inv); err != nil {
		return // closing: the next manager decides again from what is durable
	}
	m.cfg.Fault("finished")
	m.mu.Lock()
	defer m.mu.Unlock()
	if inv.expiry != nil {
		inv.expiry.Stop()
	}
	inv.status = r
	delete(m.open, rec.ID)
	close(inv.done)
	m.log.Info("function invocation ended", "invocation", rec.ID, "function", rec.Invocation.Function.Name,
		"state", string(r.State), "error_type", r.ErrorType, "took", r.Billed.String())
}

// persist saves an invocation's record, again and again while the disk refuses. It gives up only when the manager closes.
func (m *Manager) persist(inv *invocation) error {
	for delay := 100 * time.Millisecond; ; delay = min(2*delay, 5*time.Second) {
		err := m.journal.save(inv.rec)
		if err == nil {
			return nil
		}
		m.log.Error("cannot write the journal, trying again", "invocation", inv.rec.ID, "err", err)
		t := time.NewTimer(delay)
		select {
		case <-t.C:
		case <-m.closing:
			t.Stop()
			return ErrClosed
		}
	}
}

func billed(d time.Duration) time.Duration {
	return (max(d, 0) + time.Millisecond - 1).Truncate(time.Millisecond)
}

// Close ends the manager and leaves everything as it is: sandboxes and their handlers go on, the next manager takes over.
func (m *Manager) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	close(m.closing)
	for _, inv := range m.open {
		if inv.expiry != nil {
			inv.expiry.Stop()
		}
	}
	m.mu.Unlock()
	m.cancel()
	m.wg.Wait()
	return nil
}

// StopAll kills every sandbox, then closes. Invocations that were running fail as cancelled; those that waited stay
// accepted and are run by the next manager.
func (m *Manager) StopAll(ctx context.Context) error {
	m.mu.Lock()
	boxes := make([]*box, 0, len(m.boxes))
	for _, b := range m.boxes {
		b.retire()
		boxes = append(boxes, b)
	}
	m.stopping = true
	m.mu.Unlock()
	for _, b := range boxes {
		select {
		case <-b.gone:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("stop sandboxes: %w", context.Cause(ctx)), m.Close())
		}
	}
	return m.Close()
}

// prune forgets finished invocations that are older than the retention.
func (m *Manager) prune(ctx context.Context) {
	for {
		ids, err := m.journal.ids("invocations")
		if err != nil {
			m.log.ErrorContext(ctx, "cannot list the journal", "err", err)
		}
		for _, id := range ids {
			rec, err := m.journal.load(id)
			if err != nil || rec.Phase != phaseFinished || time.Since(rec.Result.Ended) < m.cfg.Retention {
				continue
			}
			if err := durable.Remove(m.journal.invocationPath(id)); err != nil {
				m.log.ErrorContext(ctx, "cannot forget invocation", "invocation", id, "err", err)
			}
			if ctx.Err() != nil {
				return
			}
		}
		if pause(ctx, time.Hour) != nil {
			return
		}
	}
}
