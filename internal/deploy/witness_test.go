package deploy

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"
)

// This file holds what must be true of every step, wherever it comes from: stories, exploration,
// random walks and fuzzing all go through witness.step.

// epoch is when every deployment of these tests is created.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func testSet(id, version string) TaskSet {
	return TaskSet{
		ID: id, Service: "shop", Tasks: 2,
		Revision: Revision{Version: version, Digest: version + "-digest", Workload: Workload{
			Command: []string{"./shop"}, Env: map[string]string{"MODE": "test"}, Grace: 10 * time.Second,
			Health: &HealthCheck{Type: "http", Path: "/"},
		}},
	}
}

func testPlan() Plan {
	return Plan{
		Service: "shop", Application: "shop", Group: "shop", TestListener: true,
		Traffic: Traffic{Kind: TrafficAllAtOnce}, Hooks: map[Phase][]Hook{}, Promotion: PromoteAuto,
		WayBack: WayBackWarn, Rollback: RollbackPolicy{OnFailure: true, OnAlarm: true, OnStop: true},
		Drain: 30 * time.Second, UnhealthyGrace: 10 * time.Second, Limits: DefaultLimits(),
	}
}

func testHook(name string, kind HookKind) Hook {
	h := Hook{Name: name, Kind: kind, Command: []string{"./" + name}, Env: map[string]string{"A": "b"}}
	if kind == HookFunction {
		h.Function = &Function{Name: name, Runtime: "python3", Handler: name + ".handler", Env: map[string]string{"C": "d"}}
	}
	return h
}

// happy is the next event when all goes well: what is open ends well, waits are continued, and
// otherwise time passes until something is due.
func happy(d *Deployment, now time.Time) (Event, bool) {
	switch d.Phase { //nolint:exhaustive // the others wait for an outcome or for time
	case PhaseCreated:
		return Event{Kind: EventStart, At: now}, true
	case PhaseReadyWait:
		return Event{Kind: EventContinue, At: now, By: "ann"}, true
	}
	for _, e := range d.Open {
		if e.Kind != EffectWatch {
			return Event{Kind: EventOutcome, At: now, Seq: e.Seq, Outcome: goodOutcome(e)}, true
		}
	}
	return dueTick(d, now)
}

func goodOutcome(e Effect) *Outcome {
	out := &Outcome{OK: true, Healthy: e.Kind == EffectInspect}
	if e.Kind == EffectHook {
		out.Verdict = &Verdict{Status: VerdictPass, Checks: []Check{{Name: "home", Status: VerdictPass}}}
	}
	return out
}

func dueTick(d *Deployment, now time.Time) (Event, bool) {
	due, ok := d.Due()
	if due.Before(now) {
		due = now
	}
	return Event{Kind: EventTick, At: due}, ok
}

// witness sees every step of one deployment and knows what was asked for before.
type witness struct {
	seen    bool
	light   bool // leave out the checks that cost much
	seqs    map[int64]bool
	hooks   map[string]bool // list/index/attempt of every hook effect
	weights map[string]int  // last asked for, by task set
}

func newWitness() *witness {
	return &witness{seqs: map[int64]bool{}, hooks: map[string]bool{}, weights: map[string]int{}}
}

func (w *witness) clone() *witness {
	c := *w
	c.seqs, c.hooks, c.weights = maps.Clone(w.seqs), maps.Clone(w.hooks), maps.Clone(w.weights)
	return &c
}

// step is Step, and says what of the contract it broke.
func (w *witness) step(d Deployment, ev Event) (Output, error) {
	if !w.seen { // what was asked for before the first step is what is confirmed
		w.seen = true
		w.weights[d.Blue.ID], w.weights[d.Green.ID] = d.Weights.Blue, d.Weights.Green
	}
	if w.light {
		out := Step(d, ev)
		return out, w.check(d, ev, out)
	}
	before, event := mustJSON(d), mustJSON(ev)
	out := Step(d, ev)
	for _, check := range []func() error{
		func() error { return differ("Step altered its input", before, mustJSON(d)) },
		func() error { return differ("Step altered its event", event, mustJSON(ev)) },
		func() error {
			if !reflect.DeepEqual(out, Step(d, ev)) {
				return fmt.Errorf("Step does not repeat exactly: %s", mustJSON(out))
			}
			return nil
		},
		func() error { return checkRoundTrip(before, ev, out) },
		func() error { return checkSharing(d, ev, out) },
		func() error { return w.check(d, ev, out) },
	} {
		if err := check(); err != nil {
			return out, err
		}
	}
	return out, nil
}

func mustJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func differ(what, a, b string) error {
	if a != b {
		return fmt.Errorf("%s:\n%s\n%s", what, a, b)
	}
	return nil
}

