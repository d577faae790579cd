package deploy

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// This file walks at random: a plan and a sequence of events are made of the numbers that a source
// gives, under the full eye of the witness. The source is a fuzzer's bytes or rapid's.

// source gives a number from 0 to n-1.
type source func(n int) int

func bytesSource(data []byte) source {
	return func(n int) int {
		if len(data) == 0 {
			return 0
		}
		b := data[0]
		data = data[1:]
		return int(b) % n
	}
}

func randomPlan(pick source) Plan {
	p := testPlan()
	p.TestListener, p.StrictTestTraffic = pick(4) > 0, pick(3) == 0
	p.Traffic = Traffic{
		Kind:    []TrafficKind{TrafficAllAtOnce, TrafficCanary, TrafficLinear}[pick(3)],
		Percent: []int{50, 10, 30, 99, 1, 0}[pick(6)], Interval: []time.Duration{time.Minute, 0}[pick(2)],
	}
	p.Promotion = []Promotion{PromoteAuto, PromoteVerified, PromoteManual, ""}[pick(4)]
	p.ReadyLimit = []time.Duration{time.Hour, 0}[pick(2)]
	p.WayBack = []WayBackPolicy{WayBackWarn, WayBackRequire}[pick(2)]
	p.Bake = []time.Duration{0, 10 * time.Minute}[pick(2)]
	p.Rollback = RollbackPolicy{OnFailure: pick(4) > 0, OnAlarm: pick(4) > 0, OnStop: pick(4) > 0}
	if pick(2) == 0 {
		p.Alarms, p.MaxErrorRate = []string{"latency"}, 0.05
	}
	if pick(8) == 0 {
		p.Limits = Limits{} // everything is due at once
	}
	kinds := []HookKind{HookCommand, HookFunction, HookTask}
	for i, phase := range []Phase{
		PhaseBeforeInstall, PhaseAfterInstall, PhaseAfterAllowTestTraffic, PhaseBeforeAllowTraffic, PhaseAfterAllowTraffic,
	} {
		for n := range pick(3) {
			h := testHook(fmt.Sprintf("hook%d%d", i, n), kinds[pick(3)])
			h.Retries, h.Timeout = pick(3), []time.Duration{0, time.Minute}[pick(2)]
			p.Hooks[phase] = append(p.Hooks[phase], h)
		}
	}
	for n := range pick(3) {
		h := testHook(fmt.Sprintf("smoke%d", n), HookCommand)
		h.Retries = pick(2)
		p.Smoke = append(p.Smoke, h)
	}
	return p
}

// randomEvent prefers what goes on, so that walks get far.
func randomEvent(pick source, d *Deployment, now time.Time) Event {
	if pick(3) > 0 {
		if ev, ok := happy(d, now); ok {
			return ev
		}
	}
	all := candidates(d, now)
	ev := all[pick(len(all))]
	switch pick(8) {
	case 0: // an outcome or report that may not be open any more, or never was
		ev = Event{Kind: EventOutcome, Seq: int64(pick(int(d.NextSeq)+2)) - 1, At: now, Outcome: &Outcome{OK: true}}
	case 1:
		ev = Event{Kind: EventReported, Seq: int64(pick(int(d.NextSeq)+2)) - 1, At: now, Report: VerdictPass}
	case 2: // a tick at some other time, even an earlier one
		ev = Event{Kind: EventTick, At: now.Add(time.Duration(pick(200)-20) * time.Minute)}
	}
	return ev
}

// walk makes one deployment, lets things happen to it and its rollback's record, and sees that both end.
func walk(pick source) error {
	plan := randomPlan(pick)
	blue := testSet("blue", "v1")
	if pick(4) == 0 {
		blue = TaskSet{}
	}
	d := Create(New{
		ID: "d-1", RollbackID: "d-2", Creator: "user", At: epoch, Plan: plan,
		Blue: blue, Green: testSet("green", "v2"), TestSide: []Side{SideBlue, SideNone}[pick(2)],
	})
	spawn, err := walkOne(pick, d)
	if err == nil && spawn != nil {
		_, err = walkOne(pick, *spawn)
	}
	return err
}

func walkOne(pick source, d Deployment) (*Deployment, error) {
	w, now, steps := newWitness(), d.CreatedAt, 0
	var spawn *Deployment
	step := func(ev Event) error {
		w.light = steps%3 != 0 // every third step is seen with all it costs
		steps++
		out, err := w.step(d, ev)
		if err != nil {
			return fmt.Errorf("%s in %s: %w", mustJSON(ev), mustJSON(d), err)
		}
		d = out.Deployment
		if out.Spawn != nil {
			spawn = out.Spawn
		}
		if ev.At.After(now) {
			now = ev.At
		}
		return nil
	}
	for range pick(120) {
		if d.Phase.Terminal() {
			break
		}
		if err := step(randomEvent(pick, &d, now)); err != nil {
			return nil, err
		}
	}
	for range 400 { // from wherever it is, it ends
		if d.Phase.Terminal() {
			// What comes later changes nothing.
			return spawn, step(randomEvent(pick, &d, now))
		}
		ev, ok := happy(&d, now)
		if !ok || pick(2) == 0 {
			ev, ok = dueTick(&d, now)
		}
		if !ok {
			return nil, fmt.Errorf("nothing is due in %s", mustJSON(d))
		}
		if err := step(ev); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("does not end: %s", mustJSON(d))
}

// FuzzStep makes plans and events of bytes.
func FuzzStep(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("blue to green"))
	for seed := range byte(16) {
		data := make([]byte, 300)
		for i := range data {
			data[i] = byte(i*i)*seed ^ byte(i)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := walk(bytesSource(data)); err != nil {
			t.Fatal(err)
		}
	})
}

// TestStep_randomWalks is the same with rapid's choice, which shrinks what it finds.
func TestStep_randomWalks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") }
		if err := walk(pick); err != nil {
			t.Fatal(err)
		}
	})
}
