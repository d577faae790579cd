package deploy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// This file visits every state that a few plans can reach, each with every event that means
// something there, and checks the invariants on the way. The diagram is drawn from what it saw.

// candidates are the events that can happen to d now, and some that mean nothing.
func candidates(d *Deployment, now time.Time) []Event {
	yes, no := true, false
	events := []Event{
		{Kind: EventStart},
		{Kind: EventTick},
		{Kind: EventStop, By: "ann", GoBack: &yes},
		{Kind: EventStop, By: "ann", GoBack: &no},
		{Kind: EventContinue, By: "ann"},
		{Kind: EventContinue, By: "ann", Wait: WaitTermination},
		{Kind: EventAlarm, Alarms: []string{"latency"}},
		{Kind: EventUnhealthy},
		{Kind: EventBudget},
		{Kind: EventOutcome, Seq: d.NextSeq, Outcome: &Outcome{OK: true}},
	}
	for _, e := range d.Open {
		for _, out := range outcomes(e) {
			events = append(events, Event{Kind: EventOutcome, Seq: e.Seq, Outcome: out})
		}
	}
	if d.Run != nil {
		for _, v := range []VerdictStatus{VerdictPass, VerdictFail} {
			events = append(events, Event{Kind: EventReported, Seq: d.Run.Seq, Report: v, By: "role"})
		}
		events = append(events, Event{Kind: EventDenied, Seq: d.Run.Seq, Message: "role r may not report", By: "role"})
	}
	for i := range events {
		events[i].At = now
	}
	if tick, ok := dueTick(d, now); ok {
		events = append(events, tick)
	}
	return events
}

// outcomes are the ways in which an effect can end.
func outcomes(e Effect) []*Outcome {
	good := goodOutcome(e)
	bad := &Outcome{Reason: ReasonInternal, Message: "broken", Healthy: true}
	switch e.Kind {
	case EffectHook:
		return []*Outcome{
			good,
			{OK: true, Verdict: &Verdict{Status: VerdictFail, Checks: []Check{{Name: "home", Status: VerdictFail}}}},
			{OK: true, Verdict: &Verdict{Status: VerdictError}},
			bad, nil,
		}
	case EffectInspect:
		return []*Outcome{good, {OK: true}, bad, nil}
	case EffectInstall, EffectRoute, EffectRetire, EffectWatch, EffectCancel:
	}
	return []*Outcome{good, bad, nil}
}

// stateKey tells states apart by all that decides what follows, not by times and numbers.
func stateKey(d *Deployment) string {
	var open []string
	for _, e := range d.Open {
		kind := string(e.Kind)
		if e.Kind == EffectWatch && !e.Watch.TaskSet.IsZero() {
			kind += "+"
		}
		open = append(open, kind)
	}
	slices.Sort(open)
	if i := slices.Index(open, string(EffectCancel)); i >= 0 { // one cancellation is like another
		open = slices.Compact(open)
	}
	key := fmt.Sprint(d.Kind, d.Phase, d.Status, d.Weights, d.Moved, d.TestSide, d.ShiftStep, d.Waiting.For,
		d.BlueWay.Checked, d.BlueWay.Healthy, d.BlueWay.Verified, d.Halted, d.Rollback.Verified, d.Wake.IsZero(), open)
	if d.Run != nil {
		key += fmt.Sprint(d.Run.List, d.Run.Index, d.Run.Attempt)
	}
	if d.Cause != nil {
		key += fmt.Sprint(d.Cause.Status, d.Cause.GoBack, d.Cause.Phase)
	}
	return key
}

// edge is one transition between phases as the records tell it.
type edge struct {
	kind     Kind
	from, to Phase
}

type exploration struct {
	t     *testing.T
	edges map[edge]map[Reason]bool
}

// explored is a state and how it was reached.
type explored struct {
	d   Deployment
	w   *witness
	now time.Time
}

// run visits everything that can follow from the creation of d, then its records of rollbacks.
func (x *exploration) run(name string, d Deployment) {
	x.t.Helper()
	seen := map[string]bool{}
	w := newWitness()
	w.light = true
	queue := []explored{{d, w, d.CreatedAt}}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, ev := range candidates(&at.d, at.now) {
			w := at.w.clone()
			out, err := w.step(at.d, ev)
			if err != nil {
				x.t.Fatalf("%s: %s %s in %s: %v", name, ev.Kind, mustJSON(ev), mustJSON(at.d), err)
			}
			x.note(&at.d, out.Records)
			next := []Deployment{out.Deployment}
			if out.Spawn != nil {
				next = append(next, *out.Spawn)
			}
			for i, n := range next {
				if key := stateKey(&n); !seen[key] {
					seen[key] = true
					if i == 1 {
						w = newWitness()
						w.light = true
					}
					queue = append(queue, explored{n, w, ev.At})
				}
			}
		}
		for _, how := range []string{"happy", "ticks", "broken"} {
			if err := x.ends(at, how); err != nil {
				x.t.Fatalf("%s: %s from %s: %v", name, how, mustJSON(at.d), err)
			}
		}
	}
	x.t.Logf("%s: %d states", name, len(seen))
}

