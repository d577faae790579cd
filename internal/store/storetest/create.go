package storetest

import (
	"slices"

	"greengate/internal/deploy"
)

func testCreate(s suite) {
	t := s.t
	wantActive(t, s)
	d := New("d-1", "blue-green")
	first := Event("begin")
	if err := s.Create(t.Context(), d, first); err != nil {
		t.Fatalf("create: %v", err)
	}
	l := mustLoad(t, s, "d-1")
	wantSame(t, "loaded state", l.Deployment, d)
	if len(l.Inbox) != 1 {
		t.Fatalf("inbox has %d items, want the first event", len(l.Inbox))
	}
	wantSame(t, "first event", l.Inbox[0].Event, first)
	if l.Inbox[0].ID == 0 {
		t.Error("first event has item id 0, which means none in a commit")
	}
	wantActive(t, s, "d-1")
}

func testActiveRefusal(s suite) {
	t := s.t
	mustCreate(t, s, New("d-1", "g"))
	err := s.Create(t.Context(), New("d-2", "g"), Event("begin"))
	// The wire's clients look for the id in single quotes.
	wantCode(t, err, deploy.CodeActiveDeployment, "'g'", "'shop'", "already has an active Deployment 'd-1'")
	wantMissing(t.Context(), t, s, "d-2")

	other := New("d-3", "g")
	other.Plan.Application = "blog"
	mustCreate(t, s, other)
	mustCreate(t, s, New("d-4", "other group"))
	wantActive(t, s, "d-1", "d-3", "d-4")

	// A refused id is not burnt.
	mustCreate(t, s, New("d-2", "third group"))
	wantInbox(t, s, "d-1", "first of d-1")
}

func testKnownID(s suite) {
	t := s.t
	d := New("d-1", "g")
	mustCreate(t, s, d)
	if err := s.Create(t.Context(), New("d-1", "another group"), Event("second")); err == nil {
		t.Error("a second deployment of the same id was created")
	}
	wantSame(t, "state", mustLoad(t, s, "d-1").Deployment, d)
	wantInbox(t, s, "d-1", "first of d-1")
}

// scribble alters everything that d shares by reference.
func scribble(d *deploy.Deployment) {
	d.Lifecycle[0].Message = "altered"
	d.Verdicts[0].Checks[0].Name = "altered"
	d.Open[0].Watch.Alarms[0] = "altered"
	d.Plan.Hooks[deploy.PhaseAfterInstall][0].Command[0] = "altered"
	d.Green.Revision.Workload.Env["COLOR"] = "altered"
	d.Run.Attempt, d.Cause.Message = 99, "altered"
}

func testCopies(s suite) {
	t := s.t
	ev, in := Event("begin"), New("d-1", "g")
	if err := s.Create(t.Context(), in, ev); err != nil {
		t.Fatalf("create: %v", err)
	}
	scribble(&in)
	ev.Outcome.Verdict.Checks[0].Name = "altered"
	l := mustLoad(t, s, "d-1")
	wantSame(t, "state after the caller altered what it gave", l.Deployment, New("d-1", "g"))
	wantSame(t, "event after the caller altered what it gave", l.Inbox[0].Event, Event("begin"))

	scribble(&l.Deployment)
	l.Inbox[0].Event.Outcome.Message = "altered"
	l = mustLoad(t, s, "d-1")
	wantSame(t, "state after the caller altered what it got", l.Deployment, New("d-1", "g"))
	wantSame(t, "event after the caller altered what it got", l.Inbox[0].Event, Event("begin"))

	next, spawn := Next(New("d-1", "g"), deploy.PhaseFailed), New("d-2", "g")
	mustCommit(t, s, deploy.Commit{Deployment: next, Spawn: &spawn, SpawnFirst: Event("begin")})
	want := Next(New("d-1", "g"), deploy.PhaseFailed)
	scribble(&next)
	scribble(&spawn)
	wantSame(t, "state after the caller altered what it committed", mustLoad(t, s, "d-1").Deployment, want)
	wantSame(t, "spawned state after the caller altered it", mustLoad(t, s, "d-2").Deployment, New("d-2", "g"))
}

func testUnknown(s suite) {
	t := s.t
	mustCreate(t, s, New("d-1", "g"))
	wantMissing(t.Context(), t, s, "d-0")
	err := s.Commit(t.Context(), deploy.Commit{Deployment: Next(New("d-0", "h"), deploy.PhaseInstall)})
	wantCode(t, err, deploy.CodeNotFound)
	wantMissing(t.Context(), t, s, "d-0")
	wantActive(t, s, "d-1")
}

func testOrder(s suite) {
	t := s.t
	d := New("d-1", "g")
	mustCreate(t, s, d)
	want := []string{"first of d-1"}
	for _, m := range []string{"z", "b", "a", "y", "c"} {
		mustAppend(t, s, "d-1", "", m)
		want = append(want, m)
	}
	wantInbox(t, s, "d-1", want...)

	// The newest item is consumed: its id must not come back.
	inbox := mustLoad(t, s, "d-1").Inbox
	newest := inbox[len(inbox)-1].ID
	mustCommit(t, s, deploy.Commit{Deployment: Next(d, deploy.PhaseInstall), Consumed: newest})
	mustAppend(t, s, "d-1", "", "last")
	wantInbox(t, s, "d-1", append(slices.Clone(want[:5]), "last")...)
	inbox = mustLoad(t, s, "d-1").Inbox
	if id := inbox[len(inbox)-1].ID; id == newest {
		t.Errorf("item id %d was given twice", id)
	}
}

func testDedupe(s suite) {
	t := s.t
	d := New("d-1", "g")
	mustCreate(t, s, d)
	mustCreate(t, s, New("d-2", "h"))
	again := func(id, key string) {
		t.Helper()
		if added, err := s.Append(t.Context(), id, key, Event("again")); added || err != nil {
			t.Errorf("append to %s with the known key %q: got %t, %v; want false and no error", id, key, added, err)
		}
	}
	mustAppend(t, s, "d-1", "d-1/1", "one")
	again("d-1", "d-1/1")
	mustAppend(t, s, "d-1", "d-1/2", "two")
	mustAppend(t, s, "d-1", "", "no key")
	mustAppend(t, s, "d-1", "", "no key")
	mustAppend(t, s, "d-2", "d-1/1", "other deployment")
	wantInbox(t, s, "d-1", "first of d-1", "one", "two", "no key", "no key")

	for _, item := range mustLoad(t, s, "d-1").Inbox {
		d = Next(d, deploy.PhaseInstall)
		mustCommit(t, s, deploy.Commit{Deployment: d, Consumed: item.ID})
	}
	again("d-1", "d-1/1") // a key works once in a deployment's life, also after its item was taken
	again("d-1", "d-1/2")
	again("d-2", "d-1/1")
	mustAppend(t, s, "d-1", "", "no key")
	mustAppend(t, s, "d-2", "d-1/2", "taken elsewhere")
	wantInbox(t, s, "d-1", "no key")
	wantInbox(t, s, "d-2", "first of d-2", "other deployment", "taken elsewhere")
}
