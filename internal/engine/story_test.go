package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/engine/enginetest"
)

// story is one deployment that is played over and over, with and without a process that dies.
type story struct {
	name  string
	first bool // there is no blue
	plan  func(p *deploy.Plan)
	world func(w *enginetest.World)
	play  func(s *stage) // what people and the world do meanwhile
	// What the uninterrupted run must come to, so that the story is what it says.
	phase   deploy.Phase
	reason  deploy.Reason
	running []string
	record  deploy.Phase
	proven  bool
}

func command(name string) deploy.Hook {
	return deploy.Hook{Name: name, Kind: deploy.HookCommand, Command: []string{name}}
}

func task(name string) deploy.Hook {
	return deploy.Hook{Name: name, Kind: deploy.HookTask, Command: []string{name}}
}

func function(name string) deploy.Hook {
	return deploy.Hook{Name: name, Kind: deploy.HookFunction, Function: &deploy.Function{Name: name}}
}

// takes is a hook's or a program's ordinary time.
const takes = 300 * time.Millisecond

func hooked(phase deploy.Phase, hooks ...deploy.Hook) func(*deploy.Plan) {
	return func(p *deploy.Plan) { p.Hooks[phase] = hooks }
}

func does(name string, b ...enginetest.Behaviour) func(*enginetest.World) {
	return func(w *enginetest.World) { w.Hook(name, b...) }
}

