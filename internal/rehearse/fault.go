package rehearse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"greengate/internal/deploy"
)

// Outcome is what became of a deployment.
type Outcome string

// The outcomes that a rehearsal expects.
const (
	Promoted   Outcome = "promoted"
	NeverMoved Outcome = "refused, production never moved"
	RolledBack Outcome = "rolled back and verified"
	// LeftThere is the end of a failure after the switch where the service wants no rollback.
	LeftThere Outcome = "failed, left on the new version"
	notRun    Outcome = "not run"
)

// fault is one deployment of the rehearsal and what is to become of it.
type fault struct {
	name, title string
	want        Outcome
	reason      deploy.Reason // of a deployment that is not promoted
	// verdict is that of the rehearsal's own hook, which proves that the fault came about; empty where there is none.
	verdict deploy.VerdictStatus
	// alter puts the fault into the service; it may be nil.
	alter func(*stage, *deploy.Service)
	// beside is done while the deployment runs; it may be nil. Its error says that the fault did not come about.
	beside func(context.Context, *stage) error
}

// ownHook is the name of the hook that the rehearsal adds.
const ownHook = "greengate-rehearsal"

// firstName is the deployment with which every rehearsal begins: there is nothing to switch from without it.
const firstName = "first"

// faults are all of them, in their order.
func faults() []fault {
	return []fault{
		{name: firstName, title: "the first deployment", want: Promoted},
		{name: "none", title: "a deployment without a fault", want: Promoted},
		{
			name: "green-unhealthy", title: "the new version never listens", want: NeverMoved, reason: deploy.ReasonTimeout,
			alter: unhealthy,
		},
		{
			name: "hook-silent", title: "a hook never says anything", want: NeverMoved, reason: deploy.ReasonInconclusive,
			alter: withHook(programSilent), verdict: deploy.VerdictError,
		},
		{
			name: "hook-crashing", title: "a hook crashes", want: NeverMoved, reason: deploy.ReasonHookFailed,
			alter: withHook(programCrash), verdict: deploy.VerdictFail,
		},
		{
			name: "slow-step", title: "a hook takes " + slowStep.String(), want: Promoted,
			alter: withHook(programSlow), verdict: deploy.VerdictPass,
		},
		{
			name: "controller-killed", title: "the controller is killed while a hook runs", want: Promoted,
			alter: heldHook, verdict: deploy.VerdictPass, beside: killController,
		},
		{
			name: "smoke-failing", title: "the smoke set fails after the switch", want: RolledBack, reason: deploy.ReasonSmokeFailed,
			alter: unhappySmoke, verdict: deploy.VerdictFail,
		},
	}
}

// chosen are the faults of --only, always behind the first deployment.
func chosen(only []string) ([]fault, error) {
	all := faults()
	var names []string
	for _, f := range all {
		names = append(names, f.name)
	}
	for _, name := range only {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("%q is no fault of the rehearsal; they are %s", name, strings.Join(names, ", "))
		}
	}
	if len(only) > 0 {
		all = slices.DeleteFunc(all, func(f fault) bool { return f.name != firstName && !slices.Contains(only, f.name) })
	}
	return all, nil
}

const (
	// unhealthyLimit is how long the deployment waits for a version of which the rehearsal knows that it never listens.
	unhealthyLimit = 4 * time.Second
	// silentLimit is the time limit of a hook of which the rehearsal knows that it never ends.
	silentLimit = 2 * time.Second
	hookLimit   = 2 * time.Minute
)

func (s *stage) program(args ...string) []string {
	return append([]string{s.o.Executable, ProgramArg}, args...)
}

func unhealthy(s *stage, svc *deploy.Service) {
	svc.Workload.Command = s.program(programSilent)
	svc.InstallLimit = min(svc.InstallLimit, unhealthyLimit)
}

// withHook adds a hook of the rehearsal's own behind those of the service, where end-to-end checks run.
func withHook(program string) func(*stage, *deploy.Service) {
	return func(s *stage, svc *deploy.Service) { addHook(svc, s.program(program), program == programSilent) }
}

func addHook(svc *deploy.Service, command []string, silent bool) {
	event := deploy.PhaseAfterAllowTestTraffic
	if svc.Test == "" {
		event = deploy.PhaseAfterInstall
	}
	h := deploy.Hook{Name: ownHook, Kind: deploy.HookCommand, Command: command, Timeout: hookLimit}
	if silent {
		h.Timeout = silentLimit
	}
	svc.Hooks[event] = append(svc.Hooks[event], h)
}

func heldHook(s *stage, svc *deploy.Service) {
	addHook(svc, s.program(programHeld, s.begun(), s.goOn()), false)
}

func (s *stage) begun() string { return filepath.Join(s.in.Dir, "held.begun") }
func (s *stage) goOn() string  { return filepath.Join(s.in.Dir, "held.go") }

func unhappySmoke(s *stage, svc *deploy.Service) {
	svc.Smoke = append(svc.Smoke, deploy.Hook{
		Name: ownHook, Kind: deploy.HookCommand, Command: s.program(programUnhappy), Timeout: hookLimit,
	})
}

// killController kills the controller while the rehearsal's hook runs, and lets the hook go on when there is another one.
func killController(ctx context.Context, s *stage) error {
	if err := await(ctx, func() bool { return exists(s.begun()) }); err != nil {
		return fmt.Errorf("await hook: %w", err)
	}
	pid := s.controller()
	if pid < 2 {
		return errors.New("the process of the controller is not known")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		return fmt.Errorf("kill controller: %w", err)
	}
	if err := await(ctx, func() bool { next := s.controller(); return next > 1 && next != pid }); err != nil {
		return fmt.Errorf("await the next controller: %w", err)
	}
	if err := os.WriteFile(s.goOn(), nil, 0o600); err != nil {
		return fmt.Errorf("let the hook go on: %w", err)
	}
	return nil
}

// controller is the process of the controller; 0 where that is not known.
func (s *stage) controller() int {
	content, err := os.ReadFile(filepath.Join(s.in.Data, "roles", "controller.json"))
	var role struct {
		PID int `json:"pid"`
	}
	if err != nil || json.Unmarshal(content, &role) != nil {
		return 0
	}
	return role.PID
}
