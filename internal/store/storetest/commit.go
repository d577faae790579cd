package storetest

import (
	"errors"

	"greengate/internal/deploy"
)

func records() []deploy.Record {
	return []deploy.Record{{At: Start(), Kind: deploy.RecordPhase, Phase: deploy.PhaseInstall, Reason: deploy.ReasonAdvanced}}
}

func testCommitGuard(s suite) {
	t := s.t
	d := New("d-1", "g")
	mustCreate(t, s, d)
	one := Next(d, deploy.PhaseInstall)
	mustCommit(t, s, deploy.Commit{Deployment: one, Records: records()})
	wantSame(t, "committed state", mustLoad(t, s, "d-1").Deployment, one)

	item := mustLoad(t, s, "d-1").Inbox[0].ID
	spawn := New("d-2", "h")
	for name, stale := range map[string]deploy.Deployment{
		"the same revision again": Next(d, deploy.PhaseAfterInstall),
		"an older revision":       d,
		"a skipped revision":      Next(Next(one, deploy.PhaseInstall), deploy.PhaseAfterInstall),
	} {
		err := s.Commit(t.Context(), deploy.Commit{Deployment: stale, Consumed: item, Spawn: &spawn, SpawnFirst: Event("x")})
		if !errors.Is(err, deploy.ErrStale) {
			t.Errorf("commit of %s: got %v, want ErrStale", name, err)
		}
	}
	wantSame(t, "state after refused commits", mustLoad(t, s, "d-1").Deployment, one)
	wantInbox(t, s, "d-1", "first of d-1")
	wantMissing(t.Context(), t, s, "d-2")
	mustCommit(t, s, deploy.Commit{Deployment: Next(one, deploy.PhaseAfterInstall)})
}

func testConsume(s suite) {
	t := s.t
	d := New("d-1", "g")
	mustCreate(t, s, d)
	mustAppend(t, s, "d-1", "", "second")
	l := mustLoad(t, s, "d-1")
	mustAppend(t, s, "d-1", "", "after the load") // must outlive the commit

	one := Next(l.Deployment, deploy.PhaseInstall)
	mustCommit(t, s, deploy.Commit{Deployment: one, Consumed: l.Inbox[0].ID, Records: records()})
	wantInbox(t, s, "d-1", "second", "after the load")
	mustCommit(t, s, deploy.Commit{Deployment: Next(one, deploy.PhaseAfterInstall)})
	wantInbox(t, s, "d-1", "second", "after the load")
	wantActive(t, s, "d-1")
}

func testConsumeMissing(s suite) {
	t := s.t
	d := New("d-1", "g")
	mustCreate(t, s, d)
	mustCreate(t, s, New("d-2", "h"))
	taken := mustLoad(t, s, "d-1").Inbox[0].ID
	one := Next(d, deploy.PhaseInstall)
	mustCommit(t, s, deploy.Commit{Deployment: one, Consumed: taken})
	mustAppend(t, s, "d-1", "", "waiting")

	for name, item := range map[string]int64{
		"an item that was taken":           taken,
		"an item that never was":           1 << 40,
		"an item of another deployment":    mustLoad(t, s, "d-2").Inbox[0].ID,
		"a negative item, which is not no": -1,
	} {
		if err := s.Commit(t.Context(), deploy.Commit{Deployment: Next(one, deploy.PhaseFailed), Consumed: item}); err == nil {
			t.Fatalf("%s was consumed", name)
		}
	}
	wantSame(t, "state after refused commits", mustLoad(t, s, "d-1").Deployment, one)
	wantInbox(t, s, "d-1", "waiting")
	wantInbox(t, s, "d-2", "first of d-2")
	wantActive(t, s, "d-1", "d-2")
}

