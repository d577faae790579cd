package rehearse

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"greengate/internal/deploy"
)

// ProgramArg is the argument with which the binary is one of the programs that a rehearsal puts into a deployment.
const ProgramArg = "rehearsal-program"

// The programs, by their name behind ProgramArg.
const (
	programSilent  = "silent"  // never ends by itself, never listens
	programCrash   = "crash"   // panics
	programSlow    = "slow"    // takes its time, and passes
	programHeld    = "held"    // says that it has begun, passes when it may go on: held BEGUN GO
	programUnhappy = "unhappy" // a smoke check that fails once the new version has the production address
)

const (
	slowStep = 3 * time.Second
	// holdLimit bounds how long a held program waits: less than any hook's time, so that it is not left behind.
	holdLimit = time.Minute
	holdPoll  = 20 * time.Millisecond
)

// RunProgram is one of the programs of a rehearsal.
func RunProgram(ctx context.Context, getenv func(string) string, args []string) error {
	if len(args) == 0 {
		return errors.New("name a program of the rehearsal")
	}
	switch args[0] {
	case programSilent:
		<-ctx.Done()
		return nil
	case programCrash:
		panic("the rehearsal lets this hook crash")
	case programSlow:
		return pause(ctx, slowStep)
	case programUnhappy:
		if event := getenv("GREENGATE_LIFECYCLE_EVENT"); event == string(deploy.SmokeAfter) {
			return errors.New("the rehearsal lets the smoke set fail after the switch")
		}
		return nil
	case programHeld:
		if len(args) == 3 {
			return held(ctx, args[1], args[2]) //nolint:gosec // there are three
		}
	}
	return fmt.Errorf("unknown program of the rehearsal: %q", args)
}

func held(ctx context.Context, begun, goOn string) error {
	if err := os.WriteFile(begun, nil, 0o600); err != nil {
		return fmt.Errorf("say that it has begun: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, holdLimit, errors.New("nobody let it go on"))
	defer cancel()
	return await(ctx, func() bool { return exists(goOn) })
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// await polls a condition until it holds or ctx ends.
func await(ctx context.Context, holds func() bool) error {
	for !holds() {
		if err := pause(ctx, holdPoll); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