// ends goes on from a state in one way until it is terminal.
func (x *exploration) ends(at explored, how string) error {
	w := at.w.clone()
	d, now := at.d, at.now
	for range 300 {
		if d.Phase.Terminal() {
			return nil
		}
		ev, ok := dueTick(&d, now)
		switch {
		case how == "happy":
			ev, ok = happy(&d, now)
		case how == "broken" && len(d.Open) > 0:
			ev = Event{Kind: EventOutcome, At: now, Seq: d.Open[0].Seq, Outcome: &Outcome{Message: "broken"}}
		}
		if !ok {
			return fmt.Errorf("nothing is due in %s", d.Phase)
		}
		out, err := w.step(d, ev)
		if err != nil {
			return err
		}
		x.note(&d, out.Records)
		d, now = out.Deployment, ev.At
	}
	return fmt.Errorf("still in %s", d.Phase)
}

// note takes the edges out of the records of one step.
func (x *exploration) note(d *Deployment, records []Record) {
	from := d.Phase
	for _, r := range records {
		if r.Kind != RecordPhase && r.Kind != RecordEnd {
			continue
		}
		e := edge{d.Kind, from, r.Phase}
		if x.edges[e] == nil {
			x.edges[e] = map[Reason]bool{}
		}
		x.edges[e][r.Reason] = true
		from = r.Phase
	}
}

// explore visits a handful of plans that between them use everything a plan can say.
func explore(t *testing.T) *exploration {
	t.Helper()
	x := &exploration{t: t, edges: map[edge]map[Reason]bool{}}
	full := testPlan()
	full.Traffic = Traffic{Kind: TrafficCanary, Percent: 10, Interval: time.Minute}
	full.Promotion, full.ReadyLimit, full.Bake = PromoteManual, time.Hour, 10*time.Minute
	full.Alarms, full.MaxErrorRate = []string{"latency"}, 0.01
	retried := testHook("look", HookCommand)
	retried.Retries = 1
	full.Hooks = map[Phase][]Hook{
		PhaseBeforeInstall:         {testHook("migrate", HookTask)},
		PhaseAfterInstall:          {retried},
		PhaseAfterAllowTestTraffic: {testHook("check", HookFunction), testHook("again", HookFunction)},
		PhaseBeforeAllowTraffic:    {testHook("gate", HookCommand)},
		PhaseAfterAllowTraffic:     {testHook("after", HookCommand)},
	}
	full.Smoke = []Hook{testHook("home", HookCommand), testHook("cart", HookTask)}

	strict := full
	strict.StrictTestTraffic, strict.WayBack, strict.Promotion = true, WayBackRequire, PromoteVerified
	strict.Rollback, strict.Bake, strict.Traffic = RollbackPolicy{}, 0, Traffic{Kind: TrafficAllAtOnce}

	bare := testPlan()
	bare.TestListener, bare.Traffic = false, Traffic{Kind: TrafficLinear, Percent: 40, Interval: time.Minute}

	require := testPlan()
	require.WayBack, require.Promotion, require.Bake = WayBackRequire, PromoteVerified, time.Minute

	blue := testSet("blue", "v1")
	for _, p := range []struct {
		name string
		plan Plan
		blue TaskSet
	}{
		{"full", full, blue},
		{"full, first", full, TaskSet{}},
		{"strict", strict, blue},
		{"strict, first", strict, TaskSet{}},
		{"bare", bare, blue},
		{"bare, first", bare, TaskSet{}},
		{"require", require, blue},
	} {
		x.run(p.name, Create(New{
			ID: "d-1", RollbackID: "d-2", Creator: "user", At: epoch, Plan: p.plan,
			Blue: p.blue, Green: testSet("green", "v2"), TestSide: SideBlue,
		}))
	}
	return x
}

