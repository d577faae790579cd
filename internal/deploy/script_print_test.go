package deploy

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// This file prints what the stories see. Times are relative to the creation of the story.

func (s *story) printf(format string, args ...any) { fmt.Fprintf(&s.out, format, args...) }

func (s *story) printRecord(r Record) {
	s.printf("- %s %s", r.Kind, r.Phase)
	if r.Reason != ReasonNone {
		s.printf(" %s", r.Reason)
	}
	if r.Message != "" {
		s.printf(": %s", r.Message)
	}
	s.printf("\n")
}

// effect prints one effect with all that it says.
func (s *story) effect(e Effect) string {
	switch e.Kind {
	case EffectInstall, EffectInspect:
		return fmt.Sprintf("%s %s", e.Kind, e.TaskSet.ID)
	case EffectRetire:
		return fmt.Sprintf("%s %s drain=%s", e.Kind, e.TaskSet.ID, e.Drain)
	case EffectRoute:
		return "Route " + routeLine(e.Route)
	case EffectHook:
		return fmt.Sprintf("Hook %s %s %s attempt=%d on=%s until=%s",
			e.Hook.List, e.Hook.Hook.Kind, e.Hook.Hook.Name, e.Hook.Attempt, e.Hook.TaskSet.ID, rel(e.Hook.Until))
	case EffectWatch:
		return "Watch" + watchLine(e.Watch)
	case EffectCancel:
		line := fmt.Sprintf("Cancel %d", e.Cancels)
		if e.Abandon {
			line += " abandon"
		}
		return line
	}
	return string(e.Kind)
}

func routeLine(r *Route) string {
	line := "production="
	var weights []string
	for _, w := range r.Production {
		weights = append(weights, fmt.Sprintf("%s:%d", w.TaskSet, w.Weight))
	}
	line += orNone(strings.Join(weights, ",")) + " test=" + orNone(r.Test)
	if r.Force {
		line += " force"
	}
	return line + " ledger=" + r.Ledger
}

func watchLine(w *Watch) string {
	line := ""
	if !w.TaskSet.IsZero() {
		line += fmt.Sprintf(" %s grace=%s", w.TaskSet.ID, w.Grace)
	}
	if len(w.Alarms) > 0 {
		line += " alarms=" + strings.Join(w.Alarms, ",")
	}
	if w.MaxErrorRate > 0 {
		line += fmt.Sprintf(" max-error-rate=%v ledger=%s", w.MaxErrorRate, w.Ledger)
	}
	return line
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// rel prints a time as the distance from the creation.
func rel(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return "+" + t.Sub(epoch).String()
}

// printState prints where the deployment stands.
func (s *story) printState() {
	d := &s.d
	s.printf("= %s %s %s at=%s weights=%d/%d test=%s", d.ID, d.Phase, d.Status, rel(s.now), d.Weights.Blue, d.Weights.Green, orNone(string(d.TestSide)))
	if !d.Phase.Terminal() || !d.Deadline.IsZero() {
		s.printf(" deadline=%s", rel(d.Deadline))
	}
	if !d.Wake.IsZero() {
		s.printf(" wake=%s", rel(d.Wake))
	}
	s.printf("%s\n", flags(d))
	for _, e := range d.Open {
		s.printf("  open %d %s\n", e.Seq, e.Kind)
	}
	if d.Run != nil {
		s.printf("  run %s[%d] attempt %d as %d\n", d.Run.List, d.Run.Index, d.Run.Attempt, d.Run.Seq)
	}
	if d.Phase.Terminal() {
		s.printEnd()
	}
}

// flags prints what is set of the rest.
func flags(d *Deployment) string {
	line := ""
	add := func(set bool, text string) {
		if set {
			line += " " + text
		}
	}
	add(d.Waiting.For != "", "waiting="+d.Waiting.For+"@"+rel(d.Waiting.Until))
	add(d.BlueWay.Checked, fmt.Sprintf("way=healthy:%t,verified:%t", d.BlueWay.Healthy, d.BlueWay.Verified))
	add(d.Moved, "moved")
	if d.Cause != nil {
		add(true, fmt.Sprintf("cause=%s:%s in %s", d.Cause.Status, d.Cause.Reason, d.Cause.Phase))
		add(d.Cause.GoBack, "goback")
	}
	add(d.Halted, "halted")
	add(d.Rollback.Verified, "verified")
	return line
}

// printEnd prints what an ended deployment leaves behind.
func (s *story) printEnd() {
	s.printLifecycle()
	if d := &s.d; !d.Rollback.IsZero() && d.Rollback.Message != "" {
		s.printf("  rollback %s: %s\n", orNone(d.Rollback.DeploymentID), d.Rollback.Message)
	}
	if s.d.Cause != nil || s.d.Kind == KindRollback {
		s.printf("  production proven on the old version: %t\n", s.d.ProductionProven())
	}
}

func (s *story) printLifecycle() {
	s.printf("  lifecycle")
	for _, ev := range s.d.Lifecycle {
		s.printf(" %s=%s", ev.Name, ev.Status)
		if ev.Reason != ReasonNone {
			s.printf("(%s)", ev.Reason)
		}
	}
	s.printf("\n")
}

// can prints what people may ask now.
func (s *story) can() {
	answer := func(name string, err error) {
		if err == nil {
			s.printf("  %s: yes\n", name)
			return
		}
		s.printf("  %s: no: %v\n", name, err)
	}
	answer("stop", s.d.CanStop())
	answer("continue", s.d.CanContinue(""))
	answer("continue "+WaitTermination, s.d.CanContinue(WaitTermination))
	seqs := []int64{0, s.d.NextSeq}
	for _, v := range s.d.Verdicts {
		seqs = append(seqs, v.Seq)
	}
	if s.d.Run != nil {
		seqs = append(seqs, s.d.Run.Seq)
	}
	for _, e := range s.d.Open {
		seqs = append(seqs, e.Seq)
	}
	slices.Sort(seqs)
	for _, seq := range slices.Compact(seqs) {
		answer(fmt.Sprintf("report #%d", seq), s.d.CanReport(seq))
	}
}
