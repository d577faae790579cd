package store_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/store"
	"greengate/internal/store/storetest"
)

const (
	groups     = 4 // deployment groups that write at the same time
	lifeLength = 7 // revisions until a deployment ends and spawns the next one
)

// commitForever is the process that is killed. Each line that it prints is a write that the store
// acknowledged: "create ID", "append ID KEY", "commit ID REVNO".
func commitForever(dir string) {
	err := func() error {
		db, err := store.Open(context.Background(), store.Config{Dir: dir})
		if err != nil {
			return err
		}
		errs := make(chan error)
		for g := range groups {
			go func() { errs <- driveGroup(db, g) }()
		}
		return <-errs // no driver ends well
	}()
	panic(err)
}

func acknowledge(format string, args ...any) {
	// One write, no buffer: what was printed is in the pipe when the process dies.
	fmt.Fprintf(os.Stdout, format+"\n", args...)
}

// driveGroup steps through the deployments of one group: append, consume, sometimes end and spawn.
func driveGroup(db *store.DB, g int) error {
	ctx, group := context.Background(), fmt.Sprintf("g%d", g)
	var id string
	n := 0
	list, err := db.List(ctx, store.Filter{Group: group, Limit: 1})
	if err != nil {
		return err
	}
	if len(list) == 1 {
		id = list[0].ID
		if _, err := fmt.Sscanf(id, "d-"+group+"-%d", &n); err != nil {
			return err
		}
	} else {
		id = fmt.Sprintf("d-%s-%d", group, n)
		if err := db.Create(ctx, storetest.New(id, group), storetest.Event("first")); err != nil {
			return err
		}
		acknowledge("create %s", id)
	}
	for {
		if err := step(ctx, db, id); err != nil {
			return err
		}
		l, err := db.Load(ctx, id)
		if err != nil {
			return err
		}
		if l.Deployment.Revno < lifeLength {
			continue
		}
		n++
		spawn := storetest.New(fmt.Sprintf("d-%s-%d", group, n), group)
		end := storetest.Next(l.Deployment, deploy.PhaseFailed)
		err = db.Commit(ctx, deploy.Commit{
			Deployment: end, Records: []deploy.Record{note(end, "end")}, Spawn: &spawn, SpawnFirst: storetest.Event("first"),
		})
		if err != nil {
			return err
		}
		acknowledge("commit %s %d", id, end.Revno)
		acknowledge("create %s", spawn.ID)
		id = spawn.ID
	}
}

// step appends two events and consumes one, so that there is always something left in the inbox.
func step(ctx context.Context, db *store.DB, id string) error {
	l, err := db.Load(ctx, id)
	if err != nil {
		return err
	}
	for i := range 2 {
		key := fmt.Sprintf("%d.%d", l.Deployment.Revno, i)
		if _, err := db.Append(ctx, id, key, storetest.Event(key)); err != nil {
			return err
		}
		acknowledge("append %s %s", id, key)
	}
	next := storetest.Next(l.Deployment, deploy.PhaseInstall)
	item := l.Inbox[0]
	err = db.Commit(ctx, deploy.Commit{Deployment: next, Consumed: item.ID, Records: []deploy.Record{note(next, item.Event.Message)}})
	if err != nil {
		return err
	}
	acknowledge("commit %s %d", id, next.Revno)
	return nil
}

// note records which revision consumed which event.
func note(d deploy.Deployment, consumed string) deploy.Record {
	return deploy.Record{At: d.UpdatedAt, Kind: deploy.RecordNote, Phase: d.Phase, Message: fmt.Sprintf("%d %s", d.Revno, consumed)}
}

// writerProcess is this test binary running commitForever.
type writerProcess struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  chan string
	acked  []string
	stderr strings.Builder
	ended  sync.Once
}

func startWriter(t *testing.T, dir string) *writerProcess {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := &writerProcess{t: t, cmd: exec.Command(self, "-store.crashdir="+dir), lines: make(chan string, 1<<16)}
	w.cmd.Stderr = &w.stderr
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			w.lines <- s.Text()
		}
	}()
	t.Cleanup(w.kill)
	return w
}

// await blocks until the writer has acknowledged n writes.
func (w *writerProcess) await(n int) {
	w.t.Helper()
	for range n {
		line, ok := <-w.lines
		if !ok {
			w.kill()
			w.t.Fatalf("the writer ended by itself: %s", w.stderr.String())
		}
		w.acked = append(w.acked, line)
	}
}

// kill ends the writer at once and collects what it still had acknowledged.
func (w *writerProcess) kill() {
	w.ended.Do(func() {
		killErr := w.cmd.Process.Kill()
		for line := range w.lines {
			w.acked = append(w.acked, line)
		}
		var exit *exec.ExitError
		if err := w.cmd.Wait(); killErr != nil || !errors.As(err, &exit) || exit.ExitCode() != -1 {
			w.t.Errorf("the writer was not killed: %v, %v: %s", killErr, err, w.stderr.String())
		}
	})
}

func TestKill(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	var acked []string
	for range 20 {
		w := startWriter(t, dir)
		w.await(1 + rng.IntN(60))
		// Not in step with an acknowledgement, which is just after a commit.
		timer := time.NewTimer(time.Duration(rng.IntN(3000)) * time.Microsecond)
		<-timer.C
		w.kill()
		acked = append(acked, w.acked...)

		db := open(t, dir)
		wantSound(t, dir)
		wantAcknowledged(t, db, acked)
		mustClose(t, db)
	}
	t.Logf("%d acknowledged writes over 20 kills", len(acked))
}

// life is what the store holds of one deployment.
type life struct {
	deploy.Loaded
	waiting  map[string]bool // events in the inbox
	consumed map[string]bool // events that a record says were taken
}

