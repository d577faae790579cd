package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"greengate/internal/config"
	"greengate/internal/deploy"
)

// The exit codes of every command.
const (
	ExitDone        = 0
	ExitOther       = 1
	ExitUsage       = 2
	ExitRefused     = 3
	ExitFailedSafe  = 4
	ExitFailed      = 5
	ExitStopped     = 6
	ExitRunning     = 7
	ExitActive      = 8
	ExitUnreachable = 9
)

// exitCode is one line of the table that people read.
type exitCode struct {
	code    int
	meaning string
}

// exitCodes is the one table for all commands.
func exitCodes() []exitCode {
	return []exitCode{
		{ExitDone, "done; where it waited: promoted"},
		{ExitOther, "anything else"},
		{ExitUsage, "bad input or usage"},
		{ExitRefused, "refused by check"},
		{ExitFailedSafe, "failed, and production is proven on the old version: traffic never moved, or it was rolled back and verified"},
		{ExitFailed, "failed, and production is not proven: rolled back but not verified, not rolled back, or halted"},
		{ExitStopped, "stopped, and production is proven on the old version (otherwise 5)"},
		{ExitRunning, "still running or waiting at the time limit, or when the wait was interrupted"},
		{ExitActive, "another deployment of the service is active"},
		{ExitUnreachable, "the controller is unreachable, or the outcome is unknown"},
	}
}

// outcome is the exit code of a deployment. record is the record of its rollback, nil where there is none.
//
// A deployment that was stopped after traffic had moved, and whose way back is not verified, is 5 and not 6: 6 promises
// that production is where it was.
func outcome(d deploy.DeploymentView, record *deploy.DeploymentView) int {
	if d.Kind == deploy.KindRollback {
		return rollbackOutcome(d)
	}
	if record != nil && !record.Status.Terminal() {
		return ExitRunning
	}
	backVerified := record != nil && rollbackOutcome(*record) == ExitDone
	proven := !d.Halted && (!d.Moved || backVerified)
	switch d.Status {
	case deploy.StatusSucceeded:
		return ExitDone
	case deploy.StatusFailed:
		if proven {
			return ExitFailedSafe
		}
		return ExitFailed
	case deploy.StatusStopped:
		if proven {
			return ExitStopped
		}
		return ExitFailed
	case deploy.StatusCreated, deploy.StatusInProgress, deploy.StatusReady:
		return ExitRunning
	}
	return ExitUnreachable // a status of a later version: unknown is not done
}

// rollbackOutcome is the exit code of a rollback's record: done only when the record says verified.
func rollbackOutcome(r deploy.DeploymentView) int {
	switch {
	case !r.Status.Terminal():
		return ExitRunning
	case r.Status == deploy.StatusSucceeded && r.Rollback.Verified && !r.Halted:
		return ExitDone
	}
	return ExitFailed
}

// exitError ends the program with a code. Its error may be nil: then everything was said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exitWith ends the program with a code when everything was said already; nil for 0.
func exitWith(code int) error {
	if code == ExitDone {
		return nil
	}
	return &exitError{code: code}
}

// usage marks an error as one of the command line or of its input.
func usage(err error) error { return &exitError{code: ExitUsage, err: err} }

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

// codeOf is the exit code of an error.
func codeOf(err error) int {
	var coded interface{ ExitCode() int } // an error of a role that knows its code
	if err == nil {
		return ExitDone
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[*config.FileError](err); ok {
		return ExitUsage
	}
	if _, ok := errors.AsType[*unreachableError](err); ok || errors.Is(err, config.ErrNoController) {
		return ExitUnreachable
	}
	if errors.Is(err, context.Canceled) {
		return ExitUnreachable // an interrupted request may have been carried out
	}
	if e, ok := errors.AsType[*wireError](err); ok {
		return e.exitCode()
	}
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return ExitOther
}

// exitCode maps the names of the wire: those of the domain's codes, and the AWS names of the same faults.
func (e *wireError) exitCode() int {
	name := e.Name()
	switch {
	case name == "activedeployment" || name == "deploymentlimitexceeded":
		return ExitActive
	case name == "refusedbycheck":
		return ExitRefused
	case e.Status >= 500:
		return ExitUnreachable // whether it was done before it broke is not known
	case name == "validation" || name == "serialization" || name == "notfound" || name == "resourcenotfound",
		strings.HasPrefix(name, "invalid") && !strings.Contains(name, "signature"),
		strings.HasSuffix(name, "doesnotexist"), strings.HasSuffix(name, "required"):
		return ExitUsage
	}
	return ExitOther
}
