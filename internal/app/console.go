package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/console"
	"greengate/internal/deploy"
	"greengate/internal/notify"
	"greengate/internal/runner/sandbox"
)

// current refuses what was decided on a deployment that has gone on since.
func current(d deploy.Deployment, seen int64) error {
	if seen == 0 || seen == d.Revno {
		return nil
	}
	return deploy.Errorf(deploy.CodeConflict, "deployment %s has gone on: it was seen at revision %d and is at %d, in %s", d.ID, seen, d.Revno, d.Phase)
}

// desk answers the actions that the console and its like ask for.
type desk struct {
	*services
	functions *sandbox.Client
	console   *console.Console
	wire      *wire
	// reading answers requests of the wire that read something, as somebody makes them.
	reading func(by awsapi.Principal) http.Handler
}

// deskOperations are its actions by name.
func (c *Controller) deskOperations(s *services, w *wire) map[string]awsapi.Operation {
	d := &desk{
		services: s, functions: c.functions, console: c.console, wire: w,
		reading: func(by awsapi.Principal) http.Handler { return c.reading(by) }, // it is there once the API is
	}
	return map[string]awsapi.Operation{
		"DescribeOverview":  awsapi.Typed(d.overview),
		"DescribeTargets":   awsapi.Typed(d.targets),
		"DescribeChecks":    awsapi.Typed(d.checks),
		"ListFunctions":     awsapi.Typed(d.listFunctions),
		"DescribeFunction":  awsapi.Typed(d.function),
		"ListAudit":         awsapi.Typed(d.audit),
		"CreateConsoleLink": awsapi.Typed(d.link),
		"DescribeMetrics":   awsapi.Typed(c.meter.describe),
	}
}

// overview is DescribeOverview.
func (d *desk) overview(ctx context.Context, by awsapi.Principal, _ struct{}) (deploy.DescribeOverviewOutput, error) {
	out := deploy.DescribeOverviewOutput{Services: []deploy.ServiceView{}}
	ours, err := d.list(ctx, by, struct{}{})
	if err != nil {
		return out, err
	}
	out.Services = append(out.Services, ours.Services...)
	state := d.cloud.State()
	for _, svc := range cloud.All[cloud.ECSService](state) {
		if svc.Status == "INACTIVE" {
			continue
		}
		v, err := d.complete(ctx, state, deploy.ServiceView{
			Name: svc.ResourceKey(), Tasks: svc.Desired, Production: state.ListenerAddress(svc.Routing.Production),
			Test: state.ListenerAddress(svc.Routing.Test), Deployment: svc.Deployment, Version: svc.TaskDefinition,
		})
		if err != nil {
			return out, err
		}
		out.Services = append(out.Services, v)
	}
	return out, nil
}

// targets is DescribeTargets.
func (d *desk) targets(ctx context.Context, _ awsapi.Principal, in deploy.DeploymentInput) (deploy.DescribeTargetsOutput, error) {
	out := deploy.DescribeTargetsOutput{TaskSets: []deploy.TaskSetView{}}
	dep, err := d.db.Deployment(ctx, in.ID)
	if err != nil {
		return out, err
	}
	state := d.cloud.State()
	for _, id := range []string{dep.Blue.ID, dep.Green.ID} {
		ts, ok := state.TaskSets[id]
		if !ok {
			continue
		}
		v, err := d.setView(ctx, state, ts)
		if err != nil {
			return out, err
		}
		out.TaskSets = append(out.TaskSets, v)
	}
	return out, nil
}

// checks is DescribeChecks: what check would say of each service as it is, and of each deployment group made over the wire.
func (d *desk) checks(ctx context.Context, by awsapi.Principal, _ struct{}) (deploy.DescribeChecksOutput, error) {
	out := deploy.DescribeChecksOutput{Services: []deploy.ServiceFindings{}}
	state := d.cloud.State()
	for _, name := range slices.Sorted(maps.Keys(state.Services)) {
		found, err := d.check(ctx, by, deploy.CheckServiceInput{Service: state.Services[name].Spec})
		if err != nil {
			return out, err
		}
		out.Services = append(out.Services, deploy.ServiceFindings{Service: name, Findings: found.Findings})
	}
	groups, err := d.groupChecks(ctx, by)
	out.Services = append(out.Services, groups...)
	return out, err
}

