// Command greengate is the whole of Greengate in one binary: the client, the supervisor and its
// three roles, and the demo. It reads flags and signals and hands over; package app does the work.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"greengate/internal/app"
	"greengate/internal/cli"
	"greengate/internal/config"
	"greengate/internal/demo"
	"greengate/internal/lambdahook"
	"greengate/internal/rehearse"
	"greengate/internal/runner"
	"greengate/internal/shadow"
	"greengate/internal/supervise"

	"golang.org/x/term"
)

// version is set by the linker; a plain go build takes it from the module.
var version = ""

func main() {
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	if len(args) == 1 && args[0] == runner.LaunchArg {
		return runner.Launch()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if lambdahook.InLambda(os.Args[0], os.Getenv) {
		return plain(lambdahook.Serve(ctx, os.Getenv, os.Stdout))
	}
	if len(args) > 0 {
		if args[0] == demo.ServiceArg {
			return plain(demo.RunService(ctx, os.Getenv))
		}
		if args[0] == shadow.Arg {
			code, err := app.RunShadow(ctx, args[1:], os.Stdout)
			return max(code, plain(err))
		}
		if args[0] == rehearse.ProgramArg {
			return plain(rehearse.RunProgram(ctx, os.Getenv, args[1:]))
		}
	}
	width, _, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil {
		width = 0 // no terminal
	}
	env := cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Now: time.Now,
		StdoutTerminal: term.IsTerminal(int(os.Stdout.Fd())), StdinTerminal: term.IsTerminal(int(os.Stdin.Fd())),
		Width: width, Version: buildVersion(),
	}
	return cli.Execute(ctx, env, cli.Roles{
		Serve: serve, Demo: runDemo, Rehearse: runRehearsal,
		Controller: role(app.RunController), Proxy: role(app.RunProxy), Runner: role(app.RunRunner),
	}, args)
}

func plain(err error) int {
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func serve(ctx context.Context, o cli.ServeOptions) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return app.RunServe(ctx, app.ServeOptions{
		Settings: o.Serve, Executable: exe, Out: o.Stdout, Log: slog.New(slog.NewTextHandler(o.Stderr, nil)),
		// All that the roles need of this environment; of it tasks and functions get the search path alone.
		Env:      []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")},
		TraceEnv: config.TraceEnvironment(os.Getenv),
	})
}

func runDemo(ctx context.Context, o cli.DemoOptions) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	return demo.Run(ctx, demo.Options{Executable: exe, Out: o.Stdout, JSONFile: o.JSON})
}

func runRehearsal(ctx context.Context, o cli.RehearseOptions) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	r, err := rehearse.Run(ctx, rehearse.Options{
		Executable: exe, Service: o.Service, File: o.File, Only: o.Only, Env: o.Env, Load: o.Load, Minute: o.Minute, Limit: o.Limit,
		Keep: o.Keep, Progress: o.Progress, Environ: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")},
	})
	if err != nil {
		return err
	}
	if err := r.Write(o.Stdout, o.JSON, o.JUnit); err != nil {
		return err
	}
	return r.Err()
}

// role runs a role process. Serve starts it; it can also be a unit of systemd.
func role(run func(context.Context, app.Role) error) func(context.Context, cli.RoleOptions) error {
	return func(ctx context.Context, o cli.RoleOptions) error {
		handover, err := supervise.Receive(os.Getenv, os.Unsetenv)
		if err != nil {
			return fmt.Errorf("receive sockets: %w", err)
		}
		settings, err := roleSettings(o.Args, o.Stderr)
		if err != nil {
			return err
		}
		ctx, stopAll := roleSignals(ctx)
		return run(ctx, app.Role{
			Settings: settings, Handover: handover, SearchPath: os.Getenv("PATH"), StopAll: stopAll, Traces: config.TraceEnvironment(os.Getenv) != nil,
			Log: slog.New(slog.NewTextHandler(o.Stderr, nil)),
		})
	}
}

func roleSettings(args []string, stderr io.Writer) (config.Serve, error) {
	s, err := config.ServeDefaults(os.Getenv)
	if err != nil {
		return s, err
	}
	f := flag.NewFlagSet("role", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&s.Data, "data", s.Data, "data folder")
	f.StringVar(&s.Listen, "listen", s.Listen, "address of the API")
	f.StringVar(&s.Region, "region", s.Region, "region")
	f.StringVar(&s.AccountID, "account-id", s.AccountID, "account id")
	f.DurationVar(&s.Minute, "minute", s.Minute, "how long a minute lasts")
	f.StringVar(&s.Compat, "compat", s.Compat, "whose ways win")
	f.StringVar(&s.LoadBalancers, "load-balancers", s.LoadBalancers, "network of load balancers")
	f.StringVar(&s.Notify, "notify", s.Notify, "file of receivers of notices")
	f.StringVar(&s.Hooks, "hooks", s.Hooks, "file of hooks that AppSpec files name")
	if err := f.Parse(args); err != nil {
		return s, fmt.Errorf("read flags: %w", err)
	}
	return s.Validate()
}

var errTerminated = errors.New("terminated")

// roleSignals tells the two ways to end a role apart: SIGTERM ends the process alone, SIGINT from the
// supervisor ends also what it runs.
func roleSignals(ctx context.Context) (context.Context, <-chan struct{}) {
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stopAll := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		interrupted := false
		for s := range signals {
			switch {
			case s == syscall.SIGTERM:
				cancel(errTerminated)
			case !interrupted:
				interrupted = true
				close(stopAll)
			}
		}
	}()
	return ctx, stopAll
}