// stories cover every phase, every kind of hook and every end.
func stories() []story {
	both := []string{blueID, greenID}
	blue, green := []string{blueID}, []string{greenID}
	fails := enginetest.Behaviour{How: enginetest.Fails, After: takes}
	return []story{
		{
			name: "every kind of hook passes", phase: deploy.PhaseSucceeded, running: green,
			plan: func(p *deploy.Plan) {
				p.Promotion = deploy.PromoteVerified
				p.Hooks = map[deploy.Phase][]deploy.Hook{
					deploy.PhaseBeforeInstall:         {task("migrate")},
					deploy.PhaseAfterInstall:          {command("probe"), command("probe again")},
					deploy.PhaseAfterAllowTestTraffic: {function("verify")},
					deploy.PhaseBeforeAllowTraffic:    {command("last look")},
					deploy.PhaseAfterAllowTraffic:     {command("first look")},
				}
				p.Smoke = []deploy.Hook{command("home")}
			},
			world: does("verify", enginetest.Behaviour{How: enginetest.Reports, After: takes, Status: deploy.VerdictPass}),
		},
		{
			name: "canary", phase: deploy.PhaseSucceeded, running: green,
			plan: func(p *deploy.Plan) {
				p.Traffic = deploy.Traffic{Kind: deploy.TrafficCanary, Percent: 10, Interval: 4 * time.Second}
				p.StrictTestTraffic = true
			},
		},
		{
			name: "linear without a test listener", phase: deploy.PhaseSucceeded, running: green,
			plan: func(p *deploy.Plan) {
				p.Traffic = deploy.Traffic{Kind: deploy.TrafficLinear, Percent: 40, Interval: 2 * time.Second}
				p.TestListener = false
			},
		},
		{
			name: "manual wait", phase: deploy.PhaseSucceeded, running: green,
			plan: func(p *deploy.Plan) { p.Promotion, p.ReadyLimit = deploy.PromoteManual, 10*time.Minute },
			play: func(s *stage) {
				s.phase(deploy.PhaseReadyWait)
				s.pause(2 * time.Second)
				s.post("continue", deploy.Event{Kind: deploy.EventContinue, By: "ann", Wait: deploy.WaitReady})
			},
		},
		{
			name: "a hook fails", phase: deploy.PhaseFailed, reason: deploy.ReasonHookFailed, running: blue,
			record: deploy.PhaseSucceeded, proven: true,
			plan: hooked(deploy.PhaseAfterAllowTestTraffic, command("probe")), world: does("probe", fails),
		},
		{
			name: "the smoke set fails after the switch", phase: deploy.PhaseFailed, reason: deploy.ReasonSmokeFailed, running: blue,
			record: deploy.PhaseSucceeded, proven: true,
			plan:  func(p *deploy.Plan) { p.Smoke = []deploy.Hook{command("home")} },
			world: does("SmokeAfter/home", fails),
		},
		{
			name: "first deployment", first: true, phase: deploy.PhaseSucceeded, running: green,
			plan: hooked(deploy.PhaseAfterInstall, command("probe")),
		},
		{
			name: "first deployment fails", first: true, phase: deploy.PhaseFailed, reason: deploy.ReasonHookFailed,
			plan: hooked(deploy.PhaseBeforeAllowTraffic, command("probe")), world: does("probe", fails),
		},
		{
			name: "stopped in the middle of Install", phase: deploy.PhaseStopped, reason: deploy.ReasonStopRequested, running: blue,
			record: deploy.PhaseSucceeded, proven: true,
			world: func(w *enginetest.World) { w.Program("green", enginetest.Program{Ready: time.Minute}) },
			play: func(s *stage) {
				s.phase(deploy.PhaseInstall)
				s.pause(time.Second)
				s.post("stop", deploy.Event{Kind: deploy.EventStop, By: "ann"})
			},
		},
		{
			name: "stopped in a hook, without going back", phase: deploy.PhaseStopped, reason: deploy.ReasonStopRequested, running: both,
			plan:  hooked(deploy.PhaseAfterAllowTraffic, command("long")),
			world: does("long", enginetest.Behaviour{How: enginetest.Silent, Grace: takes}),
			play: func(s *stage) {
				s.until("in the hook", func(d deploy.Deployment) bool { return d.Run != nil })
				s.pause(time.Second)
				no := false
				s.post("stop", deploy.Event{Kind: deploy.EventStop, By: "ann", GoBack: &no})
			},
		},
		{
			name: "an alarm in the bake", phase: deploy.PhaseStopped, reason: deploy.ReasonAlarm, running: blue,
			record: deploy.PhaseSucceeded, proven: true,
			plan: func(p *deploy.Plan) { p.Alarms, p.Bake = []string{"5xx"}, 10*time.Minute },
			play: func(s *stage) {
				s.phase(deploy.PhaseTerminationWait)
				s.w.Raise("5xx", true)
			},
		},
		{
			name: "an alarm that does not exist any more", phase: deploy.PhaseStopped, reason: deploy.ReasonAlarm, running: blue,
			record: deploy.PhaseSucceeded, proven: true,
			plan: func(p *deploy.Plan) { p.Alarms, p.Bake = []string{"5xx"}, 10*time.Minute },
			play: func(s *stage) {
				s.phase(deploy.PhaseTerminationWait)
				s.w.Forget("5xx")
			},
		},
		{
			name: "an alarm beside one that does not exist", phase: deploy.PhaseStopped, reason: deploy.ReasonAlarm, running: blue,
			record: deploy.PhaseSucceeded, proven: true,
			plan: func(p *deploy.Plan) {
				p.Alarms, p.IgnoreAlarmFaults, p.Bake = []string{"gone", "5xx"}, true, 10*time.Minute
			},
			world: func(w *enginetest.World) { w.Forget("gone") },
			play: func(s *stage) {
				s.phase(deploy.PhaseTerminationWait)
				s.w.Raise("5xx", true)
			},
		},
		{
			name: "halt: blue is ill when green fails", phase: deploy.PhaseFailed, reason: deploy.ReasonHookFailed, running: both,
			plan:  hooked(deploy.PhaseAfterAllowTraffic, command("probe")),
			world: does("probe", enginetest.Behaviour{How: enginetest.Fails, After: 5 * time.Second}),
			play: func(s *stage) {
				s.phase(deploy.PhaseAfterAllowTraffic)
				s.w.Sicken(blueID, true)
			},
		},
		{
			name: "a task hook fails before green is made", phase: deploy.PhaseFailed, reason: deploy.ReasonHookFailed, running: blue,
			plan: hooked(deploy.PhaseBeforeInstall, task("migrate")), world: does("migrate", fails),
		},
		{
			name: "a function reports that it failed", phase: deploy.PhaseFailed, reason: deploy.ReasonHookFailed, running: blue,
			record: deploy.PhaseSucceeded, proven: true,
			plan:  hooked(deploy.PhaseAfterInstall, function("verify")),
			world: does("verify", enginetest.Behaviour{How: enginetest.Reports, After: takes, Status: deploy.VerdictFail}),
		},
		{
			name: "a lost and a silent attempt are repeated", phase: deploy.PhaseSucceeded, running: green,
			plan: func(p *deploy.Plan) {
				h := command("flaky")
				h.Timeout, h.Retries = 3*time.Second, 3
				p.Hooks[deploy.PhaseAfterInstall] = []deploy.Hook{h}
			},
			world: does("flaky", enginetest.Behaviour{How: enginetest.Lost}, enginetest.Behaviour{How: enginetest.Silent, Grace: takes},
				enginetest.Behaviour{How: enginetest.Errs, After: takes}, enginetest.Behaviour{How: enginetest.Passes, After: takes}),
		},
		{
			name: "a function never reports", phase: deploy.PhaseFailed, reason: deploy.ReasonInconclusive, running: blue,
			record: deploy.PhaseSucceeded, proven: true,
			plan: func(p *deploy.Plan) {
				h := function("verify")
				h.Timeout = 4 * time.Second
				p.Hooks[deploy.PhaseAfterInstall] = []deploy.Hook{h}
			},
			world: does("verify", enginetest.Behaviour{How: enginetest.Returns, After: takes}),
		},
		{
			name: "bake, ended by hand", phase: deploy.PhaseSucceeded, running: green,
			plan: func(p *deploy.Plan) { p.Bake, p.Smoke = 10*time.Minute, []deploy.Hook{command("home")} },
			play: func(s *stage) {
				s.phase(deploy.PhaseTerminationWait)
				s.pause(2 * time.Second)
				s.post("end", deploy.Event{Kind: deploy.EventContinue, By: "ann", Wait: deploy.WaitTermination})
			},
		},
		{
			name: "bake, to its end", phase: deploy.PhaseSucceeded, running: green,
			plan: func(p *deploy.Plan) { p.Bake, p.Smoke = 4*time.Second, []deploy.Hook{command("home")} },
		},
		{
			name: "streams outlive the switch", phase: deploy.PhaseSucceeded, running: green,
			play: func(s *stage) {
				x := s.w.Begin(service, false, true)
				s.until("over", func(deploy.Deployment) bool { return false })
				s.pause(2 * time.Second)
				if x.End() {
					s.t.Error("the stream was cut")
				}
			},
		},
		{
			name: "green answers with errors", phase: deploy.PhaseFailed, reason: deploy.ReasonErrorBudget, running: blue,
			record: deploy.PhaseSucceeded, proven: true,
			plan: func(p *deploy.Plan) { p.MaxErrorRate, p.Bake = 0.1, 10*time.Minute },
			play: func(s *stage) {
				s.phase(deploy.PhaseTerminationWait)
				s.w.Fail(greenID, true)
				for range 50 {
					s.w.Begin(service, false, false).End()
				}
			},
		},
		{
			name: "green falls ill in the bake", phase: deploy.PhaseFailed, reason: deploy.ReasonUnhealthy, running: blue,
			record: deploy.PhaseSucceeded, proven: true,
			plan: func(p *deploy.Plan) { p.Bake = 10 * time.Minute },
			play: func(s *stage) {
				s.phase(deploy.PhaseTerminationWait)
				s.w.Sicken(greenID, true)
			},
		},
		{
			name: "green cannot start", phase: deploy.PhaseFailed, reason: deploy.ReasonInstallFailed, running: blue,
			record: deploy.PhaseSucceeded, proven: true,
			world: func(w *enginetest.World) { w.Program("green", enginetest.Program{Doomed: true}) },
		},
		{
			name: "somebody else changes the weights", phase: deploy.PhaseFailed, reason: deploy.ReasonRouteConflict, running: blue,
			record: deploy.PhaseSucceeded, proven: true,
			plan:  hooked(deploy.PhaseBeforeAllowTraffic, command("long")),
			world: does("long", enginetest.Behaviour{How: enginetest.Passes, After: 5 * time.Second}),
			play: func(s *stage) {
				s.phase(deploy.PhaseBeforeAllowTraffic)
				s.w.Edit(service, []deploy.RouteWeight{{TaskSet: blueID, Weight: 90}, {TaskSet: greenID, Weight: 10}})
			},
		},
	}
}

