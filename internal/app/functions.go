package app

import (
	"context"
	"fmt"
	"net"
	"time"

	"greengate/internal/runner"
	"greengate/internal/runner/sandbox"
)

// newFunctions makes the manager of function sandboxes inside the runner role.
func newFunctions(dir string, server *runner.Server, r Role) (*sandbox.Manager, error) {
	m, err := sandbox.New(sandbox.Config{
		Dir: dir, Units: units{server}, Logger: r.Log, SearchPath: orDefault(r.SearchPath, searchPath),
		Inherited: r.kept(socketRunner),
		Keep:      func(name string, l *net.TCPListener) error { return r.Handover.Keep(name, l) },
		Unkeep:    r.Handover.Forget,
	})
	if err != nil {
		return nil, fmt.Errorf("make function sandboxes: %w", err)
	}
	return m, nil
}

// units lets sandboxes be units of the runner; it implements sandbox.Units.
type units struct{ server *runner.Server }

// sandboxGrace is between SIGTERM and SIGKILL; a sandbox is only stopped when nobody needs it.
const sandboxGrace = -time.Second

// Start implements sandbox.Units.
func (u units) Start(ctx context.Context, p sandbox.Program) error {
	_, err := u.server.Ensure(ctx, runner.Spec{
		ID: p.ID, Group: "functions", Mode: runner.ModeOnce, Command: p.Command, Dir: p.Dir, Env: p.Env, Grace: sandboxGrace,
		Limits: runner.Limits{MemoryBytes: p.MemoryBytes}, LogFile: p.Output, LogKeep: -1, Digest: p.ID,
	})
	return err
}

// Stop implements sandbox.Units.
func (u units) Stop(ctx context.Context, id string) error { return u.server.Stop(ctx, id) }

// Wait implements sandbox.Units.
func (u units) Wait(ctx context.Context, id string) (sandbox.Exit, error) {
	st, err := u.server.Wait(ctx, id)
	if err != nil || st.Exit == nil {
		return sandbox.Exit{}, err
	}
	return sandbox.Exit{Known: st.Exit.Known, Code: st.Exit.Code, Signal: st.Exit.Signal, OOM: st.Exit.OOM}, nil
}

// Forget implements sandbox.UnitForgetter.
func (u units) Forget(ctx context.Context, id string) error { return u.server.Forget(ctx, id) }
