package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/store"
	"greengate/internal/telemetry"
	"greengate/internal/traffic/l7"
)

// meter follows the stored history and counts it; it implements telemetry.Source. Counters begin anew with each
// controller, as Prometheus expects of them.
type meter struct {
	db      *store.DB
	cloud   *cloud.Cloud
	router  *l7.Router
	log     *slog.Logger
	metrics *telemetry.Metrics
}

func newMeter(c *Controller) (*meter, error) {
	m := &meter{db: c.db, cloud: c.cloud, router: c.router, log: c.opts.Log}
	var err error
	m.metrics, err = telemetry.New(m)
	return m, err
}

// Statuses implements telemetry.Source.
func (m *meter) Statuses(ctx context.Context) (map[deploy.Status]int64, error) {
	return m.db.Statuses(ctx)
}

// Traffic implements telemetry.Source.
func (m *meter) Traffic(ctx context.Context) ([]telemetry.Traffic, error) {
	state := m.cloud.State()
	name := func(taskSet string) string { return state.TaskSets[taskSet].Revision.Version }
	var list []telemetry.Traffic
	var failed []error
	add := func(service, ledger string) {
		if ledger == "" {
			return
		}
		versions, err := m.router.Versions(ctx, ledger, name)
		if err != nil {
			failed = append(failed, err)
			return
		}
		list = append(list, telemetry.Traffic{Service: service, Versions: versions})
	}
	for _, l := range state.Listeners {
		if l.Role == cloud.RoleProduction {
			add(l.Service, l.Ledger)
		}
	}
	for _, svc := range cloud.All[cloud.ECSService](state) {
		if l, ok := cloud.Find[cloud.ELBListener](state, svc.Routing.Production); ok {
			add(svc.ResourceKey(), l.Ledger)
		}
	}
	return list, errors.Join(failed...)
}

// run counts what happens from now on. A store that cannot be read now is asked again: nothing depends on counters.
func (m *meter) run(ctx context.Context) error {
	since := map[string]deploy.Record{} // the phase that each deployment is in
	after := int64(-1)
	for ctx.Err() == nil {
		var err error
		if after, err = m.follow(ctx, after, since); err != nil && ctx.Err() == nil {
			m.log.WarnContext(ctx, "count what happens", "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
	return nil
}

// follow counts the records after a place, -1 for the newest one, and returns the place until which it has counted.
func (m *meter) follow(ctx context.Context, after int64, since map[string]deploy.Record) (int64, error) {
	if after < 0 {
		return newestRecord(ctx, m.db)
	}
	records, err := m.db.Wait(ctx, "", after, 100)
	if err != nil {
		return after, err
	}
	for _, r := range records {
		if err := m.count(ctx, r, since); err != nil {
			return after, err
		}
		after = r.Seq
	}
	return after, nil
}

func (m *meter) count(ctx context.Context, r store.StoredRecord, since map[string]deploy.Record) error {
	switch r.Kind {
	case deploy.RecordPhase, deploy.RecordEnd:
		if before, ok := since[r.Deployment]; ok {
			m.metrics.Phase(before.Phase, r.At.Sub(before.At))
		}
		since[r.Deployment] = r.Record
		if r.Kind != deploy.RecordEnd {
			return nil
		}
		delete(since, r.Deployment)
		d, err := m.db.Deployment(ctx, r.Deployment)
		if err == nil {
			m.metrics.End(d)
		}
		return err
	case deploy.RecordVerdict:
		return m.verdict(ctx, r)
	}
	return nil
}

// verdict counts the verdict that a record tells of: the history has one record a verdict, in the same order.
func (m *meter) verdict(ctx context.Context, r store.StoredRecord) error {
	d, err := m.db.Deployment(ctx, r.Deployment)
	if err != nil {
		return err
	}
	records, err := m.db.Records(ctx, r.Deployment, 0, 1000)
	if err != nil {
		return err
	}
	n := 0
	for _, earlier := range records {
		if earlier.Kind == deploy.RecordVerdict && earlier.Seq < r.Seq {
			n++
		}
	}
	if n < len(d.Verdicts) {
		m.metrics.Verdict(d.Verdicts[n])
	}
	return nil
}

// describe is DescribeMetrics.
func (m *meter) describe(context.Context, awsapi.Principal, struct{}) (deploy.MetricsOutput, error) {
	text, err := m.metrics.Text()
	return deploy.MetricsOutput{Text: text}, err
}

// scrape answers Prometheus: programs of this machine without more ado, others with the key pair of somebody who may
// greengate:DescribeMetrics, by HTTP basic authentication.
func (c *Controller) scrape(w http.ResponseWriter, r *http.Request, api *awsapi.Server) {
	from, err := netip.ParseAddr(awsapi.Source(r))
	text := ""
	if err == nil && from.IsLoopback() && r.Header.Get("X-Forwarded-For") == "" && r.Header.Get("Forwarded") == "" {
		text, err = c.meter.metrics.Text()
	} else {
		by, ok := c.console.Basic(r)
		if !ok {
			w.Header().Set("WWW-Authenticate", `Basic realm="greengate"`)
			http.Error(w, "sign in with an access key and its secret", http.StatusUnauthorized)
			return
		}
		var out any
		out, err = api.Do(r.Context(), awsapi.InsideCall{By: by, Service: "greengate", Operation: "DescribeMetrics", Input: struct{}{}, Source: awsapi.Source(r), Agent: r.UserAgent()})
		if m, ok := out.(deploy.MetricsOutput); ok {
			text = m.Text
		}
	}
	if err != nil {
		http.Error(w, "metrics cannot be shown: "+err.Error(), http.StatusForbidden)
		return
	}
	w.Header().Set("Content-Type", telemetry.ContentType)
	_, _ = io.WriteString(w, text) // a scraper that left needs no answer
}

// readyLimit is how long each part may take to answer.
const readyLimit = 2 * time.Second

// readyz says whether the controller can do its work now: the store can be read, the data plane and the runner answer.
// healthz says only that the process answers.
func (c *Controller) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
	defer cancel()
	status, text := http.StatusOK, ""
	for _, part := range []struct {
		name string
		ask  func(context.Context) error
	}{
		{"store", func(ctx context.Context) error { _, err := c.db.Statuses(ctx); return err }},
		{"data plane", func(ctx context.Context) error {
			_, err := c.router.Versions(ctx, "readyz", func(string) string { return "" })
			return err
		}},
		{"runner", func(ctx context.Context) error { _, err := c.units.List(ctx, "readyz"); return err }},
	} {
		word := "ok"
		if err := part.ask(ctx); err != nil {
			c.opts.Log.WarnContext(ctx, "not ready", "part", part.name, "err", err)
			status, word = http.StatusServiceUnavailable, "does not answer"
		}
		text += fmt.Sprintf("%s: %s\n", part.name, word)
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // a health checker that left needs no answer
}
