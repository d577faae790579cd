package console

import (
	"slices"
	"time"

	"greengate/internal/deploy"
)

// stage is one row of a deployment's timeline.
type stage struct {
	Name   string
	Says   string // what happens there, for people who do not know the names
	Status deploy.LifecycleStatus
	Start  time.Time
	End    time.Time
	Reason deploy.Reason
	// Message is why it failed, or what it waits for.
	Message  string
	Verdicts []deploy.Verdict
	// Running is the hook that runs in it now.
	Running *deploy.RunningHook
}

// Took is how long it lasted, or lasts.
func (s stage) Took(now time.Time) time.Duration {
	switch {
	case s.Start.IsZero():
		return 0
	case s.End.IsZero():
		return now.Sub(s.Start)
	}
	return s.End.Sub(s.Start)
}

// Current reports whether it is where the deployment is.
func (s stage) Current() bool { return s.Status == deploy.LifecycleInProgress }

func explained(name deploy.Phase, kind deploy.Kind) string {
	if kind == deploy.KindRollback {
		switch name { //nolint:exhaustive // it does no others
		case deploy.PhaseAllowTraffic:
			return "production traffic moves back"
		case deploy.PhaseAfterAllowTraffic:
			return "production is on the old version"
		}
		return "a rollback does nothing here"
	}
	switch name { //nolint:exhaustive // the others have no row
	case deploy.PhaseBeforeInstall:
		return "before the new version exists"
	case deploy.PhaseInstall:
		return "the new version starts and becomes healthy"
	case deploy.PhaseAfterInstall:
		return "the new version runs without production traffic"
	case deploy.PhaseAllowTestTraffic:
		return "the test address leads to the new version"
	case deploy.PhaseAfterAllowTestTraffic:
		return "the new version is verified at the test address"
	case deploy.PhaseBeforeAllowTraffic:
		return "the last word before production moves"
	case deploy.PhaseAllowTraffic:
		return "production traffic moves"
	case deploy.PhaseAfterAllowTraffic:
		return "production is on the new version"
	}
	return ""
}

// stages are the rows: the lifecycle events, and between them what else a deployment waits for or proves.
func (m deploymentModel) stages() []stage {
	var rows []stage
	add := func(s stage, ok bool) {
		if ok {
			rows = append(rows, s)
		}
	}
	for _, ev := range m.D.Lifecycle {
		if ev.Name == deploy.PhaseBeforeAllowTraffic {
			add(m.phase(deploy.PhaseReadyWait, "Ready wait", "until somebody decides, or a verification has passed"))
		}
		if ev.Name == deploy.PhaseAllowTraffic {
			add(m.smoke(deploy.SmokeBefore, "Way back", "the old version is proven, in case production must go back"))
		}
		row := stage{
			Name: string(ev.Name), Says: explained(ev.Name, m.D.Kind), Status: ev.Status, Start: ev.Start, End: ev.End, Reason: ev.Reason, Message: ev.Message,
		}
		m.attach(&row, deploy.HookList(ev.Name))
		rows = append(rows, row)
	}
	add(m.smoke(deploy.SmokeAfter, "Smoke set", "production is verified after the switch"))
	add(m.phase(deploy.PhaseTerminationWait, "Bake", "the old version stays warm; alarms and the ledger still decide"))
	add(m.smoke(deploy.SmokeBake, "Smoke set at the end of the bake", "production is verified again"))
	add(m.smoke(deploy.SmokeRollback, "Smoke set after the rollback", "production is verified on the old version"))
	loser := "old"
	if m.D.Kind == deploy.KindRollback {
		loser = "new"
	}
	add(m.phase(deploy.PhaseRetire, "Retire", "the "+loser+" version is drained and stopped"))
	add(m.phase(deploy.PhaseInspect, "Inspect", "is the old version healthy?"))
	add(m.phase(deploy.PhaseRollback, "Roll back", "the listeners go back to the old version"))
	return rows
}

// attach gives a row the verdicts of its hooks.
func (m deploymentModel) attach(row *stage, list deploy.HookList) {
	for _, v := range m.D.Verdicts {
		if v.Event == list {
			row.Verdicts = append(row.Verdicts, v)
		}
	}
	if r := m.D.Running; r != nil && r.Event == list {
		row.Running = r
	}
}

// phase is a row of a phase that is no lifecycle event, where the history says that it was entered.
func (m deploymentModel) phase(p deploy.Phase, name, says string) (stage, bool) {
	row := stage{Name: name, Says: says}
	for i, e := range m.Events {
		if e.Kind != deploy.RecordPhase || e.Phase != p {
			continue
		}
		row.Start, row.Status = e.At, deploy.LifecycleInProgress
		for _, later := range m.Events[i+1:] {
			if later.Kind == deploy.RecordPhase || later.Kind == deploy.RecordEnd {
				row.End, row.Status = later.At, deploy.LifecycleSucceeded
				break
			}
		}
	}
	waits := p == deploy.PhaseReadyWait || p == deploy.PhaseTerminationWait
	if waits && !row.Start.IsZero() && row.End.Sub(row.Start) < time.Millisecond && !row.End.IsZero() {
		return row, false // it was passed at once
	}
	return row, !row.Start.IsZero()
}

// smoke is a row of a run of the smoke set.
func (m deploymentModel) smoke(list deploy.HookList, name, says string) (stage, bool) {
	row := stage{Name: name, Says: says}
	m.attach(&row, list)
	if len(row.Verdicts) == 0 && row.Running == nil {
		return row, false
	}
	row.Status = deploy.LifecycleSucceeded
	if row.Running != nil {
		row.Status, row.Start = deploy.LifecycleInProgress, row.Running.Started
	}
	if n := len(row.Verdicts); n > 0 {
		row.Start = row.Verdicts[0].Start
		if row.Running == nil {
			row.End = row.Verdicts[n-1].End
		}
		if row.Verdicts[n-1].Status != deploy.VerdictPass && row.Running == nil {
			row.Status = deploy.LifecycleFailed
		}
	}
	return row, true
}

// proof is the outcome of a deployment in the words that matter: where production is, and whether that is proven.
type proof struct {
	Class, Text string
}

// proof says what is known of production.
func (m deploymentModel) proof() proof {
	d := m.D
	switch {
	case d.Halted:
		return proof{"bad", "Halted: production was left as it is, because no side is known to be better. Look at it now."}
	case d.Kind == deploy.KindRollback && d.Status == deploy.StatusSucceeded && d.Rollback.Verified:
		return proof{"good", "Production is back on " + d.To + ", verified."}
	case d.Kind == deploy.KindRollback && d.Status.Terminal():
		return proof{"bad", "Production was rolled back to " + d.To + ", and is not verified: look at it."}
	case d.Status == deploy.StatusSucceeded:
		return proof{"good", "Production is on " + d.To + "."}
	case !d.Status.Terminal() || d.Kind == deploy.KindRollback:
		return proof{}
	case !d.Moved && d.From == "":
		return proof{"", "Production has no version yet."}
	case !d.Moved:
		return proof{"good", "Production never left " + d.From + "."}
	case d.Rollback.DeploymentID != "":
		return proof{"", "Production went back to " + d.From + "; the record of the rollback says whether it is verified."}
	}
	return proof{"bad", "Production was not rolled back: look at it."}
}

// running is the hook whose log the page follows.
func (m deploymentModel) newest() []deploy.HistoryEvent {
	list := slices.Clone(m.Events)
	slices.Reverse(list)
	return list
}