func taskSet(id, program, version string) deploy.TaskSet {
	return deploy.TaskSet{ID: id, Service: service, Tasks: 2, Revision: deploy.Revision{
		Version: version, Digest: "digest of " + version, Workload: deploy.Workload{Command: []string{program}, Grace: time.Second},
	}}
}

// request is the deployment that a story asks for.
func (y story) request() deploy.New {
	p := deploy.Plan{
		Service: service, Application: service, Group: service, TestListener: true,
		Traffic: deploy.Traffic{Kind: deploy.TrafficAllAtOnce}, Hooks: map[deploy.Phase][]deploy.Hook{}, Promotion: deploy.PromoteAuto,
		WayBack: deploy.WayBackWarn, Rollback: deploy.RollbackPolicy{OnFailure: true, OnAlarm: true, OnStop: true},
		Drain: 30 * time.Second, UnhealthyGrace: 10 * time.Second, Limits: deploy.DefaultLimits(),
	}
	if y.plan != nil {
		y.plan(&p)
	}
	n := deploy.New{
		ID: deployID, RollbackID: recordID, Creator: "user", At: time.Now(), Plan: p, Green: taskSet(greenID, "green", "v2"),
	}
	if !y.first {
		n.Blue, n.TestSide = taskSet(blueID, "blue", "v1"), deploy.SideBlue
	}
	return n
}

// set puts on the stage what is there before the deployment.
func (y story) set(s *stage) {
	s.w.Program("green", enginetest.Program{Ready: takes})
	if y.first {
		s.w.Service(service, "")
	} else {
		s.w.Run(taskSet(blueID, "blue", "v1"))
		s.w.Service(service, blueID)
	}
	if y.world != nil {
		y.world(s.w)
	}
}

// perform plays the story to its end on a stage.
func (y story) perform(s *stage) ending {
	s.t.Helper()
	y.set(s)
	s.open()
	n := y.request()
	s.create(n)
	if y.play != nil {
		y.play(s)
	}
	s.over()
	s.pause(20 * s.rest) // what was left to itself ends
	y.judge(s, n)
	return s.ending()
}

// run plays the story in a bubble and returns its end and the number of points that were passed.
func (y story) run(t *testing.T, on func(enginetest.Point) enginetest.Action) (e ending, points int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, enginetest.Config{OnPoint: on, Confirm: 5 * time.Millisecond}, slowPace, 100*time.Millisecond)
		defer s.close()
		e = y.perform(s)
		points = s.w.Points()
	})
	return e, points
}
