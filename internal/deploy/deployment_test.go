package deploy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// want says what an ask should be answered with: nil, or a code and a part of the message.
type want struct {
	code Code
	text string
}

func (w want) check(t *testing.T, err error) {
	t.Helper()
	if w.code == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var fault *Error
	if !errors.As(err, &fault) || fault.Code != w.code || !strings.Contains(fault.Message, w.text) {
		t.Errorf("err = %#v, want %s with %q", err, w.code, w.text)
	}
}

func TestDeployment_CanStop(t *testing.T) {
	t.Parallel()
	cause := &Cause{Status: StatusFailed}
	for name, tc := range map[string]struct {
		d    Deployment
		want want
	}{
		"under way":          {Deployment{Kind: KindDeploy, Phase: PhaseInstall}, want{}},
		"baking":             {Deployment{Kind: KindDeploy, Phase: PhaseTerminationWait}, want{}},
		"failing already":    {Deployment{Kind: KindDeploy, Phase: PhaseRollback, Cause: cause}, want{}},
		"settling a failure": {Deployment{Kind: KindDeploy, Phase: PhaseSettle, Cause: cause}, want{}},
		"retiring blue":      {Deployment{Kind: KindDeploy, Phase: PhaseRetire}, want{CodeAlreadyCompleted, "point of return"}},
		"settling a success": {Deployment{Kind: KindDeploy, Phase: PhaseSettle}, want{CodeAlreadyCompleted, "point of return"}},
		"ended":              {Deployment{Kind: KindDeploy, Phase: PhaseFailed, Status: StatusFailed}, want{CodeAlreadyCompleted, "ended with status Failed"}},
		"rollback":           {Deployment{Kind: KindRollback, Phase: PhaseAllowTraffic}, want{CodeConflict, "is a rollback"}},
		"rollback, ended":    {Deployment{Kind: KindRollback, Phase: PhaseSucceeded, Status: StatusSucceeded}, want{CodeAlreadyCompleted, "Succeeded"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.want.check(t, tc.d.CanStop())
		})
	}
}

func TestDeployment_CanContinue(t *testing.T) {
	t.Parallel()
	ready := Deployment{Phase: PhaseReadyWait, Waiting: Waiting{For: WaitReady}}
	baking := Deployment{Phase: PhaseTerminationWait, Waiting: Waiting{For: WaitTermination}}
	smoking := Deployment{Phase: PhaseTerminationWait}
	ended := Deployment{Phase: PhaseStopped, Status: StatusStopped}
	for name, tc := range map[string]struct {
		d    Deployment
		wait string
		want want
	}{
		"ready":                     {ready, WaitReady, want{}},
		"ready, unnamed":            {ready, "", want{}},
		"ready, other wait":         {ready, WaitTermination, want{CodeNotInReadyState, "not in TERMINATION_WAIT"}},
		"no wait at all":            {ready, "SOMEDAY", want{CodeInvalid, "SOMEDAY"}},
		"bake":                      {baking, WaitTermination, want{}},
		"bake, unnamed":             {baking, "", want{CodeNotInReadyState, "not in READY_WAIT"}},
		"smoke at the bake's end":   {smoking, WaitTermination, want{CodeNotInReadyState, "TERMINATION_WAIT"}},
		"under way":                 {Deployment{Phase: PhaseInstall}, WaitReady, want{CodeNotInReadyState, "in Install"}},
		"ended":                     {ended, WaitReady, want{CodeAlreadyCompleted, "ended with status Stopped"}},
		"ended, but no wait at all": {ended, "SOMEDAY", want{CodeInvalid, "SOMEDAY"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.want.check(t, tc.d.CanContinue(tc.wait))
		})
	}
}

func TestDeployment_CanReport(t *testing.T) {
	t.Parallel()
	d := Deployment{
		ID: "d-1", Phase: PhaseBeforeAllowTraffic, NextSeq: 9, Run: &HookRun{Seq: 7},
		Verdicts: []Verdict{{Hook: "check", Seq: 4, Status: VerdictPass}},
	}
	for seq, w := range map[int64]want{
		7:  {},
		4:  {CodeHookCompleted, "hook check of deployment d-1 has its verdict already: pass"},
		5:  {CodeHookCompleted, "not running"},
		8:  {CodeHookCompleted, "not running"},
		9:  {CodeHookUnknown, "no such hook"},
		0:  {CodeHookUnknown, "no such hook"},
		-1: {CodeHookUnknown, "no such hook"},
	} {
		t.Run(fmt.Sprint(seq), func(t *testing.T) {
			t.Parallel()
			w.check(t, d.CanReport(seq))
		})
	}
}

