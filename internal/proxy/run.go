package proxy

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// cutGrace is how long requests that a shutdown has cut may take to say so to their clients.
const cutGrace = time.Second

// Run serves until ctx ends, then lets what is in flight end for as long as the grace allows, and cuts the rest.
// Listening sockets that are kept elsewhere go on queueing connections. It must be called, once: it
// also gives back what New has taken.
func (s *Server) Run(ctx context.Context) error {
	// Requests outlive ctx by the grace.
	hard, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer s.release()
	s.applying.Lock()
	for _, l := range s.listeners {
		if l.isOpen() {
			l.start(hard)
		}
	}
	s.applying.Unlock()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.ledgers.recover(); err != nil {
			s.log.ErrorContext(hard, "a ledger could not be recovered", "error", err)
		}
		s.tidy(hard)
	})
	failed := make(chan error, 1)
	control := &http.Server{Handler: s.controlHandler(hard), ReadHeaderTimeout: DefaultHeaderTimeout}
	if s.control != nil {
		wg.Go(func() { failed <- control.Serve(s.control) })
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serve control socket: %w", err)
	}
	s.shadows.stop()
	s.shutdown(hard)
	stop()
	s.retired.Wait()
	_ = control.Close()
	wg.Wait()
	return err
}

// tidy runs the janitor.
func (s *Server) tidy(ctx context.Context) {
	ticker := time.NewTicker(janitorPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			s.shadows.sweep(now)
			s.applying.Lock()
			if !s.closing {
				s.reopen(ctx)
				s.router.sweep(now)
				t, _ := s.router.snapshot()
				s.meters.sweep(t, now)
				s.ledgers.release(func(name string) bool {
					return slices.ContainsFunc(t.Listeners, func(l Listener) bool { return l.Ledger == name })
				})
			}
			s.applying.Unlock()
		}
	}
}

func (s *Server) shutdown(ctx context.Context) {
	s.applying.Lock()
	s.closing = true
	listeners := s.listeners
	s.applying.Unlock()
	cut := func() {
		_, groups := s.router.snapshot()
		for _, g := range groups {
			g.cut(kindShutdown)
		}
	}
	cutter := time.AfterFunc(s.grace, cut)
	defer cutter.Stop()
	ctx, cancel := context.WithTimeout(ctx, s.grace+cutGrace)
	defer cancel()
	defer context.AfterFunc(ctx, cut)() // what began after the first cut
	var wg sync.WaitGroup
	for _, l := range listeners {
		l.close()
		wg.Go(func() { l.wait(ctx) })
	}
	wg.Wait()
}

// release gives back what New has taken.
func (s *Server) release() {
	_, groups := s.router.snapshot()
	for _, g := range groups {
		g.shut()
	}
	for _, l := range s.listeners {
		l.close()
	}
	for _, ln := range s.inherited {
		_ = ln.Close()
	}
	if s.control != nil {
		_ = s.control.Close()
	}
	s.ledgers.release(func(string) bool { return false })
	_ = s.lock.Close()
}
