package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"greengate/internal/deploy"
	"greengate/internal/engine"
)

// together runs n functions at the same time and reports their errors.
func together(t *testing.T, n int, fn func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = fn(i) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func testConcurrentCreate(s suite) {
	t := s.t
	const contenders = 16
	var won, refused atomic.Int32
	var winner atomic.Value
	messages := make([]string, contenders)
	together(t, contenders, func(i int) error {
		id := fmt.Sprintf("d-%d", i)
		err := s.Create(t.Context(), New(id, "g"), Event("begin"))
		if err == nil {
			won.Add(1)
			winner.Store(id)
			return nil
		}
		if !errors.Is(err, &deploy.Error{Code: deploy.CodeActiveDeployment}) {
			return err
		}
		refused.Add(1)
		messages[i] = err.Error()
		return nil
	})
	if won.Load() != 1 || refused.Load() != contenders-1 {
		t.Fatalf("%d won and %d were refused, want 1 and %d", won.Load(), refused.Load(), contenders-1)
	}
	for i, m := range messages {
		if m != "" && !strings.Contains(m, fmt.Sprintf("'%s'", winner.Load())) {
			t.Errorf("refusal %d does not name the winner %s: %s", i, winner.Load(), m)
		}
	}
}

// Of everything that happens at once each event is added once, and consumed by one commit.
func testConcurrentCommit(s suite) {
	t := s.t
	const deployments, keys, appenders, committers = 4, 25, 3, 3
	var ids []string
	for i := range deployments {
		ids = append(ids, fmt.Sprintf("d-%d", i))
		mustCreate(t, s, New(ids[i], fmt.Sprintf("g-%d", i)))
	}
	c := &contest{store: s, want: keys + 1, consumed: map[string]int{}}
	c.appending.Store(deployments * appenders)
	var added atomic.Int32
	together(t, deployments*(appenders+committers), func(i int) error {
		id := ids[i%deployments]
		if i/deployments >= appenders {
			return c.commitAll(t.Context(), id)
		}
		defer c.appending.Add(-1)
		for k := range keys {
			key := fmt.Sprintf("%s/%d", id, k)
			ok, err := s.Append(t.Context(), id, key, Event(key))
			if err != nil {
				return err
			}
			if ok {
				added.Add(1)
			}
		}
		return nil
	})
	if added.Load() != deployments*keys {
		t.Errorf("%d appends were told that they were first, want %d", added.Load(), deployments*keys)
	}
	if len(c.consumed) != deployments*(keys+1) {
		t.Errorf("%d events were consumed, want %d", len(c.consumed), deployments*(keys+1))
	}
	for event, n := range c.consumed {
		if n != 1 {
			t.Errorf("%s was consumed %d times", event, n)
		}
	}
	for _, id := range ids {
		wantInbox(t, s, id)
		if got := mustLoad(t, s, id).Deployment.Revno; got != keys+1 {
			t.Errorf("%s has revision %d after %d commits", id, got, keys+1)
		}
	}
}

// contest counts which events were consumed by commits that were accepted.
type contest struct {
	store     engine.Store
	want      int64        // the revision after the last event
	appending atomic.Int32 // appenders that are not done

	mu       sync.Mutex
	consumed map[string]int
}

// commitAll competes with others until the deployment has consumed all its events.
func (c *contest) commitAll(ctx context.Context, id string) error {
	for {
		complete := c.appending.Load() == 0
		l, err := c.store.Load(ctx, id)
		if err != nil {
			return err
		}
		if l.Deployment.Revno == c.want {
			return nil
		}
		if len(l.Inbox) == 0 {
			if complete {
				return fmt.Errorf("%s has an empty inbox at revision %d, want %d: an event was lost", id, l.Deployment.Revno, c.want)
			}
			continue
		}
		item := l.Inbox[0]
		err = c.store.Commit(ctx, deploy.Commit{Deployment: Next(l.Deployment, deploy.PhaseInstall), Consumed: item.ID})
		if errors.Is(err, deploy.ErrStale) {
			continue // another one was faster
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.consumed[id+" "+item.Event.Message]++
		c.mu.Unlock()
	}
}
