package deploy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the expected outcomes in testdata and docs")

// TestScripts tells stories: each file of testdata holds commands, and below each the whole outcome.
//
// A block is comment lines (#), command lines, a line of four dashes, the outcome, and an empty
// line. The commands are those of story.command; "+10s " before one lets time pass first.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, file, string(data))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(data), got); diff != "" {
				t.Errorf("%s differs (-want +got); if that is meant, run go test -update:\n%s", file, diff)
			}
		})
	}
}

// runScript runs every block of a file and returns the file as it should read.
func runScript(t *testing.T, file, text string) string {
	t.Helper()
	s := &story{t: t}
	var out strings.Builder
	line := 0
	for block := range strings.SplitSeq(strings.TrimRight(text, "\n")+"\n", "\n\n") {
		head, _, _ := strings.Cut(block+"\n", "----\n")
		s.out.Reset()
		commands := 0
		for c := range strings.Lines(head) {
			line++
			c = strings.TrimSpace(c)
			out.WriteString(c + "\n")
			if c == "" || strings.HasPrefix(c, "#") {
				continue
			}
			commands++
			if err := s.command(c); err != nil {
				t.Fatalf("%s: line %d: %q: %v", file, line, c, err)
			}
		}
		line = line + strings.Count(block, "\n") - strings.Count(head, "\n") + 2
		if commands > 0 {
			s.flush()
			out.WriteString("----\n" + s.out.String())
		}
		out.WriteString("\n")
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// story is one script as it runs.
type story struct {
	t     *testing.T
	w     *witness
	plan  Plan
	blue  TaskSet
	d     Deployment
	now   time.Time
	spawn *Deployment
	out   strings.Builder
	fresh bool // new was read; its hooks may follow
}

// command runs one line.
func (s *story) command(line string) error {
	name, rest, _ := strings.Cut(line, " ")
	if after, ok := strings.CutPrefix(name, "+"); ok {
		wait, err := time.ParseDuration(after)
		if err != nil {
			return err
		}
		s.flush()
		s.now = s.now.Add(wait)
		if rest == "tick" { // at that time, due or not
			s.step(Event{Kind: EventTick, At: s.now})
			return nil
		}
		name, rest, _ = strings.Cut(rest, " ")
	}
	args := strings.Fields(rest)
	switch name {
	case "new":
		return s.newDeployment(args)
	case "hook":
		return s.hook(args)
	case "smoke":
		return s.smoke(args)
	}
	s.flush()
	switch name {
	case "until":
		return s.until(Phase(args[0]))
	case "finish":
		return s.until("")
	case "follow":
		return s.follow()
	case "can":
		s.can()
		return nil
	case "lifecycle":
		s.printLifecycle()
		return nil
	case "ok", "fail":
		return s.outcome(name == "ok", args)
	case "healthy", "unhealthy", "unknown":
		return s.inspected(name, strings.Join(args, " "))
	case "verdict":
		return s.verdict(args)
	case "denied":
		return s.denied(args)
	case "report":
		return s.report(args)
	}
	ev, err := s.event(name, args)
	if err != nil {
		return err
	}
	s.step(ev)
	return nil
}

// event reads the commands that are events of their own.
func (s *story) event(name string, args []string) (Event, error) {
	ev := Event{At: s.now}
	rest := strings.Join(args, " ")
	switch name {
	case "start":
		ev.Kind = EventStart
	case "tick": // when it is due
		ev, _ = dueTick(&s.d, s.now)
		s.now = ev.At
	case "stop":
		ev.Kind, ev.By = EventStop, "ann"
		if rest != "" {
			back := rest == "back"
			ev.GoBack = &back
		}
	case "continue":
		ev.Kind, ev.By, ev.Wait = EventContinue, "ann", rest
	case "alarm":
		ev.Kind, ev.Alarms = EventAlarm, args
	case "green-unhealthy":
		ev.Kind, ev.Message = EventUnhealthy, rest
	case "budget":
		ev.Kind, ev.Message = EventBudget, rest
	default:
		return ev, fmt.Errorf("unknown command")
	}
	return ev, nil
}

func (s *story) newDeployment(args []string) error {
	s.flush()
	p := testPlan()
	blue := testSet("blue", "v1")
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		if key == "blue" {
			blue = TaskSet{}
			continue
		}
		if err := planOption(&p, key, value); err != nil {
			return fmt.Errorf("%s: %w", arg, err)
		}
	}
	s.plan, s.blue, s.fresh, s.spawn = p, blue, true, nil
	return nil
}

func planOption(p *Plan, key, value string) (err error) {
	switch key {
	case "test":
		p.TestListener = value == "yes"
	case "strict":
		p.StrictTestTraffic = true
	case "canary", "linear":
		p.Traffic.Kind = map[string]TrafficKind{"canary": TrafficCanary, "linear": TrafficLinear}[key]
		percent, interval, _ := strings.Cut(value, ":")
		if p.Traffic.Percent, err = strconv.Atoi(percent); err == nil {
			p.Traffic.Interval, err = time.ParseDuration(interval)
		}
	case "promote":
		p.Promotion = Promotion(value)
	case "ready":
		p.ReadyLimit, err = time.ParseDuration(value)
	case "way":
		p.WayBack = WayBackPolicy(value)
	case "bake":
		p.Bake, err = time.ParseDuration(value)
	case "rollback":
		p.Rollback = RollbackPolicy{
			OnFailure: strings.Contains(value, "failure"),
			OnAlarm:   strings.Contains(value, "alarm"), OnStop: strings.Contains(value, "stop"),
		}
	case "alarms":
		p.Alarms = strings.Split(value, ",")
	case "budget":
		p.MaxErrorRate, err = strconv.ParseFloat(value, 64)
	default:
		err = fmt.Errorf("unknown option")
	}
	return err
}

func (s *story) hook(args []string) error {
	h, err := scriptHook(args[1:])
	p := Phase(args[0])
	s.plan.Hooks[p] = append(s.plan.Hooks[p], h)
	return err
}

func (s *story) smoke(args []string) error {
	h, err := scriptHook(args)
	s.plan.Smoke = append(s.plan.Smoke, h)
	return err
}

// scriptHook reads KIND NAME [timeout=D] [retries=N].
func scriptHook(args []string) (h Hook, err error) {
	h = testHook(args[1], HookKind(args[0]))
	for _, arg := range args[2:] {
		switch key, value, _ := strings.Cut(arg, "="); key {
		case "timeout":
			h.Timeout, err = time.ParseDuration(value)
		case "retries":
			h.Retries, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("unknown option %s", arg)
		}
	}
	return h, err
}

// flush makes the deployment of the last "new" once all its hooks are known.
func (s *story) flush() {
	if !s.fresh {
		return
	}
	s.fresh = false
	s.now = epoch
	side := SideBlue
	if s.blue.IsZero() || !s.plan.TestListener {
		side = SideNone
	}
	s.d = Create(New{
		ID: "d-1", RollbackID: "d-2", Creator: "user", At: s.now, Plan: s.plan,
		Blue: s.blue, Green: testSet("green", "v2"), TestSide: side,
	})
	s.w = newWitness()
	s.printState()
}

// follow goes on with the record of the rollback.
func (s *story) follow() error {
	if s.spawn == nil {
		return fmt.Errorf("no rollback was started")
	}
	s.d, s.spawn, s.w = *s.spawn, nil, newWitness()
	s.step(Event{Kind: EventStart, At: s.now})
	return nil
}

// until answers everything well until the phase (or, for "", the end) is reached. It prints what
// was recorded on the way and where it ended.
func (s *story) until(p Phase) error {
	for range 500 {
		if s.d.Phase == p || s.d.Phase.Terminal() {
			s.printState()
			return nil
		}
		ev, ok := happy(&s.d, s.now)
		if !ok {
			return fmt.Errorf("stuck in %s", s.d.Phase)
		}
		s.now = ev.At
		s.apply(ev, false)
	}
	return fmt.Errorf("not reached")
}

// outcome reads KIND|#SEQ [reason=R] [message]; without a seq it is the oldest open effect of the
// kind, and "all" of them for "cancels".
func (s *story) outcome(ok bool, args []string) error {
	if args[0] == "cancels" {
		for _, e := range s.d.Clone().Open {
			if e.Kind == EffectCancel {
				s.apply(Event{Kind: EventOutcome, At: s.now, Seq: e.Seq, Outcome: &Outcome{OK: true}}, true)
			}
		}
		s.printState()
		return nil
	}
	seq, err := s.seq(args[0])
	if err != nil {
		return err
	}
	out := &Outcome{OK: ok}
	rest := args[1:]
	if len(rest) > 0 {
		if r, found := strings.CutPrefix(rest[0], "reason="); found {
			out.Reason, rest = Reason(r), rest[1:]
		}
	}
	out.Message = strings.Join(rest, " ")
	s.step(Event{Kind: EventOutcome, At: s.now, Seq: seq, Outcome: out})
	return nil
}

func (s *story) seq(arg string) (int64, error) {
	if n, ok := strings.CutPrefix(arg, "#"); ok {
		return strconv.ParseInt(n, 10, 64)
	}
	for _, e := range s.d.Open {
		if strings.EqualFold(string(e.Kind), arg) {
			return e.Seq, nil
		}
	}
	return 0, fmt.Errorf("no %s is open", arg)
}

func (s *story) inspected(how, message string) error {
	seq, err := s.seq("inspect")
	if err != nil {
		return err
	}
	out := &Outcome{OK: how != "unknown", Healthy: how == "healthy", Message: message}
	s.step(Event{Kind: EventOutcome, At: s.now, Seq: seq, Outcome: out})
	return nil
}

// verdict reads STATUS [#SEQ] [message]: the end of a hook effect with a verdict; "none" has none.
func (s *story) verdict(args []string) error {
	seq, rest, err := s.hookSeq(args[1:])
	if err != nil {
		return err
	}
	out := &Outcome{OK: args[0] == "pass", Message: strings.Join(rest, " ")}
	if args[0] != "none" {
		out.Verdict = &Verdict{Status: VerdictStatus(args[0]), Message: strings.Join(rest, " ")}
	}
	s.step(Event{Kind: EventOutcome, At: s.now, Seq: seq, Outcome: out})
	return nil
}

// report reads pass|fail [#SEQ]: the callback of a hook.
func (s *story) report(args []string) error {
	seq, _, err := s.hookSeq(args[1:])
	if err != nil {
		return err
	}
	s.step(Event{Kind: EventReported, At: s.now, Seq: seq, Report: VerdictStatus(args[0]), By: "check-role"})
	return nil
}

// denied reads [#SEQ] MESSAGE: the callback of a hook was refused.
func (s *story) denied(args []string) error {
	seq, rest, err := s.hookSeq(args)
	if err != nil {
		return err
	}
	s.step(Event{Kind: EventDenied, At: s.now, Seq: seq, Message: strings.Join(rest, " "), By: "check-role"})
	return nil
}

func (s *story) hookSeq(args []string) (int64, []string, error) {
	if len(args) > 0 && strings.HasPrefix(args[0], "#") {
		seq, err := s.seq(args[0])
		return seq, args[1:], err
	}
	seq, err := s.seq("hook")
	return seq, args, err
}

func (s *story) step(ev Event) {
	s.apply(ev, true)
	s.printState()
}

// apply steps under the eyes of the witness and prints records and, where wanted, effects.
func (s *story) apply(ev Event, effects bool) {
	out, err := s.w.step(s.d, ev)
	if err != nil {
		s.t.Fatalf("%s: %s in %s: %v", s.t.Name(), ev.Kind, s.d.Phase, err)
	}
	s.d = out.Deployment
	for _, r := range out.Records {
		s.printRecord(r)
	}
	if effects {
		for _, e := range out.Effects {
			s.printf("> %d %s\n", e.Seq, s.effect(e))
		}
	}
	if out.Spawn != nil {
		s.spawn = out.Spawn
		s.printf("spawn %s by %s for %s: %s\n", out.Spawn.ID, out.Spawn.Creator, out.Spawn.StartedBy, out.Spawn.Rollback.Message)
	}
}
