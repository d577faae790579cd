// Package telemetry counts what happens to deployments and to production traffic, for Prometheus. It has a registry of
// its own: what a library registers elsewhere is not ours to show.
package telemetry

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"

	"greengate/internal/deploy"
)

// Source knows what is read at the time of a scrape.
type Source interface {
	// Statuses counts the deployments that are stored, by status.
	Statuses(ctx context.Context) (map[deploy.Status]int64, error)
	// Traffic is what the data plane has counted for each service since its ledger began.
	Traffic(ctx context.Context) ([]Traffic, error)
}

// Traffic is the ledger of one service, a row a version.
type Traffic struct {
	Service  string
	Versions []deploy.LedgerVersion
}

// Metrics is the registry with our counters. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	source   Source

	phases   *prometheus.HistogramVec
	hooks    *prometheus.HistogramVec
	verdicts *prometheus.CounterVec
	ends     *prometheus.CounterVec
	failed   prometheus.Counter
	statuses *prometheus.Desc
	requests *prometheus.Desc
	latency  *prometheus.Desc
}

// scrapeLimit is how long a scrape may wait for the store and the data plane.
const scrapeLimit = 5 * time.Second

// New makes the registry.
func New(source Source) (*Metrics, error) {
	m := &Metrics{
		registry: prometheus.NewRegistry(), source: source,
		phases: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "greengate_phase_duration_seconds", Help: "How long deployments stayed in a phase.",
			Buckets: []float64{.01, .05, .1, .5, 1, 5, 15, 60, 300, 900, 3600},
		}, []string{"phase"}),
		hooks: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "greengate_hook_duration_seconds", Help: "How long attempts of hooks took, by kind.",
			Buckets: []float64{.05, .1, .5, 1, 5, 15, 60, 300, 900, 3600},
		}, []string{"kind"}),
		verdicts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "greengate_verdicts_total", Help: "Verdicts of hooks; status error is one that could not tell.",
		}, []string{"kind", "event", "status"}),
		ends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "greengate_deployments_ended_total", Help: "Deployments that ended, by service, kind and status.",
		}, []string{"service", "kind", "status"}),
		failed:   prometheus.NewCounter(prometheus.CounterOpts{Name: "greengate_scrape_errors_total", Help: "Scrapes in which something could not be read."}),
		statuses: prometheus.NewDesc("greengate_deployments", "Deployments that are stored, by status.", []string{"status"}, nil),
		requests: prometheus.NewDesc("greengate_requests_total", "Production requests since the ledger of the service began, by version and outcome.", []string{"service", "version", "outcome"}, nil),
		latency:  prometheus.NewDesc("greengate_request_latency_seconds", "Latency of production requests since the ledger of the service began.", []string{"service", "version", "quantile"}, nil),
	}
	for _, c := range []prometheus.Collector{
		m.phases, m.hooks, m.verdicts, m.ends, m.failed, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), m,
	} {
		if err := m.registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// Phase counts that a deployment left a phase.
func (m *Metrics) Phase(p deploy.Phase, took time.Duration) {
	m.phases.WithLabelValues(string(p)).Observe(took.Seconds())
}

// Verdict counts a verdict.
func (m *Metrics) Verdict(v deploy.Verdict) {
	m.verdicts.WithLabelValues(string(v.Kind), string(v.Event), string(v.Status)).Inc()
	m.hooks.WithLabelValues(string(v.Kind)).Observe(v.End.Sub(v.Start).Seconds())
}

// End counts a deployment that ended.
func (m *Metrics) End(d deploy.Deployment) {
	m.ends.WithLabelValues(d.Plan.Service, string(d.Kind), string(d.Status)).Inc()
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.statuses
	ch <- m.requests
	ch <- m.latency
}

// Collect implements prometheus.Collector. What cannot be read now is left out and counted as an error.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	statuses, err := m.source.Statuses(ctx)
	if err != nil {
		m.failed.Inc()
	}
	for status, n := range statuses {
		ch <- prometheus.MustNewConstMetric(m.statuses, prometheus.GaugeValue, float64(n), string(status))
	}
	traffic, err := m.source.Traffic(ctx)
	if err != nil {
		m.failed.Inc()
	}
	for _, t := range traffic {
		for version, v := range byVersion(t.Versions) {
			for outcome, n := range map[string]int64{"served": v.Served, "failed": v.Failed, "cut": v.Cut, "client_cut": v.ClientCut} {
				ch <- prometheus.MustNewConstMetric(m.requests, prometheus.CounterValue, float64(n), t.Service, version, outcome)
			}
			ch <- prometheus.MustNewConstMetric(m.latency, prometheus.GaugeValue, v.P50.Seconds(), t.Service, version, "0.5")
			ch <- prometheus.MustNewConstMetric(m.latency, prometheus.GaugeValue, v.P99.Seconds(), t.Service, version, "0.99")
		}
	}
}

// byVersion adds up task sets that bear the same version: a series must not be there twice.
func byVersion(rows []deploy.LedgerVersion) map[string]deploy.LedgerVersion {
	sums := map[string]deploy.LedgerVersion{}
	for _, r := range rows {
		s := sums[r.Version]
		s.Served, s.Failed, s.Cut, s.ClientCut = s.Served+r.Served, s.Failed+r.Failed, s.Cut+r.Cut, s.ClientCut+r.ClientCut
		s.P50, s.P99 = max(s.P50, r.P50), max(s.P99, r.P99)
		sums[r.Version] = s
	}
	return sums
}

// ContentType is that of Text.
const ContentType = "text/plain; version=0.0.4; charset=utf-8"

// Text is everything in the text format of Prometheus.
func (m *Metrics) Text() (string, error) {
	families, err := m.registry.Gather()
	if err != nil {
		return "", fmt.Errorf("gather metrics: %w", err)
	}
	var b bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			return "", fmt.Errorf("write metrics: %w", err)
		}
	}
	return b.String(), nil
}