func TestDeployment_Due(t *testing.T) {
	t.Parallel()
	early, late := epoch, epoch.Add(time.Minute)
	for name, tc := range map[string]struct {
		d    Deployment
		want time.Time
	}{
		"deadline":                    {Deployment{Phase: PhaseInstall, Deadline: late}, late},
		"wake before deadline":        {Deployment{Phase: PhaseAllowTraffic, Deadline: late, Wake: early}, early},
		"deadline before wake":        {Deployment{Phase: PhaseAllowTraffic, Deadline: early, Wake: late}, early},
		"wake alone":                  {Deployment{Phase: PhaseAllowTraffic, Wake: late}, late},
		"nothing":                     {Deployment{Phase: PhaseInstall}, time.Time{}},
		"terminal, whatever is there": {Deployment{Phase: PhaseFailed, Deadline: late, Wake: early}, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			due, ok := tc.d.Due()
			if !due.Equal(tc.want) || ok == tc.want.IsZero() {
				t.Errorf("Due() = %s, %t, want %s", due, ok, tc.want)
			}
		})
	}
}

func TestDeployment_ProductionProven(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		d    Deployment
		want bool
	}{
		"never moved":             {Deployment{Kind: KindDeploy, Phase: PhaseFailed}, true},
		"moved":                   {Deployment{Kind: KindDeploy, Phase: PhaseFailed, Moved: true}, false},
		"halted":                  {Deployment{Kind: KindDeploy, Phase: PhaseFailed, Moved: true, Halted: true}, false},
		"record, verified":        {Deployment{Kind: KindRollback, Phase: PhaseSucceeded, Moved: true, Rollback: RollbackInfo{Verified: true}}, true},
		"record, not verified":    {Deployment{Kind: KindRollback, Phase: PhaseSucceeded}, false},
		"record, still under way": {Deployment{Kind: KindRollback, Phase: PhaseRetire, Rollback: RollbackInfo{Verified: true}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tc.d.ProductionProven(); got != tc.want {
				t.Errorf("ProductionProven() = %t", got)
			}
		})
	}
}

// TestDeployment_Safe: only a deployment that passed everything is safe on green.
func TestDeployment_Safe(t *testing.T) {
	t.Parallel()
	blue := testSet("blue", "v1")
	cause := &Cause{Status: StatusFailed}
	for _, p := range Phases() {
		deployment := Deployment{Kind: KindDeploy, Phase: p, Blue: blue}
		wantSide := SideBlue
		if slices.Contains([]Phase{PhaseRetire, PhaseSucceeded, PhaseSettle}, p) {
			wantSide = SideGreen
		}
		if got := deployment.Safe(); got != wantSide {
			t.Errorf("deployment in %s: %s, want %s", p, got, wantSide)
		}
		record := Deployment{Kind: KindRollback, Phase: p, Blue: blue}
		if got := record.Safe(); got != SideBlue {
			t.Errorf("record in %s: %s, want %s", p, got, SideBlue)
		}
	}
	failing := Deployment{Kind: KindDeploy, Phase: PhaseSettle, Cause: cause, Blue: blue}
	if got := failing.Safe(); got != SideBlue {
		t.Errorf("settling a failure: %s", got)
	}
	first := Deployment{Kind: KindDeploy, Phase: PhaseDiscard, Cause: cause}
	if got := first.Safe(); got != SideNone {
		t.Errorf("first deployment: %s", got)
	}
}

// TestStep_timesAsStored: times lose what a store would not keep, so that a restart changes nothing.
func TestStep_timesAsStored(t *testing.T) {
	t.Parallel()
	d := Create(New{ID: "d-1", RollbackID: "d-2", At: epoch, Plan: testPlan(), Green: testSet("green", "v2")})
	at := time.Now().In(time.FixedZone("somewhere", 3600)) //nolint:forbidigo // a reading with a monotonic clock is the point
	got := Step(d, Event{Kind: EventStart, At: at}).Deployment
	if got.StartedAt != at.Round(0).UTC() {
		t.Errorf("StartedAt = %#v", got.StartedAt)
	}
}

func TestError_Is(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("load deployment: %w", Errorf(CodeNotFound, "deployment %s does not exist", "d-1"))
	if !errors.Is(err, &Error{Code: CodeNotFound}) {
		t.Error("not matched by its code")
	}
	if !errors.Is(err, &Error{Code: CodeNotFound, Message: "deployment d-1 does not exist"}) {
		t.Error("not matched by code and message")
	}
	if errors.Is(err, &Error{Code: CodeNotFound, Message: "deployment d-2 does not exist"}) {
		t.Error("matched by another message")
	}
	if errors.Is(err, &Error{Code: CodeExists}) {
		t.Error("matched by another code")
	}
	if errors.Is(err, ErrStale) || errors.Is(errors.New("deployment d-1 does not exist"), &Error{Code: CodeNotFound}) {
		t.Error("matched by an error of another type")
	}
	if got := err.Error(); got != "load deployment: deployment d-1 does not exist" {
		t.Errorf("message = %q", got)
	}
}
