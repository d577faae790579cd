package scenario

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options say where and how a scenario is run.
type Options struct {
	// BaseURL is what paths of requests are below.
	BaseURL string
	// Vars are values of the scenario's vars.
	Vars    map[string]string
	Release Release
	// CompareURL is where the old release answers, for a scenario that compares with it. First says that there is none.
	CompareURL string
	First      bool
	// Identity is how the base URL's listener says who answered; nil where it does not.
	Identity *Identity
	// Allow is the strongest effect class that a step may have here; empty allows all. Where says in words where that is.
	Allow Effect
	Where string
	// Getenv reads the environment, for secrets and for programs.
	Getenv func(string) string
	// CleanupBy ends cleanup where it comes before cleanup's own time limit; zero for none.
	CleanupBy time.Time
	// Checkpoint is a file that does not exist yet: it holds what [CleanUp] needs, for as long as the run may leave something
	// behind. Empty keeps nothing.
	Checkpoint string
	// Progress is told of every step that has ended; it may be nil. Calls do not overlap.
	Progress func(StepResult)
}

// execution is one run of a scenario.
type execution struct {
	s      *Scenario
	o      Options
	client *http.Client
	calls  *http.Transport // of gRPC
	mask   *masker
	trace  string
	keeps  *journal
	// compares counts the answers that were held against those of the old release.
	compares atomic.Int64
	// named counts the answers that said that they are of the task set under test, unnamed those that said nothing.
	named, unnamed atomic.Int64
	// proven counts the answers that were asked for the header of expect_release.
	proven atomic.Int64

	mu      sync.Mutex // guards what follows
	results []StepResult
	// reflected are the services that servers have described, by address and name.
	reflected map[string]*descriptors
}

// scope is what the expressions of one file know at one place.
type scope struct {
	vars, secrets map[string]any
	mu            *sync.Mutex
	steps         map[string]any
	item          any
	index         int
	loop          bool
	prefix        string // of the names of steps
	section       string
}

// Run runs the scenario once. It always comes back with a result; the end of ctx ends setup and steps, and cleanup runs
// nevertheless.
func (s *Scenario) Run(ctx context.Context, o Options) Result {
	begin := time.Now()
	x := newExecution(s, o)
	r := Result{
		Version: resultVersion, Scenario: s.Name, File: s.File, Digest: s.Digest, BaseURL: o.BaseURL, Release: o.Release,
		Allowed: o.Allow, TraceID: x.trace, Start: begin,
	}
	if err := x.run(ctx, &r); err != nil {
		r.Verdict, r.Message = Error, x.mask.text(err.Error())
	}
	r.Steps = x.results
	if r.Steps == nil {
		r.Steps = []StepResult{}
	}
	r.BaseURL = x.mask.text(r.BaseURL)
	r.settle()
	if r.Verdict == Pass && s.compare != nil && x.compares.Load() == 0 {
		r.Verdict, r.Message = Error, "no answer came from below the base URL, so nothing was compared with blue"
	}
	if r.Verdict == Pass && s.expect != nil && x.proven.Load() == 0 {
		r.Verdict, r.Message = Error, "no answer came from below the base URL, so expect_release proved nothing"
	}
	if r.Verdict == Pass && x.named.Load() == 0 && x.unnamed.Load() > 0 {
		r.Verdict, r.Message = Error, "no answer had the header "+o.Identity.Header+", so it is not known whether the version under test gave it"
	}
	r.Seconds = time.Since(begin).Seconds()
	return r
}

// newExecution begins one. The passwords in the addresses are secrets from now on.
func newExecution(s *Scenario, o Options) *execution {
	x := &execution{s: s, o: o, mask: &masker{}, trace: randomHex(16)}
	if x.o.Getenv == nil {
		x.o.Getenv = func(string) string { return "" }
	}
	for _, address := range []string{x.o.BaseURL, x.o.CompareURL} {
		if u, err := url.Parse(address); err == nil {
			x.hideUser(u)
		}
	}
	return x
}

