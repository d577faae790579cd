package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// watchLimit is how long Watch and Wait of the control interface wait at most.
const watchLimit = 30 * time.Second

// Ensure is Client.Ensure in this process.
func (s *Server) Ensure(ctx context.Context, spec Spec) (Status, error) {
	if err := spec.normalise(s.cfg.Dir + "/logs"); err != nil {
		return Status{}, err
	}
	if err := s.awaitReady(ctx); err != nil {
		return Status{}, err
	}
	u, isNew, err := s.claim(ctx, spec)
	if err != nil {
		return Status{}, err
	}
	switch {
	case isNew:
		err = s.enter(ctx, u)
	case u.revive():
		err = s.enterAgain(ctx, u)
	}
	if err != nil {
		return Status{}, err
	}
	return u.awaitFirst(ctx)
}

// claim returns the unit of that id, a new one if there is none.
func (s *Server) claim(ctx context.Context, spec Spec) (u *unit, isNew bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok := s.units[spec.ID]; ok {
		if have := u.record().Spec.Digest; have != spec.Digest {
			return nil, false, &Error{Kind: kindConflict, Message: fmt.Sprintf(
				"unit %s exists with digest %.20s, asked for %.20s; use another id, or stop and forget it first", spec.ID, have, spec.Digest)}
		}
		return u, false, nil
	}
	addr, port, err := s.book.take(ctx, &spec)
	if err != nil {
		return nil, false, fmt.Errorf("find address of unit %s: %w", spec.ID, err)
	}
	u = newUnit(s, record{
		Version: recordVersion, Spec: spec, Wish: wishRun, State: StateStarting, Address: addr.String(), Port: port,
	})
	s.units[spec.ID] = u
	return u, true, nil
}

// enter makes a new unit durable and starts its keeper.
func (s *Server) enter(ctx context.Context, u *unit) error {
	err := u.change(func(*record) {})
	if err == nil {
		s.fault("ensure.recorded")
		if !s.startKeeper(ctx, u.keep) {
			return &Error{Kind: kindClosed, Message: "the runner is ending; ask the next one"}
		}
		return nil
	}
	err = fmt.Errorf("record unit %s: %w", u.id, err)
	s.mu.Lock()
	delete(s.units, u.id)
	s.mu.Unlock()
	u.book(s.book.release)
	u.firstDone(err) // others may wait for it
	return err
}

// enterAgain gives a failed unit another attempt.
func (s *Server) enterAgain(ctx context.Context, u *unit) error {
	spec := u.record().Spec
	addr, port, err := s.book.take(ctx, &spec)
	if err == nil {
		err = u.change(func(r *record) {
			r.State, r.Reason, r.Exit = StateStarting, "", nil
			r.Address, r.Port = addr.String(), port
		})
		if err != nil {
			s.book.release(&spec, addr, port)
		}
	}
	if err != nil {
		err = fmt.Errorf("record unit %s: %w", u.id, err)
		_ = u.alter(func(r *record) { r.State = StateFailed }, false)
		u.mu.Lock()
		close(u.ended)
		u.mu.Unlock()
		u.firstDone(err)
		return err
	}
	if !s.startKeeper(ctx, u.keep) {
		return &Error{Kind: kindClosed, Message: "the runner is ending; ask the next one"}
	}
	return nil
}

// Get is Client.Get in this process.
func (s *Server) Get(ctx context.Context, id string) (Status, error) {
	u, err := s.find(ctx, id)
	if err != nil {
		return Status{}, err
	}
	return u.status(), nil
}

// List is Client.List in this process.
func (s *Server) List(ctx context.Context, group string) ([]Status, error) {
	if err := s.awaitReady(ctx); err != nil {
		return nil, err
	}
	sts := []Status{}
	for _, u := range s.list(group) {
		sts = append(sts, u.status())
	}
	return sts, nil
}

