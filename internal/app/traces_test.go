package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/internal/cloud/cloudtest"
	"greengate/internal/config"
	"greengate/internal/deploy"
)

// taker takes traces, after it has refused some.
type taker struct {
	mu     sync.Mutex
	refuse int
	got    chan string
}

func (k *taker) Export(_ context.Context, d deploy.Deployment, records []deploy.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refuse > 0 {
		k.refuse--
		return errors.New("not now")
	}
	line := d.ID + " " + string(d.Status)
	for _, r := range records {
		line += " " + string(r.Phase)
	}
	k.got <- line
	return nil
}

func (k *taker) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-k.got:
		return line
	case <-time.After(40 * time.Second):
		t.Fatal("no trace was sent")
		return ""
	}
}

func tracingTo(t *testing.T, p *memoryPast, keep *cloudtest.Memory, k *taker) (stop func()) {
	t.Helper()
	tr := &tracer{db: p, keep: keep, to: k, log: slog.New(slog.DiscardHandler), pause: time.Millisecond, patience: time.Minute}
	return following(t, tr)
}

// TestTracer: what ends is sent whole, again where it was not taken, and by the next controller where none ran; what
// ended before the first one is not.
func TestTracer(t *testing.T) {
	t.Parallel()
	p, keep, k := newMemoryPast(), &cloudtest.Memory{}, &taker{refuse: 3, got: make(chan string, 10)}
	p.add(deploymentOf("d-OLD", deploy.StatusFailed), endedIn(deploy.PhaseFailed))
	stop := tracingTo(t, p, keep, k)
	p.add(deploymentOf("d-ONE", deploy.StatusInProgress), began)
	p.add(deploymentOf("d-ONE", deploy.StatusSucceeded), endedIn(deploy.PhaseSucceeded))
	if got := k.next(t); got != "d-ONE Succeeded BeforeInstall Succeeded" {
		t.Errorf("sent: %s", got)
	}
	for { // until it is stored that it was sent
		known, err := places(t.Context(), keep)
		if err != nil {
			t.Fatal(err)
		}
		if known[tracesPlace].After == 3 {
			break
		}
	}
	stop()
	p.add(deploymentOf("d-TWO", deploy.StatusFailed), began, endedIn(deploy.PhaseFailed))
	tracingTo(t, p, keep, k)
	if got := k.next(t); got != "d-TWO Failed BeforeInstall Failed" {
		t.Errorf("the next controller sent: %s", got)
	}
}

// TestTracer_off: a controller without traces has nothing to run.
func TestTracer_off(t *testing.T) {
	t.Parallel()
	tr, err := newTracer(t.Context(), &Controller{})
	if err != nil || tr != nil || tr.run(t.Context()) != nil {
		t.Errorf("%v, %v", tr, err)
	}
}

// TestServe_traceEnvironment: the controller alone is told where traces go, for that may be a secret.
func TestServe_traceEnvironment(t *testing.T) {
	t.Parallel()
	const secret = "OTEL_EXPORTER_OTLP_HEADERS=key=secret"
	c := superviseConfig(ServeOptions{Settings: config.Serve{Data: "/data"}, Env: []string{"PATH=/bin"}, TraceEnv: []string{secret}})
	for _, role := range c.Roles {
		if got, want := slices.Contains(role.Env, secret), role.Name == RoleController; got != want {
			t.Errorf("%s has the environment %s", role.Name, strings.Join(role.Env, " "))
		}
	}
}