func testTerminal(s suite) {
	t := s.t
	for i, p := range []deploy.Phase{deploy.PhaseSucceeded, deploy.PhaseFailed, deploy.PhaseStopped} {
		id := "d-" + string(p)
		d := New(id, "g") // of the same group each time: the one before has ended
		mustCreate(t, s, d)
		mustAppend(t, s, id, "known", "never taken")
		end := Next(d, p)
		c := deploy.Commit{Deployment: end}
		if i > 0 {
			c.Consumed = mustLoad(t, s, id).Inbox[0].ID
		}
		mustCommit(t, s, c)
		wantSame(t, "terminal state", mustLoad(t, s, id).Deployment, end)
		wantInbox(t, s, id)
		wantActive(t, s)
		for _, key := range []string{"", "known", "new"} {
			added, err := s.Append(t.Context(), id, key, Event("late"))
			wantCode(t, err, deploy.CodeAlreadyCompleted, id)
			if added {
				t.Errorf("append with key %q to an ended deployment reports true", key)
			}
		}
		wantInbox(t, s, id)
	}
}

func testSpawn(s suite) {
	t := s.t
	d := New("d-1", "g")
	mustCreate(t, s, d)
	mustCreate(t, s, New("d-9", "h"))
	mustAppend(t, s, "d-1", "", "never taken")
	spawn := New("d-1-back", "g")
	spawn.Kind, spawn.Creator = deploy.KindRollback, deploy.CreatorRollback
	end := Next(d, deploy.PhaseFailed)
	mustCommit(t, s, deploy.Commit{
		Deployment: end, Consumed: mustLoad(t, s, "d-1").Inbox[0].ID, Records: records(),
		Spawn: &spawn, SpawnFirst: Event("begin the way back"),
	})
	wantSame(t, "ended state", mustLoad(t, s, "d-1").Deployment, end)
	wantInbox(t, s, "d-1")
	wantSame(t, "spawned state", mustLoad(t, s, "d-1-back").Deployment, spawn)
	wantInbox(t, s, "d-1-back", "begin the way back")
	wantActive(t, s, "d-1-back", "d-9")
	err := s.Create(t.Context(), New("d-2", "g"), Event("begin"))
	wantCode(t, err, deploy.CodeActiveDeployment, "'d-1-back'")

	// A deployment that goes on may start one of another group.
	other := New("d-3", "third")
	mustCommit(t, s, deploy.Commit{Deployment: Next(spawn, deploy.PhaseInstall), Spawn: &other, SpawnFirst: Event("begin")})
	wantActive(t, s, "d-1-back", "d-9", "d-3")
}

func testSpawnAtomic(s suite) {
	t := s.t
	d := New("d-1", "g")
	mustCreate(t, s, d)
	mustCreate(t, s, New("d-9", "h"))
	mustAppend(t, s, "d-1", "key", "second")
	item := mustLoad(t, s, "d-1").Inbox[0].ID
	sameGroup, sameID, busyGroup := New("d-2", "g"), New("d-9", "g"), New("d-3", "h")
	for _, c := range []struct {
		name  string
		phase deploy.Phase
		spawn *deploy.Deployment
		code  deploy.Code
	}{
		{"the group is still taken", deploy.PhaseInstall, &sameGroup, deploy.CodeActiveDeployment},
		{"another group is taken", deploy.PhaseFailed, &busyGroup, deploy.CodeActiveDeployment},
		{"the id is taken", deploy.PhaseFailed, &sameID, ""},
	} {
		err := s.Commit(t.Context(), deploy.Commit{
			Deployment: Next(d, c.phase), Consumed: item, Records: records(), Spawn: c.spawn, SpawnFirst: Event("begin"),
		})
		if err == nil {
			t.Fatalf("spawned although %s", c.name)
		}
		if c.code != "" {
			wantCode(t, err, c.code)
		}
		wantSame(t, "state after "+c.name, mustLoad(t, s, "d-1").Deployment, d)
		wantInbox(t, s, "d-1", "first of d-1", "second")
		wantActive(t, s, "d-1", "d-9")
	}
	wantSame(t, "the other deployment", mustLoad(t, s, "d-9").Deployment, New("d-9", "h"))
	wantMissing(t.Context(), t, s, "d-2")
	wantMissing(t.Context(), t, s, "d-3")
	// What was refused left no trace that stands in the way.
	mustCommit(t, s, deploy.Commit{Deployment: Next(d, deploy.PhaseFailed), Consumed: item, Spawn: &sameGroup, SpawnFirst: Event("begin")})
	wantActive(t, s, "d-2", "d-9")
}
