package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"greengate/internal/durable"
)

// DefaultGrace is how long a shutdown waits for what is in flight.
const DefaultGrace = 10 * time.Second

// janitorPeriod is how often idle connections, departed groups and unused ledgers are looked at, and addresses
// that could not be listened on are tried again.
const janitorPeriod = time.Second

// Config is what a data plane needs.
type Config struct {
	// Dir holds table.json, ledger/NAME.ledger and a lock. It is made if it does not exist.
	Dir string
	// Control is the unix socket of the control API; Run closes it. Nil serves the last table without control.
	Control net.Listener
	// Inherited are listening sockets that were kept over a restart, by "listener:" + address. The server owns them.
	Inherited map[string]net.Listener
	// Keep hands a newly opened listening socket to whoever keeps it over a restart, Forget ends that. Both may be nil.
	Keep   func(name string, l *net.TCPListener) error
	Forget func(name string) error
	// TrustedProxies are the peers whose X-Forwarded fields are believed. By default nobody's are: they are dropped.
	TrustedProxies []netip.Prefix
	// Grace is how long Run waits for what is in flight after its context has ended; 0 = 10 s.
	Grace time.Duration
	// Logger gets events of the data plane, not requests. Nil drops them.
	Logger *slog.Logger
}

// Server is a data plane. Make it with New, then Run it.
type Server struct {
	dir     string
	control net.Listener
	keep    func(name string, l *net.TCPListener) error
	forget  func(name string) error
	trusted []netip.Prefix
	grace   time.Duration
	log     *slog.Logger
	lock    *os.File

	router  router
	ledgers ledgers
	meters  *meters
	shadows shadows
	faults  faultCounters
	buffers buffers

	applying  sync.Mutex // guards what follows
	inherited map[string]net.Listener
	listeners map[string]*listener // by address
	closing   bool
	retired   sync.WaitGroup // listeners that left the table and still have connections
}

