package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/store"
	"greengate/internal/store/storetest"
)

// TestAudit: what was written comes back newest first, a page at a time, also after the store was opened again.
func TestAudit(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	for i := range 5 {
		e := deploy.AuditEntry{
			At: storetest.Start().Add(time.Duration(i) * time.Second), Principal: "arn:root", Source: "127.0.0.1", Agent: strings.Repeat("é", 200),
			Service: "codedeploy", Operation: fmt.Sprintf("Op%d", i), Resource: "d-1", Outcome: "ok",
		}
		if err := db.Audit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, dir)
	first, err := db.ListAudit(t.Context(), 0, 3)
	if err != nil || len(first) != 3 || first[0].Operation != "Op4" || first[2].Operation != "Op2" {
		t.Fatalf("%+v %v", first, err)
	}
	if e := first[0]; !e.At.Equal(storetest.Start().Add(4*time.Second)) || e.Principal != "arn:root" || e.Agent != strings.Repeat("é", 100) {
		t.Errorf("%+v", e)
	}
	rest, err := db.ListAudit(t.Context(), first[2].Seq, 10)
	if err != nil || len(rest) != 2 || rest[1].Operation != "Op0" {
		t.Errorf("%+v %v", rest, err)
	}
}

// TestList_brief: a brief list has all but verdicts and lifecycle.
func TestList_brief(t *testing.T) {
	db := open(t, t.TempDir())
	d := storetest.New("d-1", "web")
	d.Verdicts, d.Lifecycle = []deploy.Verdict{{Hook: "h"}}, []deploy.LifecycleEvent{{Name: deploy.PhaseInstall}}
	if err := db.Create(t.Context(), d, storetest.Event("begin")); err != nil {
		t.Fatal(err)
	}
	list, err := db.List(t.Context(), store.Filter{Brief: true})
	if err != nil || len(list) != 1 || list[0].ID != d.ID || list[0].Plan.Service != d.Plan.Service || list[0].Verdicts != nil || list[0].Lifecycle != nil {
		t.Errorf("%+v %v", list, err)
	}
}

func TestStatuses(t *testing.T) {
	db := open(t, t.TempDir())
	fill(t, db)
	counts, err := db.Statuses(t.Context())
	var n int64
	for _, c := range counts {
		n += c
	}
	if err != nil || n != 10 || counts[deploy.StatusSucceeded] == 0 {
		t.Errorf("%v %v", counts, err)
	}
}
