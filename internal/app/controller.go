package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/config"
	"greengate/internal/console"
	"greengate/internal/engine"
	"greengate/internal/hook"
	"greengate/internal/logstore"
	"greengate/internal/objects"
	"greengate/internal/proxy"
	"greengate/internal/runner"
	"greengate/internal/runner/sandbox"
	"greengate/internal/store"
	"greengate/internal/supervise"
	"greengate/internal/traffic/l7"
	"greengate/internal/workload/process"
)

// ControllerOptions are what the controller role needs.
type ControllerOptions struct {
	Paths     Paths
	Region    string
	AccountID string
	Minute    time.Duration
	// Compat is config.CompatAWS where AWS's ways win over ours.
	Compat string
	// Hooks is the file of hooks that AppSpec files name; empty for none.
	Hooks string
	// LoadBalancers is where load balancers of the ELBv2 API get their addresses.
	LoadBalancers netip.Prefix
	// EndpointURL is the address of the API as hooks are told it.
	EndpointURL string
	// Sinks are told what happens to deployments.
	Sinks []config.Sink
	// Traces: traces of deployments are sent to where the OTEL_* variables say.
	Traces bool
	// API is the listening socket.
	API net.Listener
	// Executable is this program, for scenario hooks.
	Executable string
	// Ready is called once the API answers; Down asks for the end of the whole installation.
	Ready func() error
	Down  func() error
	Log   *slog.Logger
}

// Controller is the controller role: API, engine and store in one process.
type Controller struct {
	opts      ControllerOptions
	db        *store.DB
	cloud     *cloud.Cloud
	engine    *engine.Engine
	router    *l7.Router
	runtime   *process.Runtime
	tasks     *process.Tasks
	janitor   *janitor
	functions *sandbox.Client
	objects   objectStore
	sessions  sessions
	console   *console.Console
	meter     *meter
	announcer *announcer
	tracer    *tracer // nil: there are no traces
	units     *runner.Client
	topics    *topics
	logGroups *logstore.Store
	meters    *meters
	api       *http.Server
	reading   func(by awsapi.Principal) http.Handler
}

// openPatience is how long a new controller waits for a dying one to let go of the store.
const openPatience = 5 * time.Second

// NewController wires a controller; Run makes it work. When it fails, what was opened is closed.
func NewController(ctx context.Context, o ControllerOptions) (*Controller, error) {
	db, err := openStore(ctx, o)
	if err != nil {
		return nil, err
	}
	c := &Controller{opts: o, db: db}
	if err := c.wire(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return c, nil
}

// overUnix is a client whose connections lead to a unix socket; its path may be of any length.
func overUnix(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return supervise.DialUnix(ctx, path) },
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     30 * time.Second,
	}}
}

