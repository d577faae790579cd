package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"greengate/internal/config"
	"greengate/internal/deploy"
)

func TestOutcome(t *testing.T) {
	view := func(status deploy.Status, change ...func(*deploy.DeploymentView)) deploy.DeploymentView {
		v := deploy.DeploymentView{Kind: deploy.KindDeploy, Status: status}
		for _, c := range change {
			c(&v)
		}
		return v
	}
	moved := func(v *deploy.DeploymentView) { v.Moved = true }
	halted := func(v *deploy.DeploymentView) { v.Halted = true }
	verified := func(v *deploy.DeploymentView) { v.Kind, v.Rollback.Verified = deploy.KindRollback, true }
	unverified := func(v *deploy.DeploymentView) { v.Kind = deploy.KindRollback }
	record := func(v deploy.DeploymentView) *deploy.DeploymentView { return &v }
	tests := []struct {
		name   string
		view   deploy.DeploymentView
		record *deploy.DeploymentView
		want   int
	}{
		{"promoted", view(deploy.StatusSucceeded, moved), nil, ExitDone},
		{"failed before the switch", view(deploy.StatusFailed), nil, ExitFailedSafe},
		{"failed before the switch, record not verified", view(deploy.StatusFailed), record(view(deploy.StatusSucceeded, unverified)), ExitFailedSafe},
		{"failed, halted", view(deploy.StatusFailed, halted), nil, ExitFailed},
		{"failed, halted after the switch, verified record", view(deploy.StatusFailed, moved, halted), record(view(deploy.StatusSucceeded, verified)), ExitFailed},
		{"failed, not rolled back", view(deploy.StatusFailed, moved), nil, ExitFailed},
		{"failed, rolled back", view(deploy.StatusFailed, moved), record(view(deploy.StatusSucceeded, verified)), ExitFailedSafe},
		{"failed, rolled back without proof", view(deploy.StatusFailed, moved), record(view(deploy.StatusSucceeded, unverified)), ExitFailed},
		{"failed, rollback failed", view(deploy.StatusFailed, moved), record(view(deploy.StatusFailed, verified)), ExitFailed},
		{"failed, rollback stopped", view(deploy.StatusFailed, moved), record(view(deploy.StatusStopped, unverified)), ExitFailed},
		{"failed, rollback halted", view(deploy.StatusFailed, moved), record(view(deploy.StatusSucceeded, verified, halted)), ExitFailed},
		{"failed, rollback runs", view(deploy.StatusFailed, moved), record(view(deploy.StatusInProgress, unverified)), ExitRunning},
		{"stopped before the switch", view(deploy.StatusStopped), nil, ExitStopped},
		{"stopped, left where it was", view(deploy.StatusStopped, moved), nil, ExitFailed},
		{"stopped, rolled back", view(deploy.StatusStopped, moved), record(view(deploy.StatusSucceeded, verified)), ExitStopped},
		{"stopped, rolled back without proof", view(deploy.StatusStopped, moved), record(view(deploy.StatusSucceeded, unverified)), ExitFailed},
		{"stopped, halted", view(deploy.StatusStopped, halted), nil, ExitFailed},
		{"runs", view(deploy.StatusInProgress), nil, ExitRunning},
		{"created", view(deploy.StatusCreated), nil, ExitRunning},
		{"waits", view(deploy.StatusReady), nil, ExitRunning},
		{"a status of tomorrow", view("Paused"), nil, ExitUnreachable},
		{"no status", view(""), nil, ExitUnreachable},
		{"a record, verified", view(deploy.StatusSucceeded, verified), nil, ExitDone},
		{"a record, not verified", view(deploy.StatusSucceeded, unverified), nil, ExitFailed},
		{"a record that runs", view(deploy.StatusInProgress, unverified), nil, ExitRunning},
		{"a record that failed", view(deploy.StatusFailed, unverified), nil, ExitFailed},
	}
	for _, tt := range tests {
		if got := outcome(tt.view, tt.record); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}

func TestCodeOf(t *testing.T) {
	tests := []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("x"), ExitOther},
		{fs.ErrNotExist, ExitOther},
		{usagef("x"), ExitUsage},
		{&config.FileError{}, ExitUsage},
		{fmt.Errorf("wait: %w", &unreachableError{}), ExitUnreachable},
		{fmt.Errorf("x: %w", config.ErrNoController), ExitUnreachable},
		{context.Canceled, ExitUnreachable},
		{codedError{2}, 2},
		{&wireError{Code: "DeploymentLimitExceededException"}, ExitActive},
		{&wireError{Code: "com.amazonaws.codedeploy#DeploymentLimitExceededException"}, ExitActive},
		{&wireError{Code: "activedeployment"}, ExitActive},
		{&wireError{Code: "RefusedByCheck"}, ExitRefused},
		{&wireError{Code: "ValidationException"}, ExitUsage},
		{&wireError{Code: "InvalidDeploymentIdException"}, ExitUsage},
		{&wireError{Code: "DeploymentIdRequiredException"}, ExitUsage},
		{&wireError{Code: "DeploymentDoesNotExistException"}, ExitUsage},
		{&wireError{Code: "NotFound"}, ExitUsage},
		{&wireError{Code: "InvalidSignatureException", Status: 403}, ExitOther},
		{&wireError{Code: "DeploymentAlreadyCompletedException"}, ExitOther},
		{&wireError{Code: "InternalFailure", Status: 500}, ExitUnreachable},
		{&wireError{Code: "ServiceUnavailableException", Status: 503}, ExitUnreachable},
	}
	for _, tt := range tests {
		if got := codeOf(tt.err); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestExitCodes_tableIsWhole(t *testing.T) {
	for i, c := range exitCodes() {
		if c.code != i || c.meaning == "" {
			t.Errorf("line %d of the table is %+v", i, c)
		}
	}
}
