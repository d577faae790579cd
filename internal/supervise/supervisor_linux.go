package supervise

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"greengate/internal/durable"
)

// maxKept bounds what one role may leave with the supervisor; systemd's FileDescriptorStoreMax= does the same.
const maxKept = 4096

// Supervisor runs the roles of one data folder. It is safe for concurrent use.
type Supervisor struct {
	cfg   Config
	log   *slog.Logger
	order []string // of the start
	lock  int
	inbox *inbox
	ready chan struct{} // closes when every role has been ready
	down  chan struct{} // closes when the end of everything is asked for
	fatal chan error    // holds the first error that ends Run
	dirty chan struct{} // a record is to be written

	stopOnce  sync.Once
	closeOnce sync.Once

	mu      sync.Mutex
	roles   map[string]*role
	pending int // roles that have not been ready yet
	running bool
	closed  bool
}

// role is one role and what is kept for it. What stands below is guarded by Supervisor.mu unless it says otherwise.
type role struct {
	spec     Role
	want     []Socket // of Config.Sockets
	status   Status
	proc     *process
	sockets  map[string]held
	readyAt  time.Time // of this process; zero when it is not ready
	wasReady bool      // under this supervisor
	changed  bool      // the record on disk is out of date

	// Of the role's own goroutine.
	lock     int   // taken before the first start; -1 when not held here
	logStart int64 // where the present process began to write
	lost     bool  // adopted, but its sockets could not be fetched yet

	firstReady chan struct{} // closes when the role is ready for the first time
	end        chan struct{} // closes when the process is to be stopped
	leave      chan struct{} // closes when the process is to be left alone
	renew      chan struct{} // asks for a new process in place of this one
	done       chan struct{} // closes when the role's goroutine has ended
}

