package l7

import (
	"context"
	"fmt"
	"slices"
	"time"

	"greengate/internal/proxy"
)

// quietPoll is how often Quiet looks.
const quietPoll = 50 * time.Millisecond

// Quiet returns once the data plane has a table as new as the resources, and nothing is in flight at a target of a group,
// which must be down in that table; at the latest when limit is over.
func (r *Router) Quiet(ctx context.Context, group, target string, limit time.Duration) error {
	until := time.Now().Add(limit)
	r.mu.Lock()
	_, err := r.syncLocked(ctx, r.resources.State().Revision)
	r.mu.Unlock()
	for err == nil {
		var st proxy.Status
		if st, err = r.proxy.Status(ctx); err != nil {
			break
		}
		if !busy(st, group, target) || !time.Now().Before(until) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(quietPoll):
		}
	}
	return fmt.Errorf("await that target %s is quiet: %w", target, err)
}

func busy(st proxy.Status, group, target string) bool {
	return slices.ContainsFunc(st.Groups, func(g proxy.GroupStatus) bool {
		return g.Name == group && slices.ContainsFunc(g.Targets, func(t proxy.TargetStatus) bool { return t.ID == target && t.InFlight > 0 })
	})
}