func openStore(ctx context.Context, o ControllerOptions) (*store.DB, error) {
	give := time.Now().Add(openPatience)
	for {
		db, err := store.Open(ctx, store.Config{Dir: string(o.Paths), Logger: o.Log})
		if !errors.Is(err, store.ErrInUse) || time.Now().After(give) {
			return db, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (c *Controller) wire(ctx context.Context) error {
	o := c.opts
	if err := os.MkdirAll(o.Paths.Results(), 0o700); err != nil {
		return fmt.Errorf("make results folder: %w", err)
	}
	key, err := masterKey(o.Paths.MasterKey())
	if err != nil {
		return err
	}
	root, err := config.ReadCredentials(string(o.Paths))
	if err != nil {
		return fmt.Errorf("read credentials: %w", err)
	}
	if c.cloud, err = cloud.Open(ctx, resourcesOf(c.db, o.Paths)); err != nil {
		return fmt.Errorf("open resources: %w", err)
	}
	if c.topics, err = openTopics(ctx, c); err != nil {
		return err
	}
	users := &userKeys{cloud: c.cloud, account: o.AccountID}
	keys, err := awsapi.NewKeyRing(awsapi.KeyRingConfig{
		AccountID: o.AccountID, MasterKey: key, Now: time.Now, User: users.find,
		Root: []awsapi.RootKey{{AccessKeyID: root.AccessKeyID, SecretAccessKey: awsapi.Secret(root.SecretAccessKey)}},
	})
	if err != nil {
		return fmt.Errorf("make key ring: %w", err)
	}
	c.sessions = sessions{cloud: c.cloud, judge: cloud.NewJudge(o.AccountID), keys: keys, account: o.AccountID, region: o.Region}
	units := runner.NewClient(o.Paths.RunnerSocket())
	functions := sandbox.NewHTTPClient(overUnix(o.Paths.RunnerSocket()), "http://runner")
	c.router = l7.New(c.cloud, proxy.NewHTTPClient(overUnix(o.Paths.ProxySocket())), o.Log)
	c.meters = newMeters(c, proxy.NewHTTPClient(overUnix(o.Paths.ProxySocket())))
	c.runtime = process.New(c.cloud, units, o.Log).WithTraffic(quiet{c.router, c.cloud, o.Minute})
	c.tasks = process.NewTasks(c.cloud, c.runtime, 60*o.Minute, o.Log)
	hooks := hook.New(hook.Config{
		Runner: units, Functions: functions, EndpointURL: o.EndpointURL, Region: o.Region, AccountID: o.AccountID,
		Dir: o.Paths.Results(), Executable: o.Executable, ProxySocket: o.Paths.ProxySocket(), Caller: caller{key: key, cloud: c.cloud, sessions: c.sessions},
	})
	c.engine = engine.New(engine.Config{Store: journalOf(c.db, o.Paths), Runtime: c.runtime, Router: c.router, Hooks: hooks, Alarms: alarms{c.cloud}, Logger: o.Log})
	c.janitor = &janitor{db: c.db, cloud: c.cloud, router: c.router, runtime: c.runtime, runner: units, results: o.Paths.Results(), log: o.Log}
	c.functions, c.objects = functions, objectStore{objects.New(o.Paths.Objects(), time.Now)}
	c.logGroups, c.units = logstore.New(o.Paths.LogGroups()), units
	if err := c.newDesk(ctx, keys); err != nil {
		return err
	}
	l := &logs{db: c.db, runner: units, functions: functions}
	w := &wire{
		db: c.db, logs: l, cloud: c.cloud, engine: c.engine, runtime: c.runtime, key: key,
		cluster: "default", account: o.AccountID, region: o.Region, minute: o.Minute, compat: o.Compat, objects: c.objects,
		sessions: c.sessions, hooks: o.Hooks,
	}
	s := &services{
		db: c.db, cloud: c.cloud, engine: c.engine, runtime: c.runtime, router: c.router, runner: units, down: o.Down,
	}
	return c.serve(keys, w, s, l)
}

func (c *Controller) serve(keys awsapi.Keys, w *wire, s *services, l *logs) error {
	handler, err := awsapi.New(awsapi.Config{
		Region: c.opts.Region, AccountID: c.opts.AccountID, Keys: keys, Now: time.Now, Log: c.opts.Log, Minute: c.opts.Minute,
		Deployments: w, Catalog: w, Control: w, Resources: c.cloud, Operations: c.operations(w, s, l),
		Services: c.services(),
		Access:   c.access(),
		Audit:    c.audit,
		Public:   c.public,
	})
	if err != nil {
		return fmt.Errorf("make API: %w", err)
	}
	c.reading = handler.Reading
	c.api = &http.Server{
		Handler: c.front(handler), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(c.opts.Log.Handler(), slog.LevelWarn),
	}
	return nil
}

// operations are Greengate's own actions by name.
func (c *Controller) operations(w *wire, s *services, l *logs) map[string]awsapi.Operation {
	all := c.deskOperations(s, w)
	maps.Copy(all, operations(w, s, l))
	return all
}

func operations(w *wire, s *services, l *logs) map[string]awsapi.Operation {
	return map[string]awsapi.Operation{
		"ApplyService":       awsapi.Typed(s.apply),
		"DescribeService":    awsapi.Typed(s.describe),
		"ListServices":       awsapi.Typed(s.list),
		"DeleteService":      awsapi.Typed(s.remove),
		"RestartService":     awsapi.Typed(s.restart),
		"ScaleService":       awsapi.Typed(s.scale),
		"RollbackService":    awsapi.Typed(s.rollback),
		"DescribeDeployment": awsapi.Typed(w.deployment),
		"ListDeployments":    awsapi.Typed(w.deployments),
		"Events":             awsapi.Typed(w.events),
		"DescribeLedger":     awsapi.Typed(s.ledger),
		"Logs":               awsapi.Typed(l.read),
		"CheckService":       awsapi.Typed(s.check),
		"CheckRevision":      awsapi.Typed(w.checkRevision),
		"Down":               awsapi.Typed(s.end),
	}
}

// Run serves until ctx ends or a part fails, then stops all parts and closes the store. Deployments
// that are not terminal go on with the next controller.
func (c *Controller) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, c.db.Close()) }()
	told := ctx
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var parts sync.WaitGroup
	defer parts.Wait()
	start := func(name string, run func(context.Context) error) {
		parts.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				fail(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	start("router", c.router.Run)
	start("runtime", c.runtime.Run)
	start("tasks", c.tasks.Run)
	start("roller", (&roller{cloud: c.cloud, runtime: c.runtime, minute: c.opts.Minute, log: c.opts.Log}).run)
	start("engine", c.engine.Run)
	start("janitor", c.janitor.run)
	start("meter", c.meter.run)
	start("topics", c.topics.run)
	start("retention", c.retain)
	start("metrics", c.meters.run)
	start("announcer", c.announcer.run)
	start("tracer", c.tracer.run)
	start("api", c.runAPI)
	if err := c.opts.Ready(); err != nil {
		fail(fmt.Errorf("say ready: %w", err))
	}
	<-ctx.Done()
	if told.Err() != nil {
		return nil
	}
	return context.Cause(ctx)
}

func (c *Controller) runAPI(ctx context.Context) error {
	// Long polls end with ctx, so that a shutdown does not wait for them.
	c.api.BaseContext = func(net.Listener) context.Context { return ctx }
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if c.api.Shutdown(grace) != nil {
			_ = c.api.Close() // what did not end in time is cut
		}
	})
	defer stop()
	err := c.api.Serve(c.opts.API)
	if errors.Is(err, http.ErrServerClosed) {
		// Serve returns when the shutdown begins; the process must not end before the answers are out.
		<-ended
		return nil
	}
	return fmt.Errorf("serve API: %w", err)
}

var _ engine.Store = (*store.DB)(nil)
