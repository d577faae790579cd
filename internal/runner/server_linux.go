package runner

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"greengate/internal/durable"
)

// Server is the runner role. Make it with New; its methods mean what those of Client mean.
type Server struct {
	cfg          Config
	logger       *slog.Logger
	boot         string
	installation string
	home         string
	cgroups      cgroupSet
	journal      journal
	book         *addressBook
	reaper       *reaper
	mux          *http.ServeMux
	lock         *os.File

	ready    chan struct{} // closed when the journal was taken over
	stopping chan struct{} // closed when Run ends
	keepers  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	units   map[string]*unit
	seq     uint64
	changed chan struct{} // closed and replaced at each change
}

// New opens the data folder for this process alone and detects what the machine offers. Nothing runs before Run.
func New(cfg Config) (*Server, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	for _, dir := range []string{cfg.Dir, filepath.Join(cfg.Dir, "units"), filepath.Join(cfg.Dir, "logs")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make data folder: %w", err)
		}
	}
	lock, err := lockFolder(filepath.Join(cfg.Dir, "lock"))
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg: cfg, logger: cfg.Logger, boot: cfg.BootID, lock: lock,
		journal: journal{dir: filepath.Join(cfg.Dir, "units")},
		mux:     http.NewServeMux(),
		ready:   make(chan struct{}), stopping: make(chan struct{}),
		units: map[string]*unit{}, changed: make(chan struct{}),
		// Later runners count on from a higher number, so a watcher of an earlier one is told everything.
		seq: uint64(time.Now().UnixMicro()),
	}
	if err := s.discover(); err != nil {
		_ = lock.Close()
		return nil, err
	}
	s.routes()
	return s, nil
}

// discover reads what identifies installation and boot, and finds the cgroups.
func (s *Server) discover() (err error) {
	if s.boot == "" {
		if s.boot, err = bootID(); err != nil {
			return err
		}
	}
	if s.installation, err = installationID(filepath.Join(s.cfg.Dir, "installation")); err != nil {
		return err
	}
	s.home = "/"
	if u, err := user.LookupId(strconv.Itoa(os.Getuid())); err == nil && u.HomeDir != "" {
		s.home = u.HomeDir
	}
	s.cgroups = detectCgroups(s.cfg.CgroupRoot, s.installation)
	s.book = newAddressBook(s.cfg.Loopback, s.cfg.NamespaceNet, s.installation)
	s.reaper, err = newReaper(s.cfg.Subreaper)
	return err
}

// installationID reads or makes the id of this data folder.
func installationID(path string) (string, error) {
	data, err := os.ReadFile(path) //nolint:gosec // a file of ours
	id := strings.TrimSpace(string(data))
	if err == nil && idPattern.MatchString(id) && len(id) <= 40 {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read installation id: %w", err)
	}
	id = strings.ToLower(rand.Text()[:12])
	return id, durable.WriteFile(path, []byte(id+"\n"), 0o600)
}

// lockFolder makes sure that one runner at a time works on a folder. The lock of a killed one may be held for a moment
// by a launcher that it was just starting.
func lockFolder(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // a file of ours
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			holder, _ := os.ReadFile(path) //nolint:gosec // a file of ours
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: another runner (pid %s) works on this folder: %w", path, strings.TrimSpace(string(holder)), err)
		}
	}
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // for the message above only
	}
	return f, nil
}

// Handle mounts a further handler on the control socket; call it before Run.
func (s *Server) Handle(pattern string, h http.Handler) { s.mux.Handle(pattern, h) }

// Run takes over the units of the journal and serves until ctx ends. Programs go on then. It can be called once.
func (s *Server) Run(ctx context.Context) error {
	defer func() { _ = s.lock.Close() }()
	stopReaper := s.reaper.run()
	defer stopReaper()
	if err := s.takeOver(ctx); err != nil {
		return err
	}
	close(s.ready)
	err := s.serve(ctx)
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	close(s.stopping)
	s.keepers.Wait()
	s.cgroups.removeEmpty()
	return err
}

// serve answers the control socket until ctx ends.
func (s *Server) serve(ctx context.Context) error {
	if s.cfg.Control == nil {
		<-ctx.Done()
		return nil
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	srv := &http.Server{
		Handler: s.mux, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:    slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return base },
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(s.cfg.Control) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve control socket: %w", err)
	case <-ctx.Done():
	}
	cancel() // ends long polls
	grace, stop := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer stop()
	if err := srv.Shutdown(grace); err != nil {
		_ = srv.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve control socket: %w", err)
	}
	return nil
}

// takeOver makes units of the journal's records and continues each where its record says it was.
func (s *Server) takeOver(ctx context.Context) error {
	records, err := s.journal.load()
	if err != nil {
		return err
	}
	for _, r := range records {
		u := newUnit(s, *r)
		if !r.State.Ended() {
			u.book(s.book.hold)
		}
		s.mu.Lock()
		s.units[r.Spec.ID] = u
		s.mu.Unlock()
		s.touch(u)
	}
	for _, u := range s.list("") {
		u.firstDone(nil)
		if u.record().State.Ended() {
			close(u.ended)
			continue
		}
		p := u.takeOver()
		s.startKeeper(ctx, func(ctx context.Context) { u.resume(ctx, p) })
	}
	return nil
}

// startKeeper runs a unit's keeper until it returns or Run ends, whatever becomes of ctx; it reports false when the
// server is closed.
func (s *Server) startKeeper(ctx context.Context, keep func(ctx context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.keepers.Go(func() {
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		defer cancel()
		go func() {
			select {
			case <-s.stopping:
				cancel()
			case <-ctx.Done():
			}
		}()
		keep(ctx)
	})
	return true
}

// awaitReady returns when the journal was taken over.
func (s *Server) awaitReady(ctx context.Context) error {
	select {
	case <-s.stopping:
		return &Error{Kind: kindClosed, Message: "the runner is ending; ask the next one"}
	default:
	}
	select {
	case <-s.ready:
		return nil
	case <-s.stopping:
		return &Error{Kind: kindClosed, Message: "the runner is ending; ask the next one"}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// touch tells watchers that a unit has changed.
func (s *Server) touch(u *unit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	u.version = s.seq
	close(s.changed)
	s.changed = make(chan struct{})
}

// find returns a unit or ErrNotFound.
func (s *Server) find(ctx context.Context, id string) (*unit, error) {
	if err := validID(id); err != nil {
		return nil, err
	}
	if err := s.awaitReady(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok := s.units[id]; ok {
		return u, nil
	}
	return nil, &Error{Kind: kindNotFound, Message: "no unit " + id}
}

// list returns the units of a group, or all, sorted by id.
func (s *Server) list(group string) []*unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []*unit
	for _, u := range s.units {
		if group == "" || u.group == group {
			list = append(list, u)
		}
	}
	slices.SortFunc(list, func(a, b *unit) int { return cmp.Compare(a.id, b.id) })
	return list
}

// unitOf names the unit that a process belongs to, "" if to none of this installation.
func (s *Server) unitOf(pid int) string {
	for _, u := range s.list("") {
		r := u.record()
		if r.State.Ended() {
			continue
		}
		members, err := u.tree(&r).members()
		if err == nil && slices.ContainsFunc(members, func(ps procStat) bool { return ps.pid == pid }) {
			return u.id
		}
	}
	return ""
}

func (s *Server) fault(point string) {
	if s.cfg.Fault != nil {
		s.cfg.Fault(point)
	}
}