// checkRoundTrip loads what was stored: nothing may be lost, and what follows may not change.
func checkRoundTrip(stored string, ev Event, out Output) error {
	var loaded Deployment
	if err := json.Unmarshal([]byte(stored), &loaded); err != nil {
		return err
	}
	if err := differ("a stored deployment differs", stored, mustJSON(loaded)); err != nil {
		return err
	}
	return differ("Step of a stored deployment differs", mustJSON(out), mustJSON(Step(loaded, ev)))
}

// check holds the invariants of one step.
func (w *witness) check(d Deployment, ev Event, out Output) error {
	n := &out.Deployment
	if d.Phase.Terminal() {
		if len(out.Effects)+len(out.Records) > 0 || out.Spawn != nil || mustJSON(d) != mustJSON(*n) {
			return fmt.Errorf("a terminal deployment changed")
		}
		return nil
	}
	if n.Revno != d.Revno+1 || !n.UpdatedAt.Equal(ev.At) {
		return fmt.Errorf("revno %d -> %d, updated at %s for %s", d.Revno, n.Revno, n.UpdatedAt, ev.At)
	}
	if err := checkState(n); err != nil {
		return err
	}
	if err := checkEnd(n, out.Spawn); err != nil {
		return err
	}
	if err := checkMeaningless(d, ev, out); err != nil {
		return err
	}
	for _, e := range out.Effects {
		if err := w.effect(n, e); err != nil {
			return fmt.Errorf("effect %s: %w", mustJSON(e), err)
		}
	}
	return nil
}

// checkState holds what is true of every state.
func checkState(d *Deployment) error {
	if sum := d.Weights.Blue + d.Weights.Green; sum != 100 && (sum != 0 || d.HasBlue()) {
		return fmt.Errorf("weights %d/%d", d.Weights.Blue, d.Weights.Green)
	}
	due, isDue := d.Due()
	if isDue == d.Phase.Terminal() || due.IsZero() == isDue {
		return fmt.Errorf("phase %s, status %s: due %s %t", d.Phase, d.Status, due, isDue)
	}
	if d.Phase.Terminal() != d.Status.Terminal() || d.Phase.Terminal() == d.CompletedAt.IsZero() {
		return fmt.Errorf("phase %s, status %s, completed %s", d.Phase, d.Status, d.CompletedAt)
	}
	if (d.Status == StatusReady) != (d.Waiting.For == WaitReady) {
		return fmt.Errorf("status %s waits for %q", d.Status, d.Waiting.For)
	}
	if d.Run != nil && !openHas(d, d.Run.Seq, EffectHook) {
		return fmt.Errorf("hook %d runs but is not open", d.Run.Seq)
	}
	for _, e := range d.Open {
		if e.Kind == EffectHook && (d.Run == nil || d.Run.Seq != e.Seq) {
			return fmt.Errorf("hook %d is open but nobody waits for it", e.Seq)
		}
	}
	return checkLifecycle(d)
}

// checkLifecycle: ended events come first, then at most one in flight, then those that are to come.
func checkLifecycle(d *Deployment) error {
	rank := map[LifecycleStatus]int{LifecycleSucceeded: 0, LifecycleInProgress: 1, LifecycleFailed: 1, LifecyclePending: 2, LifecycleSkipped: 2}
	last, flying := 0, 0
	for _, ev := range d.Lifecycle {
		r := rank[ev.Status]
		if r < last || ev.Start.IsZero() != (r == 2) || ev.End.IsZero() != (ev.Status == LifecycleInProgress || r == 2) {
			return fmt.Errorf("lifecycle %s", mustJSON(d.Lifecycle))
		}
		if last = r; r == 1 {
			flying++
		}
		if (ev.Status == LifecycleInProgress || ev.Status == LifecyclePending) && (d.Phase.Terminal() || d.Cause != nil) {
			return fmt.Errorf("%s is %s in %s", ev.Name, ev.Status, d.Phase)
		}
	}
	if flying > 1 {
		return fmt.Errorf("%d lifecycle events in flight", flying)
	}
	return nil
}

func openHas(d *Deployment, seq int64, kind EffectKind) bool {
	for _, e := range d.Open {
		if e.Seq == seq {
			return e.Kind == kind
		}
	}
	return false
}