// audit is ListAudit.
func (d *desk) audit(ctx context.Context, _ awsapi.Principal, in deploy.ListAuditInput) (deploy.ListAuditOutput, error) {
	entries, err := d.db.ListAudit(ctx, in.Before, in.Limit)
	return deploy.ListAuditOutput{Entries: entries}, err
}

// link is CreateConsoleLink: whoever follows it once is signed in as the caller.
func (d *desk) link(ctx context.Context, by awsapi.Principal, _ struct{}) (deploy.ConsoleLinkOutput, error) {
	path, expires, err := d.console.Link(ctx, by)
	return deploy.ConsoleLinkOutput{Path: path, Expires: expires}, err
}

const (
	invocationsShown = 20
	functionLines    = 300
)

// known are the functions that are known here, without their logs.
func (d *desk) known() []deploy.FunctionView {
	state := d.cloud.State()
	var list []deploy.FunctionView
	for _, f := range cloud.All[cloud.Function](state) {
		v := f.Latest
		list = append(list, deploy.FunctionView{Name: f.Name, Runtime: v.Runtime, Handler: v.Handler, Origin: "lambda", Timeout: v.Timeout, MemoryMB: v.MemoryMB})
	}
	for _, svc := range state.Services {
		for _, hooks := range svc.Spec.Hooks {
			for _, h := range hooks {
				if f := h.Function; f != nil {
					list = append(list, deploy.FunctionView{Name: f.Name, Runtime: f.Runtime, Handler: f.Handler, Origin: svc.Spec.Name, Timeout: f.Timeout, MemoryMB: f.MemoryMB})
				}
			}
		}
	}
	slices.SortFunc(list, func(a, b deploy.FunctionView) int { return strings.Compare(a.Name+"\n"+a.Origin, b.Name+"\n"+b.Origin) })
	return slices.CompactFunc(list, func(a, b deploy.FunctionView) bool { return a.Name == b.Name && a.Origin == b.Origin })
}

// listFunctions is ListFunctions.
func (d *desk) listFunctions(ctx context.Context, _ awsapi.Principal, _ struct{}) (deploy.ListFunctionsOutput, error) {
	out := deploy.ListFunctionsOutput{Functions: []deploy.FunctionView{}}
	for _, f := range d.known() {
		if err := d.invocations(ctx, &f); err != nil {
			return out, err
		}
		f.Log = nil
		out.Functions = append(out.Functions, f)
	}
	return out, nil
}

// function is DescribeFunction.
func (d *desk) function(ctx context.Context, _ awsapi.Principal, in deploy.FunctionInput) (deploy.FunctionView, error) {
	for _, f := range d.known() {
		if f.Name == in.Name {
			err := d.invocations(ctx, &f)
			return f, err
		}
	}
	return deploy.FunctionView{}, deploy.Errorf(deploy.CodeNotFound, "there is no function '%s'", in.Name)
}