func randomHex(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// run does everything in order. An error says why nothing could be run.
func (x *execution) run(ctx context.Context, r *Result) error {
	sc, err := x.scope(&x.s.program, nil)
	if err != nil {
		return err
	}
	if err := x.ready(); err != nil {
		return err
	}
	if x.client, x.calls, err = newClient(x.s); err != nil {
		return err
	}
	defer x.client.CloseIdleConnections()
	defer x.calls.CloseIdleConnections()
	x.keeps = x.newJournal(sc)
	limited, cancel := context.WithTimeoutCause(ctx, x.s.timeout, fmt.Errorf("the scenario's time limit of %s has passed", x.s.timeout))
	defer cancel()
	verdict := x.list(limited, x.s.setup, sc.in("setup"))
	if verdict == Pass {
		x.list(limited, x.s.steps, sc.in("steps"))
	} else {
		x.skip(x.s.steps, sc.in("steps"), "setup did not pass")
	}
	r.TimedOut = errors.Is(limited.Err(), context.DeadlineExceeded)
	x.cleanup(ctx, sc.in("cleanup"))
	return x.keeps.ended()
}

// ready refuses what would only fail later, before the first step is run.
func (x *execution) ready() error {
	if x.o.BaseURL != "" {
		u, err := url.Parse(x.o.BaseURL)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return fmt.Errorf("the base URL %q is not an http URL", x.o.BaseURL)
		}
		if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
			return fmt.Errorf("the base URL %q has a query or a fragment, and paths cannot be below that", x.o.BaseURL)
		}
	}
	if err := x.comparable(); err != nil {
		return err
	}
	for _, list := range [][]*step{x.s.setup, x.s.steps, x.s.cleanup} {
		if st := refused(list, x.o.Allow); st != nil {
			where := x.o.Where
			if where == "" {
				where = "here"
			}
			return fmt.Errorf("%s:%d:%d: step %q has the effect %s, but %s only %s is allowed; nothing was run",
				st.file, st.at.line, st.at.column, st.name, st.effect, where, x.o.Allow)
		}
	}
	if e := x.s.expect; e != nil && x.release()[e.is] == nil {
		return fmt.Errorf("expect_release needs the release's %s, which is not known here", e.is)
	}
	return nil
}

// refused is the first step that may not be run where allow is allowed, or nil.
func refused(steps []*step, allow Effect) *step {
	for _, st := range steps {
		inner := st.children
		if st.use != nil {
			inner = st.use.steps
		}
		if found := refused(inner, allow); found != nil {
			return found
		}
		group := st.kind == stepUse || st.kind == stepParallel || st.kind == stepForeach
		if !group && !allow.Allows(st.effect) {
			return st
		}
	}
	return nil
}

// scope makes the names of a file: vars with the values that were given, and secrets.
func (x *execution) scope(p *program, given map[string]any) (*scope, error) {
	sc := &scope{vars: map[string]any{}, secrets: map[string]any{}, mu: &sync.Mutex{}, steps: map[string]any{}}
	var faults []error
	if p == &x.s.program {
		given = map[string]any{}
		for name, v := range x.o.Vars {
			given[name] = v
		}
	}
	var known []string
	for _, v := range p.vars {
		known = append(known, v.name)
		own, ok := given[v.name]
		switch {
		case ok:
			sc.vars[v.name] = own
		case v.required:
			faults = append(faults, fmt.Errorf("the var %s has no value; give it with --var %s=VALUE", v.name, v.name))
		default:
			sc.vars[v.name] = v.value
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !slices.Contains(known, name) {
			faults = append(faults, fmt.Errorf("the scenario has no var %q%s", name, didYouMean(name, known)))
		}
	}
	for _, s := range p.secrets {
		value, err := x.secret(s)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		x.mask.add(value)
		sc.secrets[s.name] = value
	}
	return sc, errors.Join(faults...)
}

func (x *execution) secret(s secret) (string, error) {
	var value, from string
	if s.file != "" {
		content, err := os.ReadFile(s.file)
		if err != nil {
			return "", fmt.Errorf("the secret %s cannot be read: %w", s.name, err)
		}
		value, from = strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r"), "the file "+s.file
	} else {
		value, from = x.o.Getenv(s.env), "$"+s.env
	}
	if value == "" {
		return "", fmt.Errorf("the secret %s has no value: %s is empty", s.name, from)
	}
	return value, nil
}

// release is what is known of it, for expressions.
func (x *execution) release() map[string]any {
	m := map[string]any{}
	for name, v := range map[string]string{
		"service": x.o.Release.Service, "version": x.o.Release.Version, "revision": x.o.Release.Revision, "task_set": x.o.Release.TaskSet,
		"deployment": x.o.Release.Deployment,
	} {
		if v != "" {
			m[name] = v
		}
	}
	return m
}

func (sc *scope) in(section string) *scope {
	own := *sc
	own.section = section
	return &own
}

// values are what expressions see.
func (x *execution) values(sc *scope, seen map[string]any) map[string]any {
	sc.mu.Lock()
	steps := maps.Clone(sc.steps)
	sc.mu.Unlock()
	m := map[string]any{"vars": sc.vars, "secrets": sc.secrets, "steps": steps, "release": x.release(), "base_url": x.o.BaseURL}
	if sc.loop {
		m["item"], m["index"] = sc.item, sc.index
	}
	maps.Copy(m, seen)
	return m
}

// keep makes captured values known to later steps.
func (sc *scope) keep(name string, values map[string]any) {
	if len(values) > 0 {
		sc.mu.Lock()
		sc.steps[name] = values
		sc.mu.Unlock()
	}
}

// book adds a step's result and tells it.
func (x *execution) book(r StepResult) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.results = append(x.results, r)
	if x.o.Progress != nil {
		x.o.Progress(r)
	}
}