// wantAcknowledged checks that nothing acknowledged is gone, and nothing is there by half.
func wantAcknowledged(t *testing.T, db *store.DB, acked []string) {
	t.Helper()
	lives := map[string]life{}
	active := map[string]int{}
	list, err := db.List(t.Context(), store.Filter{Limit: 1000})
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	for _, d := range list {
		lives[d.ID] = readLife(t, db, d.ID)
		if !d.Phase.Terminal() {
			active[d.Plan.Group]++
		}
	}
	for _, d := range list {
		// Every group that was ever begun has one active deployment: a spawn is never lost.
		if active[d.Plan.Group] != 1 {
			t.Errorf("group %s has %d active deployments", d.Plan.Group, active[d.Plan.Group])
		}
	}
	for _, line := range acked {
		kind, rest, _ := strings.Cut(line, " ")
		id, what, _ := strings.Cut(rest, " ")
		l, ok := lives[id]
		if !ok {
			t.Errorf("lost deployment: %s", line)
			continue
		}
		switch kind {
		case "append":
			if !l.waiting[what] && !l.consumed[what] && !l.Deployment.Phase.Terminal() {
				t.Errorf("lost event: %s", line)
			}
		case "commit":
			var revno int64
			if _, err := fmt.Sscan(what, &revno); err != nil || l.Deployment.Revno < revno {
				t.Errorf("lost commit: %s (revision is %d, %v)", line, l.Deployment.Revno, err)
			}
		}
	}
}

// readLife reads a deployment and checks that state, inbox and records are of the same moment.
func readLife(t *testing.T, db *store.DB, id string) life {
	t.Helper()
	loaded, err := db.Load(t.Context(), id)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	l := life{Loaded: loaded, waiting: map[string]bool{}, consumed: map[string]bool{}}
	for _, item := range loaded.Inbox {
		l.waiting[item.Event.Message] = true
	}
	records, err := db.Records(t.Context(), id, 0, 1000)
	if err != nil {
		t.Fatalf("records: %v", err)
	}
	if int64(len(records)) != loaded.Deployment.Revno {
		t.Errorf("%s has revision %d and %d records", id, loaded.Deployment.Revno, len(records))
	}
	for i, r := range records {
		number, event, _ := strings.Cut(r.Message, " ")
		if number != fmt.Sprint(i+1) {
			t.Errorf("%s: record %d is of revision %s", id, i, number)
		}
		if l.consumed[event] || l.waiting[event] {
			t.Errorf("%s: event %s was consumed and is still there, or was consumed twice", id, event)
		}
		l.consumed[event] = true
	}
	if loaded.Deployment.Phase.Terminal() && len(loaded.Inbox) > 0 {
		t.Errorf("%s has ended and %d events in its inbox", id, len(loaded.Inbox))
	}
	return l
}

// A power cut may leave any beginning of the write-ahead log, and anything after it.
func TestTornLog(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	db := open(t, dir)
	if err := db.Create(t.Context(), storetest.New("d-1", "g"), storetest.Event("first")); err != nil {
		t.Fatalf("create: %v", err)
	}
	const commits = 30
	for range commits {
		if err := stepQuietly(t.Context(), db, "d-1"); err != nil {
			t.Fatalf("step: %v", err)
		}
	}
	base := readFile(t, filepath.Join(dir, "greengate.db"))
	wal := readFile(t, filepath.Join(dir, "greengate.db-wal"))
	revisions := map[int64]bool{}
	for i := range 60 {
		cut := rng.IntN(len(wal) + 1)
		tail := make([]byte, rng.IntN(9000))
		switch i % 3 {
		case 0: // nothing after the cut
			tail = nil
		case 1: // garbage
			for j := range tail {
				tail[j] = byte(rng.Uint32())
			}
		case 2: // zeroes, as file systems leave them
		}
		if i == 0 {
			cut = len(wal)
		}
		got := openTorn(t, base, append(append([]byte{}, wal[:cut]...), tail...))
		revisions[got] = true
		if i == 0 && got != commits {
			t.Errorf("the whole log gives revision %d, want %d", got, commits)
		}
	}
	if len(revisions) < 5 {
		t.Errorf("only %d different revisions came out of the cuts: the test cuts nothing", len(revisions))
	}
}

// openTorn opens a database with such a log and returns the revision that it holds: -1 where not
// even the deployment is there.
func openTorn(t *testing.T, base, wal []byte) int64 {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "greengate.db"), base)
	writeFile(t, filepath.Join(dir, "greengate.db-wal"), wal)
	db := open(t, dir)
	defer mustClose(t, db)
	wantSound(t, dir)
	_, err := db.Load(t.Context(), "d-1")
	if errors.Is(err, &deploy.Error{Code: deploy.CodeNotFound}) {
		return -1
	}
	revno := readLife(t, db, "d-1").Deployment.Revno
	// It goes on from there.
	if err := stepQuietly(t.Context(), db, "d-1"); err != nil {
		t.Fatalf("step after the cut: %v", err)
	}
	return revno
}

func stepQuietly(ctx context.Context, db *store.DB, id string) error {
	l, err := db.Load(ctx, id)
	if err != nil {
		return err
	}
	key := fmt.Sprint(l.Deployment.Revno)
	if _, err := db.Append(ctx, id, key, storetest.Event(key)); err != nil {
		return err
	}
	next := storetest.Next(l.Deployment, deploy.PhaseInstall)
	item := l.Inbox[0]
	return db.Commit(ctx, deploy.Commit{Deployment: next, Consumed: item.ID, Records: []deploy.Record{note(next, item.Event.Message)}})
}