// invocations reads the newest log streams of a function until there are enough invocations.
func (d *desk) invocations(ctx context.Context, f *deploy.FunctionView) error {
	streams, err := d.functions.Streams(ctx, f.Name)
	if errors.Is(err, sandbox.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var events []sandbox.LogEvent
	for _, stream := range streams[max(0, len(streams)-5):] {
		page, err := d.functions.ReadLog(ctx, f.Name, stream, 0)
		if err != nil && !errors.Is(err, sandbox.ErrNotFound) {
			return err
		}
		events = append(events, page.Events...)
	}
	slices.SortStableFunc(events, func(a, b sandbox.LogEvent) int { return int(a.Timestamp - b.Timestamp) })
	f.Invocations = invocationsOf(events)
	for _, e := range events[max(0, len(events)-functionLines):] {
		f.Log = append(f.Log, time.UnixMilli(e.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z")+" "+strings.TrimRight(e.Message, "\n"))
	}
	return nil
}

// invocationsOf finds invocations by the START and REPORT lines that the runtime writes around each, newest first.
func invocationsOf(events []sandbox.LogEvent) []deploy.InvocationView {
	var list []deploy.InvocationView
	at := map[string]int{}
	for _, e := range events {
		word, rest, _ := strings.Cut(e.Message, " RequestId: ")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		switch id := fields[0]; word {
		case "START":
			at[id] = len(list)
			list = append(list, deploy.InvocationView{ID: id, At: time.UnixMilli(e.Timestamp).UTC()})
		case "REPORT":
			if i, ok := at[id]; ok {
				list[i].Duration, list[i].Memory = reported(rest, "Duration: "), reported(rest, "Max Memory Used: ")
			}
		}
	}
	slices.Reverse(list)
	return list[:min(len(list), invocationsShown)]
}

// reported is a value of a REPORT line, whose fields are parted by tabs.
func reported(line, name string) string {
	for field := range strings.SplitSeq(line, "\t") {
		if v, ok := strings.CutPrefix(strings.TrimSpace(field), name); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// newDesk makes what people and Prometheus look at; the doors of the console are opened by front.
func (c *Controller) newDesk(ctx context.Context, keys awsapi.Keys) error {
	var err error
	if c.meter, err = newMeter(c); err != nil {
		return err
	}
	c.announcer = &announcer{
		sinks: c.opts.Sinks, db: c.db, keep: resourcesOf(c.db, c.opts.Paths), client: notify.NewClient(c.opts.API.Addr()), endpoint: c.opts.EndpointURL,
		log: c.opts.Log, pause: time.Second, patience: time.Hour,
	}
	if err := c.announcer.begin(ctx); err != nil {
		return fmt.Errorf("begin notices of receivers: %w", err)
	}
	if c.tracer, err = newTracer(ctx, c); err != nil {
		return fmt.Errorf("begin traces: %w", err)
	}
	c.console, err = console.New(ctx, console.Config{
		Keys: keys, Store: resourcesOf(c.db, c.opts.Paths), Changed: c.db.Changed, Now: time.Now, Log: c.opts.Log, Minute: c.opts.Minute,
		Audit: c.audit,
	})
	return err
}

// audit writes an entry down. What was done is done: an entry that cannot be stored goes to the log.
func (c *Controller) audit(ctx context.Context, e deploy.AuditEntry) {
	if err := c.db.Audit(ctx, e); err != nil {
		c.opts.Log.ErrorContext(ctx, "write audit", "principal", e.Principal, "operation", e.Service+":"+e.Operation, "resource", e.Resource, "outcome", e.Outcome, "err", err)
	}
}

// front leads browsers to the console and everybody else to the API. A request that is signed is always one of the
// API: a bucket may be called "console".
func (c *Controller) front(api *awsapi.Server) http.Handler {
	c.console.Open(api)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case signed(r):
			api.ServeHTTP(w, r)
		case r.URL.Path == "/console" || strings.HasPrefix(r.URL.Path, "/console/"):
			c.console.ServeHTTP(w, r)
		case r.URL.Path == "/" && r.Method == http.MethodGet && r.URL.RawQuery == "" && strings.Contains(r.Header.Get("Accept"), "text/html"):
			http.Redirect(w, r, "/console/", http.StatusFound)
		case r.URL.Path == "/metrics" && r.Method == http.MethodGet:
			c.scrape(w, r, api)
		case r.URL.Path == "/readyz" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			c.readyz(w, r)
		default:
			api.ServeHTTP(w, r)
		}
	})
}

// signed reports whether a request bears a signature, in its header or in its URL. Whether it is good is the API's to say.
func signed(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Authorization"), "AWS") || r.URL.Query().Has("X-Amz-Signature") || r.URL.Query().Has("Signature")
}