// TestExplore_everyState checks the invariants in every state that the plans of explore can reach,
// and that every phase is among them.
func TestExplore_everyState(t *testing.T) {
	t.Parallel()
	x := explore(t)
	reached := map[Phase]bool{PhaseCreated: true}
	for e := range x.edges {
		reached[e.to] = true
	}
	for _, p := range Phases() {
		if !reached[p] {
			t.Errorf("phase %s was never reached", p)
		}
	}
	t.Run("diagram", func(t *testing.T) { checkDiagram(t, drawDiagram(x.edges)) })
}

// drawDiagram renders the transitions as two Mermaid state diagrams. An edge that every phase of a
// group has is drawn once, from the group, and an end that skips Settle is drawn as one that does not.
func drawDiagram(edges map[edge]map[Reason]bool) string {
	var b strings.Builder
	b.WriteString("A deployment (Settle is passed at once where nothing is left to end):\n\n```mermaid\nstateDiagram-v2\n    [*] --> Created\n")
	groups := []struct {
		name, title string
		phases      []Phase
	}{
		{"onBlue", "production is on blue", []Phase{
			PhaseInstall, PhaseAfterInstall, PhaseAllowTestTraffic, PhaseAfterAllowTestTraffic, PhaseReadyWait,
			PhaseBeforeAllowTraffic,
		}},
		{"moved", "production moves to green", []Phase{PhaseAllowTraffic, PhaseAfterAllowTraffic, PhaseTerminationWait}},
	}
	rest := map[edge]map[Reason]bool{}
	add := func(e edge, reasons map[Reason]bool) {
		if rest[e] == nil {
			rest[e] = map[Reason]bool{}
		}
		maps.Copy(rest[e], reasons)
	}
	for e, reasons := range edges {
		if e.to.Terminal() {
			if e.from != PhaseSettle {
				add(edge{e.kind, e.from, PhaseSettle}, nil)
			}
			e.from = PhaseSettle
		}
		add(e, reasons)
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "    state %q as %s {\n", g.title, g.name)
		writeEdges(&b, "        ", rest, func(e edge) bool {
			return e.kind == KindDeploy && slices.Contains(g.phases, e.from) && slices.Contains(g.phases, e.to)
		})
		b.WriteString("    }\n")
		for _, to := range Phases() {
			if sharedEdge(rest, g.phases, to) {
				fmt.Fprintf(&b, "    %s --> %s\n", g.name, to)
			}
		}
	}
	writeEdges(&b, "    ", rest, func(e edge) bool { return e.kind == KindDeploy })
	b.WriteString("```\n\nThe record of a rollback:\n\n```mermaid\nstateDiagram-v2\n    [*] --> Created\n")
	writeEdges(&b, "    ", rest, func(e edge) bool { return e.kind == KindRollback })
	b.WriteString("```\n")
	return b.String()
}

// sharedEdge takes the edges to a phase away when every phase of the group has one.
func sharedEdge(rest map[edge]map[Reason]bool, group []Phase, to Phase) bool {
	for _, from := range group {
		if rest[edge{KindDeploy, from, to}] == nil {
			return false
		}
	}
	for _, from := range group {
		delete(rest, edge{KindDeploy, from, to})
	}
	return true
}

// writeEdges writes the edges that want accepts, in the order of the phases, and takes them away.
// Only ways forward that need a reason carry one; why something failed has many.
func writeEdges(b *strings.Builder, indent string, rest map[edge]map[Reason]bool, want func(edge) bool) {
	order := map[Phase]int{}
	for i, p := range Phases() {
		order[p] = i
	}
	list := slices.Collect(maps.Keys(rest))
	slices.SortFunc(list, func(x, y edge) int {
		if x.from != y.from {
			return order[x.from] - order[y.from]
		}
		return order[x.to] - order[y.to]
	})
	for _, e := range list {
		if !want(e) {
			continue
		}
		fmt.Fprintf(b, "%s%s --> %s%s\n", indent, e.from, e.to, label(rest[e]))
		delete(rest, e)
		if e.to.Terminal() {
			fmt.Fprintf(b, "%s%s --> [*]\n", indent, e.to)
		}
	}
}

// label says what moves a deployment on where that is a decision. Why something failed has too many
// reasons for a picture.
func label(reasons map[Reason]bool) string {
	decisions := []Reason{ReasonAdvanced, ReasonAutomatic, ReasonContinued, ReasonNoWayBack, ReasonVerified}
	var words []string
	for r := range reasons {
		if !slices.Contains(decisions, r) {
			return ""
		}
		words = append(words, string(r))
	}
	slices.Sort(words)
	if len(words) == 0 || slices.Equal(words, []string{string(ReasonAdvanced)}) {
		return ""
	}
	return ": " + strings.Join(words, ", ")
}