// New takes the data folder, adopts the roles that an earlier supervisor left running, and opens the sockets that are
// missing. It starts nothing and signals nobody; after an error everything is as before. Where another supervisor holds
// the folder the error is a [LockedError]. The Supervisor must be ended by Run or Close.
func New(cfg Config) (*Supervisor, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	order, err := startOrder(cfg.Roles)
	if err != nil {
		return nil, err
	}
	s := &Supervisor{
		cfg: cfg, log: cfg.Logger, order: order, lock: -1,
		ready: make(chan struct{}), down: make(chan struct{}), fatal: make(chan error, 1), dirty: make(chan struct{}, 1),
		roles: make(map[string]*role, len(order)), pending: len(order),
	}
	for _, spec := range cfg.Roles {
		s.roles[spec.Name] = newRole(spec, cfg.Sockets)
	}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func newRole(spec Role, sockets []Socket) *role {
	r := &role{
		spec: spec, lock: -1, sockets: map[string]held{},
		status:     Status{Role: spec.Name, State: StateWaiting, Since: time.Now()},
		firstReady: make(chan struct{}), end: make(chan struct{}), leave: make(chan struct{}),
		renew: make(chan struct{}, 1), done: make(chan struct{}),
	}
	for _, k := range sockets {
		if k.Role == spec.Name {
			r.want = append(r.want, k)
		}
	}
	return r
}

func (s *Supervisor) prepare() error {
	if err := sealDescriptors(); err != nil {
		return err
	}
	if err := os.MkdirAll(s.cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	if err := s.takeFolder(); err != nil {
		return err
	}
	for _, sub := range []string{"run", "roles", "logs"} {
		if err := os.MkdirAll(filepath.Join(s.cfg.Dir, sub), 0o700); err != nil {
			return fmt.Errorf("make data folder: %w", err)
		}
	}
	if err := durable.Sweep(s.path("roles")); err != nil {
		return fmt.Errorf("look at records of roles: %w", err)
	}
	in, err := openInbox(s.path("run", "notify.sock"))
	if err != nil {
		return err
	}
	s.inbox = in
	in.handle = s.handle
	in.refused = func(pid int, err error) { s.log.Warn("notify datagram refused", "pid", pid, "err", err) }
	for _, name := range s.order {
		if err := s.takeOver(s.roles[name]); err != nil {
			return err
		}
	}
	for _, name := range s.order {
		if r := s.roles[name]; !r.lost {
			if err := s.openMissing(context.Background(), r); err != nil {
				return err
			}
		}
	}
	return nil
}

// takeFolder makes this the one supervisor of the folder.
func (s *Supervisor) takeFolder() error {
	path := s.path("lock")
	fd, err := openLock(path)
	if err != nil {
		return err
	}
	got, err := tryLock(fd)
	if err == nil && !got {
		err = &LockedError{Path: path, PID: readHolder(fd).PID}
	}
	if err != nil {
		closeAll(fd)
		return err
	}
	s.lock = fd
	id, err := identify(os.Getpid())
	if err != nil {
		return err
	}
	return writeHolder(fd, id)
}

func (s *Supervisor) path(elem ...string) string {
	return filepath.Join(append([]string{s.cfg.Dir}, elem...)...)
}

// Run starts the roles and keeps them running until ctx ends, a role asks for the end (StateDown), StopAll is called, or
// a role gives up at its first start (ExitError). It returns when every role that has to stop has stopped; nil unless a
// role gave up.
func (s *Supervisor) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.running || s.closed {
		s.mu.Unlock()
		return errors.New("the supervisor has run already")
	}
	s.running = true
	s.mu.Unlock()

	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	wg.Go(func() { s.writeRecords(work) })
	wg.Go(func() {
		if err := s.inbox.serve(); err != nil {
			s.fail(err)
		}
	})
	if reapsOrphans() {
		wg.Go(func() { s.reapOrphans(work) })
	}
	for _, name := range s.order {
		r := s.roles[name]
		wg.Go(func() { s.keep(work, r) })
	}
	err := s.await(ctx)
	cancel()
	err = errors.Join(err, s.Close())
	wg.Wait()
	s.flushRecords()
	return err
}

// await waits for the reason to end and stops what it says.
func (s *Supervisor) await(ctx context.Context) error {
	stops := func(r *role) bool { return s.cfg.Ephemeral || !r.spec.Survives }
	var err error
	select {
	case <-ctx.Done():
		s.log.InfoContext(ctx, "supervisor ends", "reason", "asked to")
	case <-s.down:
		s.log.InfoContext(ctx, "supervisor ends", "reason", "everything is to stop")
		stops = func(*role) bool { return true }
	case err = <-s.fatal:
		s.log.ErrorContext(ctx, "supervisor ends", "reason", "role gave up", "err", err)
		// What this run started goes with it; what ran before goes on.
		stops = func(r *role) bool { return s.cfg.Ephemeral || !r.spec.Survives || !s.statusOf(r).Adopted }
	}
	var left []*role
	for _, name := range slices.Backward(s.order) {
		r := s.roles[name]
		if !stops(r) {
			left = append(left, r)
			continue
		}
		close(r.end)
		<-r.done
	}
	for _, r := range left {
		close(r.leave)
		<-r.done
	}
	return err
}

func (s *Supervisor) fail(err error) {
	select {
	case s.fatal <- err:
	default:
	}
}

// Close lets go of the folder and the sockets without stopping a role. It is for a Supervisor that was never run; Run
// does it itself.
func (s *Supervisor) Close() error {
	s.closeOnce.Do(s.letGo)
	return nil
}

func (s *Supervisor) letGo() {
	if s.inbox != nil {
		s.inbox.close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, r := range s.roles {
		alive := r.proc != nil || s.statusOfLocked(r).State == StateLeft
		if r.proc != nil {
			r.proc.release()
			r.proc = nil
		}
		for name, h := range r.sockets {
			closeAll(h.fd)
			delete(r.sockets, name)
			if a, ok := h.addr.(*net.UnixAddr); ok && h.fixed && !alive {
				_ = os.Remove(a.Name)
			}
		}
		if r.lock >= 0 {
			closeAll(r.lock)
			r.lock = -1
		}
	}
	if s.lock >= 0 {
		closeAll(s.lock)
		s.lock = -1
	}
}

// Ready closes when every role has been ready once. One that was adopted says
// itself, with its sockets, whether it is.
func (s *Supervisor) Ready() <-chan struct{} { return s.ready }

// Addr is the address of a socket of Config.Sockets, with the port that the kernel chose; nil for an unknown one, and
// for one whose adopted role did not hand it over.
func (s *Supervisor) Addr(socket string) net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.roles {
		if h, ok := r.sockets[socket]; ok && h.fixed {
			return h.addr
		}
	}
	return nil
}

// Status tells of every role, in the order of the start.
func (s *Supervisor) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Status, len(s.order))
	for i, name := range s.order {
		all[i] = s.statusOfLocked(s.roles[name])
	}
	return all
}

func (s *Supervisor) statusOf(r *role) Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.statusOfLocked(r)
}

func (s *Supervisor) statusOfLocked(r *role) Status {
	st := r.status
	for name := range r.sockets {
		st.Sockets = append(st.Sockets, name)
	}
	slices.SortFunc(st.Sockets, cmp.Compare[string])
	return st
}

// StopAll makes Run stop every role, those that survive it otherwise included, and return nil.
func (s *Supervisor) StopAll() { s.stopOnce.Do(func() { close(s.down) }) }

// Restart gives a role a new process: the present one is stopped as Role says, the next one gets its sockets. It does
// not wait for it.
func (s *Supervisor) Restart(name string) error {
	r, ok := s.roles[name]
	if !ok {
		return fmt.Errorf("there is no role %q", name)
	}
	select {
	case r.renew <- struct{}{}:
	default: // asked for already
	}
	return nil
}

func (s *Supervisor) setLocked(r *role, st State) {
	r.status.State, r.status.Since = st, time.Now()
	s.markLocked(r)
}

func (s *Supervisor) set(r *role, st State) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setLocked(r, st)
}

// openMissing opens the configured sockets of a role that it does not hold yet.
func (s *Supervisor) openMissing(ctx context.Context, r *role) error {
	for _, k := range r.want {
		s.mu.Lock()
		_, ok := r.sockets[k.Name]
		s.mu.Unlock()
		if ok {
			continue
		}
		h, err := k.open(ctx)
		if err != nil {
			return err
		}
		s.mu.Lock()
		r.sockets[k.Name] = h
		s.mu.Unlock()
	}
	return nil
}
