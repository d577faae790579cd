package supervise

import (
	"context"
	"fmt"
	"net"
	"time"
)

const (
	adoptWait  = 5 * time.Second // for a child of a dead supervisor to come as far as Receive
	fetchAgain = 250 * time.Millisecond
)

// takeOver finds out whether a process of the role runs already: then it is adopted, else its lock is ours.
func (s *Supervisor) takeOver(r *role) error {
	path := s.path("run", r.spec.Name+".lock")
	fd, err := openLock(path)
	if err != nil {
		return err
	}
	deadline := time.Now().Add(adoptWait)
	for {
		got, err := tryLock(fd)
		if err != nil {
			closeAll(fd)
			return err
		}
		if got {
			r.lock = fd
			return nil
		}
		id := readHolder(fd)
		if p, err := adoptHolder(id); err == nil {
			closeAll(fd)
			s.install(r, p)
			return nil
		}
		if time.Now().After(deadline) || !id.Supervised && id.alive() {
			closeAll(fd)
			return fmt.Errorf("role %s already runs, and not under a supervisor (process %d holds %s): stop that one first",
				r.spec.Name, id.PID, path)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func adoptHolder(id identity) (*process, error) {
	if !id.Supervised {
		return nil, fmt.Errorf("process %d is not ours", id.PID)
	}
	return adopt(id)
}

// install makes an adopted process the role's and fetches its sockets.
func (s *Supervisor) install(r *role, p *process) {
	s.mu.Lock()
	r.proc = p
	r.status.PID, r.status.StartTicks, r.status.BootID, r.status.Adopted = p.id.PID, p.id.StartTicks, p.id.BootID, true
	s.setLocked(r, StateStarting)
	s.mu.Unlock()
	s.log.Info("role adopted", "role", r.spec.Name, "pid", p.id.PID)
	s.recover(context.Background(), r, p)
}

// recover fetches the sockets of an adopted process. One that does not answer is asked again while it runs (see watch).
func (s *Supervisor) recover(ctx context.Context, r *role, p *process) {
	fds, ready, err := fetch(ctx, s.path("run", r.spec.Name+".fds"), p.id.PID)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if !r.lost {
			s.log.WarnContext(ctx, "sockets of an adopted role are not to be had yet", "role", r.spec.Name, "err", err)
		}
		r.lost = true // and not ready: it may hang, or be about to die
		return
	}
	r.lost = false
	for name, fd := range fds {
		if old, ok := r.sockets[name]; ok {
			closeAll(old.fd)
		}
		r.sockets[name] = held{fd: fd, addr: addrOf(fd)}
	}
	s.matchLocked(r)
	s.markLocked(r)
	if ready {
		s.readyLocked(r)
	}
}

// matchLocked compares what an adopted role serves with what the configuration wants now. Where they differ the role
// gets a new process with the right sockets; where a socket is to be had no more it is dropped.
func (s *Supervisor) matchLocked(r *role) {
	fits := true
	for _, k := range r.want {
		h, ok := r.sockets[k.Name]
		if ok && k.matches(h.addr) {
			h.fixed = true
			if a, isUnix := h.addr.(*net.UnixAddr); isUnix {
				a.Name = k.Address
			}
			r.sockets[k.Name] = h
			continue
		}
		fits = false
		if ok {
			closeAll(h.fd)
			delete(r.sockets, k.Name)
		}
	}
	if !fits {
		s.log.Warn("adopted role serves other sockets than configured, it is restarted", "role", r.spec.Name)
		select {
		case r.renew <- struct{}{}:
		default:
		}
	}
}
