package cloud_test

import (
	"errors"
	"testing"

	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
)

func open(t *testing.T, store *cloudtest.Memory) *cloud.Cloud {
	t.Helper()
	c, err := cloud.Open(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	store := &cloudtest.Memory{}
	c := open(t, store)
	before := c.State()
	err := c.Update(t.Context(), func(d *cloud.Draft) error {
		d.Put(cloud.Cluster{Name: "b"})
		d.Put(cloud.Cluster{Name: "a", Tags: map[string]string{"n": "1"}})
		d.Put(cloud.Cluster{Name: "a", Tags: map[string]string{"n": "2"}})
		d.Put(cloud.Cluster{Name: "gone"})
		d.Remove(cloud.Cluster{Name: "gone"})
		if got := cloud.All[cloud.Cluster](d.State()); len(got) != 2 || got[0].Tags["n"] != "2" {
			t.Errorf("within the draft: %+v", got)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := cloud.All[cloud.Cluster](before); len(got) != 0 {
		t.Errorf("a state that was read before shows %+v", got)
	}
	if r := c.State().Revision; r != before.Revision {
		t.Errorf("revision %d: clusters are not in the data plane's table", r)
	}
	for name, c := range map[string]*cloud.Cloud{"in memory": c, "stored": open(t, store)} {
		got := cloud.All[cloud.Cluster](c.State())
		if len(got) != 2 || got[0].Name != "a" || got[0].Tags["n"] != "2" || got[1].Name != "b" {
			t.Errorf("%s: %+v", name, got)
		}
		if _, ok := cloud.Find[cloud.Cluster](c.State(), "gone"); ok {
			t.Errorf("%s: what the draft removed is there", name)
		}
	}
	if err := c.Update(t.Context(), func(d *cloud.Draft) error { d.Remove(cloud.Cluster{Name: "a"}); return nil }); err != nil {
		t.Fatal(err)
	}
	if got := cloud.All[cloud.Cluster](open(t, store).State()); len(got) != 1 || got[0].Name != "b" {
		t.Errorf("after a removal %+v are stored", got)
	}
}

// TestUpdate_changesNothing: a refused edit, and a write that failed, leave all as it was.
func TestUpdate_changesNothing(t *testing.T) {
	t.Parallel()
	store := &cloudtest.Memory{}
	c := open(t, store)
	refused := errors.New("refused")
	edit := func(d *cloud.Draft) error { d.Put(cloud.TargetGroup{Name: "t1"}); return refused }
	if err := c.Update(t.Context(), edit); !errors.Is(err, refused) {
		t.Errorf("a refused edit answers %v", err)
	}
	store.Fail(false)
	if err := c.Update(t.Context(), func(d *cloud.Draft) error { d.Put(cloud.TargetGroup{Name: "t1"}); return nil }); !errors.Is(err, cloudtest.ErrFault) {
		t.Errorf("a failed write answers %v", err)
	}
	if got := cloud.All[cloud.TargetGroup](c.State()); len(got) != 0 {
		t.Errorf("there is %+v", got)
	}
	if err := c.Update(t.Context(), func(*cloud.Draft) error { return nil }); err != nil || store.Puts() != 0 {
		t.Errorf("an edit of nothing: %v, %d writes", err, store.Puts())
	}
	revision := c.State().Revision
	if err := c.Update(t.Context(), func(d *cloud.Draft) error { d.Put(cloud.TargetGroup{Name: "t1"}); return nil }); err != nil {
		t.Fatal(err)
	}
	if c.State().Revision <= revision {
		t.Error("a target group is in the data plane's table: its change must raise the revision")
	}
}