// New takes the folder, loads the last table and opens its listeners: after it has returned, connections wait for Run.
// A listener that cannot be opened does not keep the others from serving; it is tried again each second. A table
// file that cannot be read is set aside. ErrInUse when another process serves from the folder.
func New(c Config) (*Server, error) {
	s := &Server{
		dir: c.Dir, control: c.Control, keep: c.Keep, forget: c.Forget, trusted: c.TrustedProxies, grace: c.Grace, log: c.Logger,
		inherited: maps.Clone(c.Inherited), listeners: map[string]*listener{},
	}
	if s.grace == 0 {
		s.grace = DefaultGrace
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.inherited == nil {
		s.inherited = map[string]net.Listener{}
	}
	s.router = router{log: s.log, groups: map[string]*group{}}
	s.meters = newMeters(time.Now())
	s.shadows.by = map[string]*shadow{}
	s.ledgers = ledgers{dir: filepath.Join(c.Dir, "ledger"), log: s.log, now: time.Now, open: map[string]*ledger{}}
	if err := os.MkdirAll(s.ledgers.dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	var err error
	if s.lock, err = lockDir(c.Dir); err != nil {
		return nil, err
	}
	if err := errors.Join(durable.Sweep(c.Dir), durable.Sweep(s.ledgers.dir), s.restore()); err != nil {
		s.release()
		return nil, err
	}
	return s, nil
}

func (s *Server) tablePath() string { return filepath.Join(s.dir, "table.json") }

// restore puts the last table in force.
func (s *Server) restore() error {
	t, err := loadTable(s.tablePath())
	if errors.Is(err, ErrInvalidTable) {
		aside := fmt.Sprintf("%s.bad-%d", s.tablePath(), time.Now().UnixNano())
		s.log.Error("last table cannot be used and was set aside; nothing is served until a table is applied",
			"error", err, "kept_as", aside)
		if err := os.Rename(s.tablePath(), aside); err != nil {
			return fmt.Errorf("set table aside: %w", err)
		}
		return nil
	}
	if err != nil || t.Version == 0 {
		return err
	}
	for _, spec := range t.Listeners {
		l := newListener(s, spec)
		if err := l.open(context.Background(), s.inherited); err != nil {
			s.log.Error("listener cannot be opened and will be tried again", "listener", spec.Name,
				"address", spec.Address, "error", err)
		}
		s.listeners[spec.Address] = l
	}
	if err := s.install(t); err != nil {
		return err
	}
	s.dropInherited()
	return nil
}

// dropInherited closes kept sockets that the table does not name.
func (s *Server) dropInherited() {
	for name, ln := range s.inherited {
		_ = ln.Close()
		s.forgetSocket(name)
		delete(s.inherited, name)
	}
}

func (s *Server) forgetSocket(name string) {
	if s.forget == nil {
		return
	}
	if err := s.forget(name); err != nil {
		s.log.Warn("listening socket is still kept", "name", name, "error", err)
	}
}

// routes makes what the listeners of a table do.
func (s *Server) routes(t Table) (map[*routing]*route, error) {
	for _, g := range t.Groups {
		s.router.group(g.Name)
	}
	routes := make(map[*routing]*route, len(t.Listeners))
	for _, spec := range t.Listeners {
		r, err := s.route(spec)
		if err != nil {
			return nil, fmt.Errorf("listener %q: %w", spec.Name, err)
		}
		routes[&s.listeners[spec.Address].routing] = r
	}
	return routes, nil
}

func (s *Server) route(spec Listener) (*route, error) {
	r := &route{limits: spec.Limits.withDefaults(), nameTarget: spec.NameTarget, meter: s.meters.get(spec.Name, "")}
	row := func(string) (*row, error) { return nil, nil } //nolint:nilnil // a nil row counts nothing
	if spec.Ledger != "" {
		l, err := s.ledgers.get(spec.Ledger)
		if err != nil {
			return nil, err
		}
		row = l.row
	}
	var err error
	if r.row, err = row(""); err != nil {
		return nil, err
	}
	if r.otherwise, err = s.action(spec.Name, spec.Action, row); err != nil {
		return nil, err
	}
	for _, rs := range inOrder(spec.Rules) {
		a, err := s.action(spec.Name, rs.Action, row)
		if err != nil {
			return nil, err
		}
		r.rules = append(r.rules, rule{compileConditions(rs.Conditions), a})
	}
	return r, nil
}

// action makes an action ready; row finds the row of a group in the listener's ledger.
func (s *Server) action(listener string, spec Action, row func(group string) (*row, error)) (action, error) {
	a := action{fixed: spec.Fixed}
	if spec.Redirect != nil {
		full := spec.Redirect.withDefaults()
		a.redirect = &full
	}
	for _, w := range spec.Forward {
		if w.Weight == 0 {
			continue
		}
		r, err := row(w.Group)
		if err != nil {
			return action{}, err
		}
		a.choices = append(a.choices, choice{group: s.router.group(w.Group), weight: w.Weight, row: r, meter: s.meters.get(listener, w.Group)})
		a.total += w.Weight
	}
	return a, nil
}

// install puts a table in force whose listeners exist.
func (s *Server) install(t Table) error {
	routes, err := s.routes(t)
	if err != nil {
		return err
	}
	s.router.swap(t, routes)
	return nil
}

// apply is Client.Apply. ctx is that of the connections that new listeners accept.
func (s *Server) apply(ctx context.Context, t Table) (Ack, error) {
	if err := t.Validate(); err != nil {
		return Ack{}, fmt.Errorf("%w: %w", ErrInvalidTable, err)
	}
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.closing {
		return Ack{}, errors.New("the data plane is shutting down")
	}
	current, _ := s.router.snapshot()
	switch {
	case t.Version == current.Version && t.equal(current):
		s.reopen(ctx)
		return s.ack(t), nil
	case t.Version <= current.Version:
		return Ack{}, &StaleError{Offered: t.Version, Current: current.Version}
	}
	opened, err := s.openNew(ctx, t)
	if err != nil {
		return Ack{}, err
	}
	if err := s.replace(t); err != nil {
		for _, l := range opened {
			s.retire(ctx, l)
		}
		return Ack{}, err
	}
	for _, l := range opened {
		l.start(ctx)
	}
	s.reopen(ctx)
	s.retireUnused(ctx, t)
	s.dropInherited()
	s.log.InfoContext(ctx, "table applied", "version", t.Version)
	return s.ack(t), nil
}

// openNew opens the listeners that the present table does not have: all of them, or none.
func (s *Server) openNew(ctx context.Context, t Table) ([]*listener, error) {
	var opened []*listener
	for _, spec := range t.Listeners {
		if s.listeners[spec.Address] != nil {
			continue
		}
		l := newListener(s, spec)
		if err := l.open(ctx, s.inherited); err != nil {
			for _, l := range opened {
				s.retire(ctx, l)
			}
			if op, ok := errors.AsType[*net.OpError](err); ok {
				err = op.Err
			}
			return nil, &ListenError{Listener: spec.Name, Address: spec.Address, Reason: err.Error()}
		}
		s.listeners[spec.Address] = l
		opened = append(opened, l)
	}
	return opened, nil
}

// replace saves the table, then puts it in force.
func (s *Server) replace(t Table) error {
	routes, err := s.routes(t)
	if err != nil {
		return err
	}
	if err := saveTable(s.tablePath(), t); err != nil {
		return err
	}
	for _, spec := range t.Listeners {
		s.listeners[spec.Address].rename(spec.Name)
	}
	for _, l := range s.listeners { // those that the table does not have answer 503 until they are closed
		if routes[&l.routing] == nil {
			routes[&l.routing] = &route{limits: l.current.Load().limits}
		}
	}
	s.router.swap(t, routes)
	return nil
}

func (s *Server) retireUnused(ctx context.Context, t Table) {
	used := make(map[string]bool, len(t.Listeners))
	for _, spec := range t.Listeners {
		used[spec.Address] = true
	}
	for address, l := range s.listeners {
		if !used[address] {
			s.retire(ctx, l)
		}
	}
}

// retire closes a listening socket. Its connections end with the request that they are busy with.
func (s *Server) retire(ctx context.Context, l *listener) {
	delete(s.listeners, l.address)
	l.close()
	s.forgetSocket(inheritedKey(l.address))
	s.retired.Go(func() { l.wait(ctx) })
}

// reopen tries the listeners again that could not be opened.
func (s *Server) reopen(ctx context.Context) {
	for _, l := range s.listeners {
		if !l.isOpen() && l.open(ctx, s.inherited) == nil {
			l.start(ctx)
			s.log.InfoContext(ctx, "listener is open now", "address", l.address)
		}
	}
}

func (s *Server) ack(t Table) Ack {
	a := Ack{Version: t.Version, Listeners: []ListenerAck{}}
	for _, spec := range t.Listeners {
		a.Listeners = append(a.Listeners, s.listeners[spec.Address].ack())
	}
	return a
}

func (s *Server) status() Status {
	s.applying.Lock()
	defer s.applying.Unlock()
	t, groups := s.router.snapshot()
	st := Status{Version: t.Version, Listeners: []ListenerStatus{}, Groups: []GroupStatus{}, Errors: s.faults.snapshot()}
	for _, spec := range t.Listeners {
		st.Listeners = append(st.Listeners, s.listeners[spec.Address].status())
	}
	now := time.Now()
	for _, g := range groups {
		st.Groups = append(st.Groups, g.status(now))
	}
	slices.SortFunc(st.Groups, func(a, b GroupStatus) int { return strings.Compare(a.Name, b.Name) })
	return st
}
