package engine_test

import (
	"fmt"
	"slices"

	"greengate/internal/deploy"
	"greengate/internal/engine/enginetest"
)

// judge holds what must be true of every journal, whatever happened to the process.
func (y story) judge(s *stage, n deploy.New) {
	s.t.Helper()
	faults := s.w.Violations()
	journal := s.w.Journal()
	faults = append(faults, judgeHooks(journal)...)
	faults = append(faults, judgeWeights(journal, n)...)
	for _, f := range faults {
		s.t.Error(f)
	}
	if len(faults) > 0 {
		s.fatalf("the story %q went wrong", y.name)
	}
}

// judgeHooks: no attempt is started twice. That no two hooks run beside each other, the World sees.
func judgeHooks(journal []enginetest.Entry) (faults []string) {
	seen := map[string]bool{}
	for _, e := range journal {
		if e.Kind != enginetest.EntryHookStart {
			continue
		}
		attempt := fmt.Sprintf("%s %s attempt %d", e.Call.List, e.Call.Hook.Name, e.Call.Attempt)
		if seen[attempt] {
			faults = append(faults, "started twice: "+attempt)
		}
		seen[attempt] = true
	}
	return faults
}

// judgeWeights: production is given to green only after every hook before AllowTraffic has passed; it
// moves on towards green or back to blue, and once back never again; the set that carries most of it
// is one that runs.
func judgeWeights(journal []enginetest.Entry, n deploy.New) (faults []string) {
	passed := map[string]bool{}
	running := map[string]bool{blueID: true}
	last, back := 0, false
	for _, e := range journal {
		switch e.Kind {
		case enginetest.EntryHookEnd:
			passed[string(e.Call.List)+"/"+e.Call.Hook.Name] = e.Status == deploy.VerdictPass
		case enginetest.EntryEnsure:
			running[e.ID] = true
		case enginetest.EntryStop:
			running[e.ID] = false
		case enginetest.EntryShift:
			if e.Text != "" {
				continue // somebody else's
			}
			green := weight(e.Production, greenID)
			if green > 0 {
				faults = append(faults, unverified(passed, n)...)
			}
			if green > last && back {
				faults = append(faults, fmt.Sprintf("green rises again after the way back: %s", e))
			}
			back = back || green < last
			last = green
			for _, w := range e.Production {
				if w.Weight > 0 && !running[w.TaskSet] {
					faults = append(faults, fmt.Sprintf("%s does not run: %s", w.TaskSet, e))
				}
			}
			if weight(e.Production, blueID)+green != 100 && len(e.Production) > 0 {
				faults = append(faults, fmt.Sprintf("weights do not add up: %s", e))
			}
		case enginetest.EntryRelease, enginetest.EntryHookStart, enginetest.EntryHookCancel, enginetest.EntryCrash:
		}
	}
	return faults
}

func weight(weights []deploy.RouteWeight, id string) int {
	i := slices.IndexFunc(weights, func(w deploy.RouteWeight) bool { return w.TaskSet == id })
	if i < 0 {
		return 0
	}
	return weights[i].Weight
}

func unverified(passed map[string]bool, n deploy.New) (faults []string) {
	for _, p := range deploy.LifecycleEvents(n.Plan.TestListener) {
		if p == deploy.PhaseAllowTraffic {
			break
		}
		for _, h := range n.Plan.Hooks[p] {
			if !passed[string(p)+"/"+h.Name] {
				faults = append(faults, fmt.Sprintf("green got production before %s in %s had passed", h.Name, p))
			}
		}
	}
	return faults
}
