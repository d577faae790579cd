package store_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"greengate/internal/deploy"
	"greengate/internal/store"
)

func mustPut(t *testing.T, db *store.DB, name string, expect int64, data string) int64 {
	t.Helper()
	v, err := db.PutResource(t.Context(), "service", name, expect, []byte(data))
	if err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
	return v
}

func wantResource(t *testing.T, db *store.DB, name string, version int64, data string) {
	t.Helper()
	r, err := db.GetResource(t.Context(), "service", name)
	if err != nil || r.Kind != "service" || r.Name != name || r.Version != version || string(r.Data) != data {
		t.Errorf("got %+v with %s, %v; want version %d with %s", r, r.Data, err, version, data)
	}
}

func TestResource_compareAndSet(t *testing.T) {
	db := open(t, t.TempDir())
	one := mustPut(t, db, "shop", 0, `{"a":1}`)
	wantResource(t, db, "shop", one, `{"a":1}`)
	two := mustPut(t, db, "shop", one, `{"a":2}`)
	if one == 0 || two == one {
		t.Errorf("versions %d and %d", one, two)
	}
	for name, expect := range map[string]int64{"that must not exist": 0, "of an old version": one, "of a version to come": two + 1} {
		if _, err := db.PutResource(t.Context(), "service", "shop", expect, []byte(`{}`)); !errors.Is(err, deploy.ErrStale) {
			t.Errorf("put of a resource %s: got %v, want ErrStale", name, err)
		}
	}
	if _, err := db.PutResource(t.Context(), "service", "blog", two, []byte(`{}`)); !errors.Is(err, deploy.ErrStale) {
		t.Errorf("put over a version that never was: got %v, want ErrStale", err)
	}
	wantResource(t, db, "shop", two, `{"a":2}`)

	if err := db.DeleteResource(t.Context(), "service", "shop", one); !errors.Is(err, deploy.ErrStale) {
		t.Errorf("delete of an old version: got %v, want ErrStale", err)
	}
	if err := db.DeleteResource(t.Context(), "service", "shop", two); err != nil {
		t.Errorf("delete: %v", err)
	}
	if err := db.DeleteResource(t.Context(), "service", "shop", two); !errors.Is(err, deploy.ErrStale) {
		t.Errorf("second delete: got %v, want ErrStale", err)
	}
	_, err := db.GetResource(t.Context(), "service", "shop")
	if !errors.Is(err, &deploy.Error{Code: deploy.CodeNotFound}) {
		t.Errorf("get of a deleted resource: got %v, want CodeNotFound", err)
	}

	// Who still has a version of the deleted one does not write over the new one.
	three := mustPut(t, db, "shop", 0, `{"a":3}`)
	for _, old := range []int64{one, two} {
		if _, err := db.PutResource(t.Context(), "service", "shop", old, []byte(`{}`)); !errors.Is(err, deploy.ErrStale) {
			t.Errorf("put over the life before: got %v, want ErrStale", err)
		}
	}
	wantResource(t, db, "shop", three, `{"a":3}`)
}

func TestResource_list(t *testing.T) {
	db := open(t, t.TempDir())
	for _, name := range []string{"b", "a", "c"} {
		mustPut(t, db, name, 0, `"`+name+`"`)
	}
	if _, err := db.PutResource(t.Context(), "listener", "a", 0, []byte(`1`)); err != nil {
		t.Fatalf("put: %v", err)
	}
	list, err := db.ListResources(t.Context(), "service")
	var got []string
	for _, r := range list {
		got = append(got, r.Name+string(r.Data))
	}
	if err != nil || !slices.Equal(got, []string{`a"a"`, `b"b"`, `c"c"`}) {
		t.Errorf("got %q, %v", got, err)
	}
	if list, err := db.ListResources(t.Context(), "role"); err != nil || len(list) != 0 {
		t.Errorf("kind without resources: got %v, %v", list, err)
	}
}

func TestPutResources_allOrNone(t *testing.T) {
	db := open(t, t.TempDir())
	a, b := mustPut(t, db, "a", 0, `1`), mustPut(t, db, "b", 0, `1`)
	write := func(name string, expect int64, data string) store.Write {
		return store.Write{Kind: "service", Name: name, Expect: expect, Data: []byte(data)}
	}
	drop := store.Write{Kind: "service", Name: "b", Expect: b, Delete: true}

	_, err := db.PutResources(t.Context(), []store.Write{write("a", a, `2`), drop, write("c", 0, `2`), write("b", b, `2`)})
	if !errors.Is(err, deploy.ErrStale) || !strings.Contains(err.Error(), "service b") {
		t.Errorf("got %v, want ErrStale that names service b", err)
	}
	_, err = db.PutResources(t.Context(), []store.Write{write("a", a, `2`), write("c", 0, `{`)})
	if err == nil || !strings.Contains(err.Error(), "service c") {
		t.Errorf("got %v, want a refusal of what is not JSON that names service c", err)
	}
	wantResource(t, db, "a", a, `1`)
	wantResource(t, db, "b", b, `1`)

	versions, err := db.PutResources(t.Context(), []store.Write{write("a", a, `2`), drop, write("c", 0, `2`)})
	if err != nil || len(versions) != 3 || versions[1] != 0 {
		t.Fatalf("got %v, %v", versions, err)
	}
	wantResource(t, db, "a", versions[0], `2`)
	wantResource(t, db, "c", versions[2], `2`)
	if _, err := db.GetResource(t.Context(), "service", "b"); !errors.Is(err, &deploy.Error{Code: deploy.CodeNotFound}) {
		t.Errorf("get of the deleted one: got %v, want CodeNotFound", err)
	}
}

func TestNext(t *testing.T) {
	dir := t.TempDir()
	db := open(t, dir)
	const each, callers = 20, 5
	seen := make(chan int64, each*callers)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				v, err := db.Next(t.Context(), "revision")
				if err != nil {
					t.Error(err)
				}
				seen <- v
			}
		})
	}
	wg.Wait()
	close(seen)
	var got []int64
	for v := range seen {
		got = append(got, v)
	}
	slices.Sort(got)
	for i, v := range got {
		if v != int64(i+1) {
			t.Fatalf("value %d is %d: a value was skipped or given twice", i, v)
		}
	}
	if v, err := db.Next(t.Context(), "other"); v != 1 || err != nil {
		t.Errorf("other counter begins with %d, %v", v, err)
	}
	mustClose(t, db)
	if v, err := open(t, dir).Next(t.Context(), "revision"); v != each*callers+1 || err != nil {
		t.Errorf("after a restart: %d, %v", v, err)
	}
}
