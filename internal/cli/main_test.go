package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// asGreengate in the environment makes the test binary the program that the scripts run.
const asGreengate = "GREENGATE_TEST_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asGreengate) != "" { //nolint:forbidigo // this is main
		os.Exit(scriptMain()) //nolint:forbidigo // this is main
	}
	goleak.VerifyTestMain(m)
}

// scriptMain is the program as the scripts see it. GREENGATE_TEST_NOW sets the clock, which goes on from there.
func scriptMain() int {
	begin := time.Now()
	now := time.Now
	if at, err := time.Parse(time.RFC3339, os.Getenv("GREENGATE_TEST_NOW")); err == nil { //nolint:forbidigo // this is main
		now = func() time.Time { return at.Add(time.Since(begin)) }
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := Execute(ctx, Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Version: "1.2.3",
		Getenv: os.Getenv, Now: now, //nolint:forbidigo // this is main
	}, fakeRoles(), os.Args[1:])
	stop()
	return code
}

type codedError struct{ code int }

func (e codedError) Error() string { return fmt.Sprintf("the role gave up with %d", e.code) }
func (e codedError) ExitCode() int { return e.code }

// fakeRoles print what they were given.
func fakeRoles() Roles {
	role := func(_ context.Context, o RoleOptions) error {
		_, err := fmt.Fprintf(o.Stdout, "role %q\n", o.Args)
		return err
	}
	return Roles{
		Serve: func(_ context.Context, o ServeOptions) error {
			if o.Listen == "127.0.0.1:1" {
				return errors.New("listen on 127.0.0.1:1: permission denied")
			}
			_, err := fmt.Fprintf(o.Stdout, "serve %+v\n", o.Serve)
			return err
		},
		Demo: func(_ context.Context, o DemoOptions) error {
			_, err := fmt.Fprintf(o.Stdout, "demo %q\n", o.JSON)
			return err
		},
		Rehearse: func(_ context.Context, o RehearseOptions) error {
			_, err := fmt.Fprintf(o.Stdout, "rehearse %s %q %v minute=%s json=%v\n", o.Service.Name, o.Only, o.Env, o.Minute, o.JSON)
			return err
		},
		Controller: role,
		Proxy:      role,
		Runner:     func(context.Context, RoleOptions) error { return codedError{2} },
	}
}
