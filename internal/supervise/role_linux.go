package supervise

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lockWait = 2 * time.Second
	killWait = 10 * time.Second
	// exitConfig is the status of a role whose configuration is bad. A Go program that panics ends with it too.
	exitConfig = 2
)

var errEnded = errors.New("the role is to end")

// fate is how the watching of a process ended.
type fate int

const (
	died fate = iota
	renewed
	ended
	left
)

// keep runs one role until it is ended or left.
func (s *Supervisor) keep(ctx context.Context, r *role) {
	defer close(r.done)
	if !s.awaitOthers(r) {
		s.set(r, StateStopped)
		return
	}
	for s.live(ctx, r) {
		if !s.pause(r) {
			break
		}
	}
	if s.statusOf(r).State != StateLeft {
		s.set(r, StateStopped)
	}
}

// live runs one process of the role to its end and tells whether another one is to follow.
func (s *Supervisor) live(ctx context.Context, r *role) bool {
	p, err := s.present(ctx, r)
	if errors.Is(err, errEnded) {
		return false
	}
	if err != nil {
		return !s.couldNotStart(r, err)
	}
	how := s.watch(ctx, r, p)
	if how == left {
		s.set(r, StateLeft)
		return false
	}
	return !s.buried(r, p, how)
}

// awaitOthers waits for the roles that this one comes after, unless it runs already.
func (s *Supervisor) awaitOthers(r *role) bool {
	s.mu.Lock()
	runs := r.proc != nil
	s.mu.Unlock()
	if runs {
		return true
	}
	for _, name := range r.spec.After {
		select {
		case <-s.roles[name].firstReady:
		case <-r.end:
			return false
		case <-r.leave:
			return false
		}
	}
	return true
}

// present gives the adopted process at first, and else a new one.
func (s *Supervisor) present(ctx context.Context, r *role) (*process, error) {
	s.mu.Lock()
	p := r.proc
	s.mu.Unlock()
	if p != nil {
		return p, nil
	}
	select {
	case <-r.end:
		return nil, errEnded
	default:
	}
	return s.start(ctx, r)
}

func (s *Supervisor) start(ctx context.Context, r *role) (*process, error) {
	if err := s.takeRole(ctx, r); err != nil {
		return nil, err
	}
	defer func() {
		// The child has inherited it, and with it the lock.
		closeAll(r.lock)
		r.lock = -1
	}()
	if err := s.openMissing(ctx, r); err != nil {
		return nil, err
	}
	log, start, err := openLog(s.logPath(r), s.cfg.LogLimit)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	r.logStart = start
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("open null device: %w", err)
	}
	defer func() { _ = null.Close() }()

	// The inbox waits for the lock as well, so the first words of the new process find it known.
	s.mu.Lock()
	defer s.mu.Unlock()
	fds := []int{int(null.Fd()), int(log.Fd()), int(log.Fd())}
	names := slices.Sorted(maps.Keys(r.sockets))
	for _, name := range names {
		fds = append(fds, r.sockets[name].fd)
	}
	env, err := s.environment(r, names)
	if err != nil {
		return nil, err
	}
	p, err := spawn(r.spec, env, append(fds, r.lock))
	if err != nil {
		return nil, err
	}
	r.proc, r.readyAt = p, time.Time{}
	select {
	case <-r.renew: // this is the new one
	default:
	}
	r.status.PID, r.status.StartTicks, r.status.BootID, r.status.Adopted = p.id.PID, p.id.StartTicks, p.id.BootID, false
	r.status.Text = ""
	s.setLocked(r, StateStarting)
	s.log.InfoContext(ctx, "role started", "role", r.spec.Name, "pid", p.id.PID, "sockets", len(names))
	return p, nil
}

// takeRole takes the role's lock. One that a dead process held is free at once, save for a child that it was just
// forking.
func (s *Supervisor) takeRole(ctx context.Context, r *role) error {
	if r.lock >= 0 {
		return nil
	}
	path := s.path("run", r.spec.Name+".lock")
	fd, err := openLock(path)
	if err != nil {
		return err
	}
	got, err := awaitLock(ctx, fd, lockWait)
	if err == nil && !got {
		err = fmt.Errorf("process %d still holds %s", readHolder(fd).PID, path)
	}
	if err != nil {
		closeAll(fd)
		return err
	}
	r.lock = fd
	return nil
}

func (s *Supervisor) environment(r *role, names []string) ([]string, error) {
	list, err := joinNames(names)
	if err != nil {
		return nil, err
	}
	// What the caller took over from its own environment must not contradict what this process is handed.
	env := slices.DeleteFunc(slices.Clone(r.spec.Env), func(kv string) bool {
		key, _, _ := strings.Cut(kv, "=")
		return slices.Contains(contractVariables(), key)
	})
	if len(names) > 0 {
		env = append(env, envListenFDs+"="+strconv.Itoa(len(names)), envListenNames+"="+list)
	}
	return append(env,
		envNotify+"="+s.inbox.path,
		envRole+"="+r.spec.Name,
		envRun+"="+s.path("run"),
		envLock+"="+strconv.Itoa(firstFD+len(names)),
	), nil
}