// checkEnd holds what is true of the ends.
func checkEnd(d *Deployment, spawn *Deployment) error {
	if !d.Phase.Terminal() {
		if spawn != nil {
			return fmt.Errorf("a record was spawned in %s", d.Phase)
		}
		return nil
	}
	if len(d.Open) > 0 || d.Run != nil || d.Waiting.For != "" {
		return fmt.Errorf("%s with %s open, %v running, waiting %v", d.Phase, mustJSON(d.Open), d.Run, d.Waiting)
	}
	if (d.Phase == PhaseSucceeded) != (d.Cause == nil) {
		return fmt.Errorf("%s with cause %v", d.Phase, d.Cause)
	}
	home := Weights{Blue: 100}
	switch {
	case d.Phase == PhaseSucceeded && d.Kind == KindDeploy && d.Weights != Weights{Green: 100}:
		return fmt.Errorf("succeeded with weights %v", d.Weights)
	case d.Phase == PhaseSucceeded && d.Kind == KindRollback && d.Weights != home:
		return fmt.Errorf("rollback succeeded with weights %v", d.Weights)
	case d.Kind == KindRollback && d.Phase != PhaseSucceeded && !d.Halted:
		return fmt.Errorf("a rollback that did not succeed is not halted")
	case d.Cause != nil && d.Cause.GoBack && !d.Halted && d.HasBlue() && d.Weights != home:
		return fmt.Errorf("went back, but weights are %v", d.Weights)
	case d.Cause != nil && d.Cause.GoBack && !d.Halted && !d.HasBlue() && d.Weights != Weights{}:
		return fmt.Errorf("took green away, but weights are %v", d.Weights)
	}
	return checkSpawn(d, spawn)
}

func checkSpawn(d *Deployment, spawn *Deployment) error {
	if (spawn != nil) != (d.Rollback.DeploymentID != "") {
		return fmt.Errorf("spawned %v, but the record is %q", spawn, d.Rollback.DeploymentID)
	}
	if spawn == nil {
		return nil
	}
	if d.Cause == nil || !d.Cause.GoBack || d.Halted || d.Kind != KindDeploy {
		return fmt.Errorf("a record was spawned without need")
	}
	if spawn.Kind != KindRollback || spawn.ID != d.Rollback.ReservedID || spawn.Phase != PhaseCreated ||
		spawn.Rollback.TriggeringID != d.ID || spawn.Creator != CreatorRollback || spawn.Weights != d.Weights {
		return fmt.Errorf("the record is %s", mustJSON(spawn))
	}
	return checkState(spawn)
}

// checkMeaningless: ticks that come early, outcomes that are not open and reports that nobody waits
// for leave everything as it is.
func checkMeaningless(d Deployment, ev Event, out Output) error {
	due, _ := d.Due()
	var open bool
	for _, e := range d.Open {
		open = open || e.Seq == ev.Seq
	}
	meaningless := ev.Kind == EventTick && ev.At.Before(due) || ev.Kind == EventOutcome && !open ||
		(ev.Kind == EventReported || ev.Kind == EventDenied) && (d.Run == nil || d.Run.Seq != ev.Seq) || ev.Kind == EventStart && d.Phase != PhaseCreated ||
		ev.Kind == EventContinue && d.CanContinue(ev.Wait) != nil
	if !meaningless {
		return nil
	}
	after := out.Deployment
	after.Revno, after.UpdatedAt = d.Revno, d.UpdatedAt
	if len(out.Effects)+len(out.Records) > 0 || out.Spawn != nil {
		return fmt.Errorf("a meaningless %s had consequences: %s", ev.Kind, mustJSON(out))
	}
	return differ("a meaningless "+string(ev.Kind)+" changed the deployment", mustJSON(d), mustJSON(after))
}

// effect holds what is true of every effect when it is asked for.
func (w *witness) effect(d *Deployment, e Effect) error {
	if w.seqs[e.Seq] || e.Seq >= d.NextSeq || e.Deployment != d.ID {
		return fmt.Errorf("the identity is not its own")
	}
	w.seqs[e.Seq] = true
	if !openHas(d, e.Seq, e.Kind) {
		return fmt.Errorf("is not open")
	}
	switch e.Kind {
	case EffectHook:
		return w.hookEffect(d, e.Hook)
	case EffectRoute:
		return w.routeEffect(d, e.Route)
	case EffectRetire:
		confirmed := d.Weights.Blue
		if e.TaskSet.ID == d.Green.ID {
			confirmed = d.Weights.Green
		}
		if confirmed > 0 || w.weights[e.TaskSet.ID] > 0 {
			return fmt.Errorf("retires a task set with weight %d confirmed, %d asked", confirmed, w.weights[e.TaskSet.ID])
		}
		if safe := d.Safe(); safe == SideBlue && e.TaskSet.ID == d.Blue.ID || safe == SideGreen && e.TaskSet.ID == d.Green.ID {
			return fmt.Errorf("retires the safe side")
		}
	case EffectCancel:
		if !w.seqs[e.Cancels] {
			return fmt.Errorf("cancels what was never asked for")
		}
	case EffectInstall, EffectInspect, EffectWatch:
	}
	return nil
}

