// Package l7 moves traffic with our own data plane: it is the engine's Router over internal/proxy.
//
// The table that the data plane serves is made whole from the resources each time and bears their
// revision, so it does not matter who changed what: the newest revision wins, and an older one is
// refused by the data plane itself.
package l7

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/proxy"
)

// Resources are the listeners and task sets that make the table; *cloud.Cloud is one.
type Resources interface {
	State() cloud.State
	Changed() <-chan struct{}
	Route(ctx context.Context, r deploy.Route) (int64, error)
	Advance(ctx context.Context, revision int64) error
}

// Router is the engine's Router.
type Router struct {
	resources Resources
	proxy     *proxy.Client
	log       *slog.Logger

	mu    sync.Mutex
	acked int64 // newest revision that the data plane confirmed to this process
	// unopened are the listeners that were left out of that table, by name: their address cannot be
	// listened on, and that must not keep others from being served.
	unopened map[string]*proxy.ListenError
}

// New returns a router that speaks to the data plane through client.
func New(resources Resources, client *proxy.Client, log *slog.Logger) *Router {
	return &Router{resources: resources, proxy: client, log: log}
}

// Shift implements engine.Router.
func (r *Router) Shift(ctx context.Context, route deploy.Route) error {
	revision, err := r.resources.Route(ctx, route)
	if err != nil {
		return fmt.Errorf("route service %s: %w", route.Service, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	tried, err := r.syncLocked(ctx, revision)
	if err == nil && !tried && r.unopenedLocked(route.Service) != nil {
		// The address may be free by now. The table that leaves it out has this version, so it takes another.
		if err = r.resources.Advance(ctx, r.acked); err == nil {
			err = r.applyLocked(ctx)
		}
	}
	if err != nil {
		return err
	}
	if listen := r.unopenedLocked(route.Service); listen != nil {
		return fmt.Errorf("route service %s: %w", route.Service, listen)
	}
	return nil
}

// unopenedLocked is why a listener of the service is not served, or nil.
func (r *Router) unopenedLocked(service string) *proxy.ListenError {
	for _, role := range []cloud.Role{cloud.RoleProduction, cloud.RoleTest} {
		if err := r.unopened[cloud.Listener{Service: service, Role: role}.Name()]; err != nil {
			return err
		}
	}
	if svc, ok := cloud.Find[cloud.ECSService](r.resources.State(), service); ok {
		if err := r.unopened[ListenerName(svc.Routing.Production)]; err != nil {
			return err
		}
		return r.unopened[ListenerName(svc.Routing.Test)]
	}
	return nil
}

// Sync returns once the data plane has confirmed a table of at least this revision. A
// *proxy.ListenError says that the table is in force without a listener that cannot be opened.
func (r *Router) Sync(ctx context.Context, revision int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.syncLocked(ctx, revision); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(r.unopened)) {
		return fmt.Errorf("apply table %d: %w", r.acked, r.unopened[name])
	}
	return nil
}

// syncLocked reports whether a table had to be applied.
func (r *Router) syncLocked(ctx context.Context, revision int64) (bool, error) {
	if r.acked >= revision && r.acked > 0 {
		return false, nil
	}
	return true, r.applyLocked(ctx)
}

// applyLocked gives the data plane the newest table, without the listeners that cannot be opened.
func (r *Router) applyLocked(ctx context.Context) error {
	unopened := map[string]*proxy.ListenError{}
	for {
		table := Table(r.resources.State())
		table.Listeners = slices.DeleteFunc(table.Listeners, func(l proxy.Listener) bool { return unopened[l.Name] != nil })
		ack, err := r.proxy.Apply(ctx, table)
		var stale *proxy.StaleError
		var listen *proxy.ListenError
		switch {
		case err == nil:
			r.acked, r.unopened = ack.Version, unopened
			return nil
		case errors.As(err, &listen) && unopened[listen.Listener] == nil:
			unopened[listen.Listener] = listen
		case errors.As(err, &stale):
			// The data plane has seen a later revision than the store holds (a restored backup, say).
			if err := r.resources.Advance(ctx, stale.Current); err != nil {
				return fmt.Errorf("advance table version: %w", err)
			}
		default:
			return fmt.Errorf("apply table %d: %w", table.Version, err)
		}
	}
}

// lookPause is how often Run looks whether the data plane still has its table.
const lookPause = time.Second

// look forgets what was confirmed where the data plane has an older table, or none: it lost its folder.
func (r *Router) look(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t, err := r.proxy.Table(ctx); err == nil && t.Version < r.acked {
		r.log.WarnContext(ctx, "data plane lost its table", "has", t.Version, "confirmed", r.acked)
		r.acked = 0
	}
}

// Run keeps the data plane's table at the newest revision until ctx ends: targets that appear or
// go down between deployments, and a data plane that lost its table.
func (r *Router) Run(ctx context.Context) error {
	pause := 50 * time.Millisecond
	for {
		changed := r.resources.Changed()
		err := r.Sync(ctx, r.resources.State().Revision)
		var listen *proxy.ListenError
		if err == nil || errors.As(err, &listen) { // what is left out is told to whoever wants it
			pause = 50 * time.Millisecond
			select {
			case <-ctx.Done():
				return nil
			case <-changed:
			case <-time.After(lookPause):
				r.look(ctx)
			}
			continue
		}
		if ctx.Err() == nil {
			r.log.WarnContext(ctx, "sync data plane", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
			pause = min(2*pause, 2*time.Second)
		}
	}
}

// Drain implements engine.Router.
func (r *Router) Drain(ctx context.Context, taskSet string, limit time.Duration) (deploy.InFlight, error) {
	st, err := r.proxy.Drain(ctx, taskSet, limit)
	if err != nil {
		return deploy.InFlight{}, fmt.Errorf("drain task set %s: %w", taskSet, err)
	}
	return deploy.InFlight{Requests: st.Requests, Streams: st.Streams}, nil
}

// Table makes the data plane's table from the resources.
func Table(s cloud.State) proxy.Table {
	t := proxy.Table{Version: max(1, s.Revision)}
	for _, name := range slices.Sorted(maps.Keys(s.TaskSets)) {
		t.Groups = append(t.Groups, group(s.TaskSets[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Listeners)) {
		t.Listeners = append(t.Listeners, listener(s, s.Listeners[name]))
	}
	elb(&t, s)
	return t
}

// Fits says what the data plane would refuse of the resources: nil where it takes them whole.
func Fits(s cloud.State) error { return Table(s).Validate() }

func group(ts cloud.TaskSet) proxy.Group {
	g := proxy.Group{Name: ts.ID, Protocol: ts.Revision.Workload.Protocol}
	for _, target := range ts.Targets {
		g.Targets = append(g.Targets, proxy.Target{ID: target.ID, Address: target.Address, Down: target.Down})
	}
	return g
}

func listener(s cloud.State, l cloud.Listener) proxy.Listener {
	p := proxy.Listener{Name: l.Name(), Address: l.Address, NameTarget: l.Role == cloud.RoleTest, Ledger: l.Ledger}
	for _, w := range l.Weights {
		if _, ok := s.TaskSets[w.TaskSet]; ok {
			p.Action.Forward = append(p.Action.Forward, proxy.Weight{Group: w.TaskSet, Weight: w.Weight})
		}
	}
	return p
}

// Ledger implements engine.Router.
func (r *Router) Ledger(ctx context.Context, name, taskSet string) (deploy.Count, error) {
	l, err := r.proxy.Ledger(ctx, name)
	if errors.Is(err, proxy.ErrNotFound) {
		return deploy.Count{}, nil
	}
	if err != nil {
		return deploy.Count{}, fmt.Errorf("read ledger %s: %w", name, err)
	}
	row := l.Row(taskSet)
	return deploy.Count{
		Requests: int64(row.Served + row.Failed5xx + row.Cut), //nolint:gosec // counters of requests stay far below 2^63
		Failed:   int64(row.Failed5xx + row.Cut),              //nolint:gosec // as above
	}, nil
}

// Versions reads a whole ledger, one row a task set that it counted; version names them.
func (r *Router) Versions(ctx context.Context, name string, version func(taskSet string) string) ([]deploy.LedgerVersion, error) {
	l, err := r.proxy.Ledger(ctx, name)
	if errors.Is(err, proxy.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read ledger %s: %w", name, err)
	}
	var versions []deploy.LedgerVersion
	for _, row := range l.Rows {
		versions = append(versions, ledgerVersion(row, version(row.Group)))
	}
	return versions, nil
}

//nolint:gosec // counters of requests stay far below 2^63
func ledgerVersion(row proxy.LedgerRow, version string) deploy.LedgerVersion {
	return deploy.LedgerVersion{
		Version: version, TaskSet: row.Group, Requests: int64(row.Started), Served: int64(row.Served),
		Failed: int64(row.Failed5xx + row.Unrouted), Retried: int64(row.Retried), Cut: int64(row.Cut),
		ClientCut: int64(row.ClientAborted), P50: row.Latency.Quantile(0.5), P99: row.Latency.Quantile(0.99),
	}
}
