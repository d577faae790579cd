package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"greengate/internal/trial"
)

// Options of the demo.
type Options struct {
	// Executable is the greengate binary that is driven.
	Executable string
	Out        io.Writer
	// JSONFile gets the report for machines; empty writes none.
	JSONFile string
}

const (
	service = "shop"
	// minRequests is how many requests the load must have sent before the demo ends.
	minRequests = 20_000
	// loadLimit bounds the wait for the last requests.
	loadLimit = 40 * time.Second
)

// chapter is one version of the sample service and what is to become of it.
type chapter struct {
	version, fault, title string
	exit                  int // of greengate deploy --wait
	verify                func(Deployment) error
}

func chapters() []chapter {
	return []chapter{
		{version: "v1", title: "v1 is the first deployment: production answers once its hook has passed", exit: 0, verify: succeeded},
		{version: "v2", title: "v2 is verified on the test listener and promoted by itself, under load", exit: 0, verify: switched},
		{version: "v3", fault: faultTotals, title: "v3 adds up orders wrongly, which its health check does not see: the hook catches it", exit: 4, verify: caughtByHook},
		{version: "v4", fault: faultProduction, title: "v4 is wrong only on the production address: the smoke set catches it after the switch", exit: 4, verify: rolledBack},
	}
}

// stage is the installation in which the demo runs.
type stage struct {
	o                Options
	in               *trial.Installation
	production, test string
	load             *trial.Load
	violations       []string
}

// Run tells the whole story and prints it. The error says what did not happen as told.
func Run(ctx context.Context, o Options) (err error) {
	s := &stage{o: o}
	if s.production, err = trial.FreeAddress(ctx); err != nil {
		return err
	}
	if s.test, err = trial.FreeAddress(ctx); err != nil {
		return err
	}
	s.in, err = trial.Open(ctx, trial.Options{
		Executable: o.Executable, Name: "demo", Log: o.Out, Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
	})
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, s.close())
	}()
	s.say("%s", s.in.Greeting)
	begin := time.Now()
	for _, c := range chapters() {
		if err := s.play(ctx, c); err != nil {
			return err
		}
	}
	if err := s.await(ctx); err != nil {
		return err
	}
	requests := s.load.Stop()
	report, err := s.report(ctx, requests)
	if err != nil {
		return err
	}
	report.Seconds = time.Since(begin).Seconds()
	if err := s.print(report); err != nil {
		return err
	}
	return s.judge(report)
}

func (s *stage) say(format string, args ...any) {
	_, _ = fmt.Fprintf(s.o.Out, format+"\n", args...) // what is shown is no part of the outcome
}

// play deploys one version as a person would.
func (s *stage) play(ctx context.Context, c chapter) error {
	s.say("\n== %s", c.title)
	file, err := s.write(c)
	if err != nil {
		return err
	}
	cmd := s.in.Command(ctx, "deploy", "--file", file, "--wait", "--timeout", "1m")
	cmd.Stdout = s.o.Out
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("run greengate deploy: %w", err)
	}
	if got := cmd.ProcessState.ExitCode(); got != c.exit {
		s.violations = append(s.violations, fmt.Sprintf("deploying %s exited with %d instead of %d", c.version, got, c.exit))
	}
	if s.load == nil {
		s.load = startLoad(context.WithoutCancel(ctx), "http://"+s.production)
	}
	return nil
}

// write makes the version's greengate.yaml; it is a file that any service could have.
func (s *stage) write(c chapter) (string, error) {
	dir := filepath.Join(s.in.Dir, c.version)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make folder of %s: %w", c.version, err)
	}
	text := fmt.Sprintf(`name: %[1]s
version: %[2]s
command: [%[3]q, %[4]s]
tasks: 2
env: {VERSION: %[2]s, FAULT: %[5]q, PRODUCTION: %[6]q}
health: {path: /healthz, interval: 1s}
listeners: {production: %[6]q, test: %[7]q}
hooks:
  AfterAllowTestTraffic:
    - {name: end-to-end, scenario: check.yaml, timeout: 30s}
smoke:
  - {name: smoke, scenario: check.yaml, allow: write, timeout: 30s} # an order of the sample is kept nowhere
promote: verified
drain: 5s
`, service, c.version, s.o.Executable, ServiceArg, c.fault, s.production, s.test)
	if err := os.WriteFile(filepath.Join(dir, "check.yaml"), []byte(check), 0o600); err != nil {
		return "", fmt.Errorf("write check of %s: %w", c.version, err)
	}
	file := filepath.Join(dir, "greengate.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write greengate.yaml of %s: %w", c.version, err)
	}
	return file, nil
}

func (s *stage) sent() int64 {
	total, _ := s.load.Counted()
	return total
}

// await lets the load go on until it has sent enough.
func (s *stage) await(ctx context.Context) error {
	limit := time.Now().Add(loadLimit)
	for s.sent() < minRequests && time.Now().Before(limit) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// ask runs a command that answers JSON.
func (s *stage) ask(ctx context.Context, into any, args ...string) error {
	code, err := s.in.Ask(ctx, into, args...)
	if err == nil && code != 0 {
		err = fmt.Errorf("greengate %s exited with %d", strings.Join(args, " "), code)
	}
	return err
}

// close ends the installation with everything in it and removes its folder.
func (s *stage) close() error {
	if s.load != nil {
		s.load.Stop()
	}
	return s.in.Close()
}
