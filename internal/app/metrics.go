package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"greengate/internal/alarm"
	"greengate/internal/awsapi"
	"greengate/internal/awsapi/cloudwatch"
	"greengate/internal/cloud"
	"greengate/internal/durable"
	"greengate/internal/metric"
	"greengate/internal/proxy"
)

const (
	// metersSave is how often the metrics of the last metersKept minutes are written to disk: what a killed controller loses
	// of those that clients put.
	metersSave = 5 * time.Minute
	metersKept = 3 * 60
	// metersMost and metersLeast bound how often the data plane's counters are read.
	metersMost  = 5 * time.Second
	metersLeast = 100 * time.Millisecond
)

// meters makes metrics of what the data plane counts, and has alarms evaluated on them.
type meters struct {
	cloud   *cloud.Cloud
	proxy   *proxy.Client
	store   *metric.Store
	watcher *alarm.Watcher
	path    string
	minute  time.Duration
	pace    time.Duration
	log     *slog.Logger

	// Of run alone: what the data plane had counted when it was looked at last, and which target group (as dimensions name
	// it) its groups were in.
	read   proxy.Meters
	readAt time.Time
	groups map[string]string
}

func newMeters(c *Controller, client *proxy.Client) *meters {
	o := c.opts
	m := &meters{
		cloud: c.cloud, proxy: client, store: metric.NewStore(o.Minute), path: o.Paths.Metrics(), minute: o.Minute, log: o.Log, groups: map[string]string{},
		pace: min(max(o.Minute/10, metersLeast), metersMost),
	}
	m.watcher = alarm.New(alarm.Config{
		Region: o.Region, AccountID: o.AccountID, Resources: c.cloud, Metrics: m.store, Publisher: c.topics, Minute: o.Minute,
		Now: time.Now, Log: o.Log,
	})
	return m
}

// service is what the wire answers of CloudWatch.
func (m *meters) service(o ControllerOptions) awsapi.Handlers {
	cfg := cloudwatch.Config{Region: o.Region, AccountID: o.AccountID, Minute: o.Minute, Now: time.Now}
	if m != nil {
		cfg.Resources, cfg.Metrics, cfg.Act = m.cloud, m.store, m.watcher.Act
	}
	return cloudwatch.New(cfg).Handlers()
}

// run reads the counters at multiples of the pace, so that what is counted falls into the period in which it happened.
func (m *meters) run(ctx context.Context) error {
	if err := m.load(time.Now()); err != nil {
		m.log.WarnContext(ctx, "metrics of the last controller cannot be read; they begin anew", "err", err)
	}
	for saved := time.Now(); ; {
		now := time.Now()
		next := time.NewTimer(now.Truncate(m.pace).Add(m.pace).Sub(now))
		select {
		case <-ctx.Done():
			next.Stop()
			m.keep(ctx)
			return nil
		case <-next.C:
		}
		m.round(ctx, time.Now())
		if time.Since(saved) < metersSave {
			continue
		}
		saved = time.Now()
		m.keep(ctx)
	}
}

func (m *meters) round(ctx context.Context, now time.Time) {
	counted, err := m.proxy.Meters(ctx)
	if err == nil {
		m.count(m.cloud.State(), counted, now)
	} else if ctx.Err() == nil {
		m.log.WarnContext(ctx, "read meters of the data plane", "err", err)
	}
	if err := m.watcher.Evaluate(ctx); err != nil && ctx.Err() == nil {
		m.log.WarnContext(ctx, "evaluate alarms", "err", err)
	}
}

// keep writes the metrics to disk. They are the past: that it fails is no reason to end.
func (m *meters) keep(ctx context.Context) {
	if err := m.save(time.Now()); err != nil {
		m.log.WarnContext(ctx, "keep metrics", "err", err)
	}
}

// kept is the file of metrics.
type kept struct {
	Version int             `json:"version"`
	Read    proxy.Meters    `json:"read"`
	Metrics json.RawMessage `json:"metrics"`
}

const keptVersion = 1

func (m *meters) save(now time.Time) error {
	metrics, err := m.store.Save(now.Add(-metersKept * m.minute))
	if err != nil {
		return err
	}
	data, err := json.Marshal(kept{keptVersion, m.read, metrics})
	if err != nil {
		return fmt.Errorf("encode metrics: %w", err)
	}
	return durable.WriteFile(m.path, data, 0o600)
}

func (m *meters) load(now time.Time) error {
	data, err := os.ReadFile(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read metrics: %w", err)
	}
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return fmt.Errorf("decode metrics: %w", err)
	}
	if k.Version != keptVersion {
		return fmt.Errorf("decode metrics: version %d is unknown", k.Version)
	}
	if err := m.store.Load(k.Metrics, now); err != nil {
		return err
	}
	m.read = k.Read
	return nil
}