func (s *Supervisor) logPath(r *role) string { return s.path("logs", r.spec.Name+".log") }

// watch waits until the process has ended, or is to be left alone.
func (s *Supervisor) watch(ctx context.Context, r *role, p *process) fate {
	var again <-chan time.Time
	if r.lost {
		t := time.NewTicker(fetchAgain)
		defer t.Stop()
		again = t.C
	}
	for {
		select {
		case <-p.exited:
			return died
		case <-r.end:
			s.stop(r, p)
			return ended
		case <-r.renew:
			s.stop(r, p)
			return renewed
		case <-again:
			if s.recover(ctx, r, p); !r.lost {
				again = nil
			}
		case <-r.leave:
			select {
			case <-p.exited:
				return died // it is left behind running, so once more
			default:
				return left
			}
		}
	}
}

// stop asks the process to end and makes it end.
func (s *Supervisor) stop(r *role, p *process) {
	s.set(r, StateStopping)
	if err := p.signal(r.spec.StopSignal); err != nil {
		s.log.Warn("role is not asked to stop", "role", r.spec.Name, "err", err)
	}
	grace := time.NewTimer(r.spec.StopTimeout)
	defer grace.Stop()
	select {
	case <-p.exited:
		return
	case <-grace.C:
	}
	s.log.Warn("role does not stop, it is killed", "role", r.spec.Name, "pid", p.id.PID, "after", r.spec.StopTimeout)
	if err := p.signal(unix.SIGKILL); err != nil {
		s.log.Warn("role is not killed", "role", r.spec.Name, "err", err)
	}
	last := time.NewTimer(killWait)
	defer last.Stop()
	select {
	case <-p.exited:
	case <-last.C:
		// In the kernel's hands, on a dead disk say. Its lock keeps a second one from starting.
		s.log.Error("role cannot be killed", "role", r.spec.Name, "pid", p.id.PID)
	}
}

// buried takes note of the end of a process and tells whether the role ends with it.
func (s *Supervisor) buried(r *role, p *process, how fate) bool {
	// What it said last is still in the inbox, perhaps a socket to keep.
	s.inbox.drain()
	s.mu.Lock()
	defer s.mu.Unlock()
	wasReady := !r.readyAt.IsZero()
	if how != ended {
		r.status.Deaths++
	}
	if how == renewed || wasReady && how == died && time.Since(r.readyAt) >= s.cfg.Backoff.Healthy {
		r.status.Deaths = 1
	}
	p.release()
	r.proc, r.readyAt, r.lost = nil, time.Time{}, false
	r.status.PID, r.status.StartTicks, r.status.BootID = 0, 0, ""
	r.status.LastExit = p.exit
	s.markLocked(r)
	s.log.Info("role ended", "role", r.spec.Name, "pid", p.id.PID, "exit", p.exit, "deaths", r.status.Deaths)
	if how == ended {
		return true
	}
	if p.code == exitConfig && !r.wasReady {
		s.fail(&ExitError{Role: r.spec.Name, Reason: p.exit, Log: s.logPath(r), Tail: tail(s.logPath(r), r.logStart)})
		return true
	}
	r.status.Restarts++
	return false
}

// couldNotStart takes note and tells whether the role gives up: a program that is not there at the first start will not
// come by waiting.
func (s *Supervisor) couldNotStart(r *role, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.status.Deaths++
	r.status.LastExit = err.Error()
	s.markLocked(r)
	s.log.Error("role could not be started", "role", r.spec.Name, "err", err)
	lasting := errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOEXEC)
	if lasting && r.status.Restarts == 0 && !r.wasReady {
		s.fail(&ExitError{Role: r.spec.Name, Reason: err.Error(), Log: s.logPath(r)})
		return true
	}
	r.status.Restarts++
	return false
}

// pause waits as Backoff says; false when the role is to end instead.
func (s *Supervisor) pause(r *role) bool {
	s.mu.Lock()
	d := s.cfg.Backoff.delay(r.status.Deaths)
	if d > 0 {
		s.setLocked(r, StateBackoff)
	}
	s.mu.Unlock()
	if d == 0 {
		return true
	}
	// Only its log says why it ends, and who starts an installation does not know of that file.
	said := tail(s.logPath(r), r.logStart)
	s.log.Warn("role keeps ending, it is started again after a pause", "role", r.spec.Name, "pause", d,
		"said", said[strings.LastIndexByte(said, '\n')+1:], "log", s.logPath(r))
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.renew:
		return true
	case <-r.end:
	case <-r.leave:
	}
	return false
}