// Stop is Client.Stop in this process.
func (s *Server) Stop(ctx context.Context, id string) error {
	u, err := s.find(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if r := u.record(); r.Wish == wishStop || (r.State.Ended() && r.State != StateFailed) {
		return nil
	}
	err = u.change(func(r *record) {
		r.Wish = wishStop
		if !r.State.Ended() {
			r.State = StateStopping
		}
	})
	if err != nil {
		return fmt.Errorf("record stop of unit %s: %w", id, err)
	}
	u.nudge()
	return nil
}

// StopAll stops every unit and returns when all have ended, or with an error when ctx ends first.
func (s *Server) StopAll(ctx context.Context) error {
	if err := s.awaitReady(ctx); err != nil {
		return err
	}
	units := s.list("")
	var faults []error
	for _, u := range units {
		faults = append(faults, s.Stop(ctx, u.id))
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	for _, u := range units {
		if _, err := s.Wait(ctx, u.id); err != nil && !errors.Is(err, ErrNotFound) {
			return fmt.Errorf("stop unit %s: %w", u.id, err)
		}
	}
	return nil
}

// Forget is Client.Forget in this process.
func (s *Server) Forget(ctx context.Context, id string) error {
	u, err := s.find(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	u.saving.Lock()
	defer u.saving.Unlock()
	select {
	case <-u.endedSignal():
	default:
		return &Error{Kind: kindBusy, Message: fmt.Sprintf("unit %s is %s; stop it first", id, u.record().State)}
	}
	if err := s.journal.remove(id); err != nil {
		return fmt.Errorf("forget unit %s: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.units, id)
	return nil
}

// Restart is Client.Restart in this process.
func (s *Server) Restart(ctx context.Context, id string) error {
	u, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	r := u.record()
	if r.State.Ended() || r.Wish == wishStop || r.Spec.Mode != ModeService {
		return &Error{Kind: kindBusy, Message: fmt.Sprintf("unit %s (%s, %s) cannot be restarted; only a service that was not stopped can", id, r.Spec.Mode, r.State)}
	}
	err = u.change(func(r *record) {
		if r.PID != 0 && r.Ending == "" {
			r.Ending = endRestart
		}
	})
	if err != nil {
		return fmt.Errorf("record restart of unit %s: %w", id, err)
	}
	u.nudge()
	return nil
}

// Wait returns the status of a unit when it has ended; ErrClosed when the runner ends before.
func (s *Server) Wait(ctx context.Context, id string) (Status, error) {
	u, err := s.find(ctx, id)
	if err != nil {
		return Status{}, err
	}
	select {
	case <-u.endedSignal():
		return u.status(), nil
	case <-s.stopping:
		return u.status(), &Error{Kind: kindClosed, Message: "the runner is ending; ask the next one"}
	case <-ctx.Done():
		return u.status(), ctx.Err()
	}
}

// Watch is Client.Watch in this process.
func (s *Server) Watch(ctx context.Context, since uint64) ([]Status, uint64, error) {
	if err := s.awaitReady(ctx); err != nil {
		return nil, since, err
	}
	limit := time.NewTimer(watchLimit)
	defer limit.Stop()
	for {
		list, next, changed := s.changedSince(since)
		if len(list) > 0 || since == 0 {
			return list, next, nil
		}
		select {
		case <-changed:
		case <-limit.C:
			return nil, next, nil
		case <-s.stopping:
			return nil, next, &Error{Kind: kindClosed, Message: "the runner is ending; ask the next one"}
		case <-ctx.Done():
			return nil, since, ctx.Err()
		}
	}
}

func (s *Server) changedSince(since uint64) (list []Status, next uint64, changed <-chan struct{}) {
	s.mu.Lock()
	var units []*unit
	next, changed = s.seq, s.changed
	for _, u := range s.units {
		if u.version > since || since > next {
			units = append(units, u)
		}
	}
	s.mu.Unlock()
	for _, u := range units {
		list = append(list, u.status())
	}
	return list, next, changed
}

// Logs is Client.Logs in this process. Closing the stream ends it.
func (s *Server) Logs(ctx context.Context, id string, query LogQuery) (io.ReadCloser, error) {
	u, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(writeLogs(ctx, w, u.record().Spec.LogFile, query, u.endedSignal())) }()
	return r, nil
}