func (w *witness) hookEffect(d *Deployment, call *HookCall) error {
	id := fmt.Sprintf("%s/%d/%d", call.List, d.Run.Index, call.Attempt)
	if w.hooks[id] {
		return fmt.Errorf("hook %s was started before", id)
	}
	w.hooks[id] = true
	if n := len(d.Verdicts); call.Attempt > 1 && (n == 0 || d.Verdicts[n-1].Status != VerdictError || d.Verdicts[n-1].Attempt != call.Attempt-1) {
		return fmt.Errorf("tries again what could be told: %s", mustJSON(d.Verdicts))
	}
	if call.Attempt != d.Run.Attempt || !call.Until.Equal(d.Deadline) || call.Attempt > call.Hook.Retries+1 {
		return fmt.Errorf("hook call %s does not fit run %s", mustJSON(call), mustJSON(d.Run))
	}
	return nil
}

func (w *witness) routeEffect(d *Deployment, r *Route) error {
	sum := 0
	for _, id := range []string{d.Blue.ID, d.Green.ID} {
		w.weights[id] = 0
	}
	for _, p := range r.Production {
		sum += p.Weight
		w.weights[p.TaskSet] = p.Weight
	}
	if sum != 100 && (sum != 0 || len(r.Production) > 0 || d.HasBlue()) {
		return fmt.Errorf("weights add up to %d", sum)
	}
	if w.weights[d.Green.ID] == 0 {
		return nil
	}
	if !d.Moved || d.Kind == KindRollback {
		return fmt.Errorf("gives production to green unasked")
	}
	if d.HasBlue() && !d.BlueWay.Verified && d.Plan.WayBack == WayBackRequire {
		return fmt.Errorf("gives production to green without a verified way back")
	}
	return w.verifiedBefore(d)
}

// verifiedBefore: every hook before AllowTraffic has passed, the last attempt of each.
func (w *witness) verifiedBefore(d *Deployment) error {
	var missing []string
	for _, p := range LifecycleEvents(d.Plan.TestListener) {
		if p == PhaseAllowTraffic {
			break
		}
		for _, h := range d.Plan.Hooks[p] {
			passed := false
			for _, v := range d.Verdicts {
				if v.Event == HookList(p) && v.Hook == h.Name {
					passed = v.Status == VerdictPass
				}
			}
			if !passed {
				missing = append(missing, string(p)+"/"+h.Name)
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("production goes to green though these have not passed: %s", strings.Join(missing, ", "))
	}
	return nil
}

// span is a piece of memory that a value points to.
type span struct {
	from, to uintptr
	of       reflect.Type
}

// checkSharing: the output shares no memory with the input, the event, or among its own parts.
func checkSharing(d Deployment, ev Event, out Output) error {
	if d.Phase.Terminal() {
		return nil // Step hands a terminal deployment back as it is
	}
	parts := map[string][]span{
		"input": spans(d), "event": spans(ev), "deployment": spans(out.Deployment), "effects": spans(out.Effects), "spawn": spans(out.Spawn),
	}
	for _, pair := range [][2]string{
		{"input", "deployment"},
		{"input", "effects"},
		{"input", "spawn"},
		{"event", "deployment"},
		{"event", "effects"},
		{"deployment", "effects"},
		{"deployment", "spawn"},
		{"effects", "spawn"},
	} {
		for _, a := range parts[pair[0]] {
			for _, b := range parts[pair[1]] {
				if a.from < b.to && b.from < a.to {
					return fmt.Errorf("%s shares a %s with %s", pair[0], a.of, pair[1])
				}
			}
		}
	}
	return nil
}

func spans(v any) []span {
	var out []span
	collect(reflect.ValueOf(v), &out)
	return out
}

func collect(v reflect.Value, out *[]span) {
	if v.IsValid() && v.Type() == reflect.TypeFor[time.Time]() {
		return
	}
	switch v.Kind() { //nolint:exhaustive // only what points to memory or holds such values
	case reflect.Pointer:
		if !v.IsNil() {
			*out = append(*out, span{v.Pointer(), v.Pointer() + v.Type().Elem().Size(), v.Type()})
			collect(v.Elem(), out)
		}
	case reflect.Slice:
		if v.Cap() > 0 {
			*out = append(*out, span{v.Pointer(), v.Pointer() + uintptr(v.Cap())*v.Type().Elem().Size(), v.Type()})
		}
		for i := range v.Len() {
			collect(v.Index(i), out)
		}
	case reflect.Map:
		if !v.IsNil() {
			*out = append(*out, span{v.Pointer(), v.Pointer() + 1, v.Type()})
		}
		for iter := v.MapRange(); iter.Next(); {
			collect(iter.Value(), out)
		}
	case reflect.Struct:
		for _, field := range v.Fields() {
			collect(field, out)
		}
	}
}
