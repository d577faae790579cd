package app

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"greengate/internal/cloud"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/deploy"
	"greengate/internal/preflight"
)

// TestInsideAsker: answers and refusals are read in the three protocols, and a function that is not there is no refusal.
func TestInsideAsker(t *testing.T) {
	t.Parallel()
	status, body, kind := 200, "", ""
	a := insideAsker{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-Errortype", kind)
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})}
	var doc struct{ Name string }
	body = `{"name":"shop"}`
	if err := a.JSON(t.Context(), "codedeploy", "x", struct{}{}, &doc); err != nil || doc.Name != "shop" {
		t.Errorf("%v %+v", err, doc)
	}
	body = "not JSON"
	if err := a.JSON(t.Context(), "codedeploy", "x", struct{}{}, &doc); err == nil {
		t.Error("an answer that is none was read")
	}
	body = `<R><State>OK</State></R>`
	var form struct{ State string }
	if err := a.Query(t.Context(), "monitoring", "2010-08-01", url.Values{}, &form); err != nil || form.State != "OK" {
		t.Errorf("%v %+v", err, form)
	}
	for name, c := range map[string]struct{ body, kind string }{
		"json": {`{"__type":"com.amazonaws.x#AccessDeniedException","message":"no"}`, ""},
		"rest": {`{"Message":"no"}`, "AccessDeniedException"},
		"form": {`<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`, ""},
	} {
		status, body, kind = 403, c.body, c.kind
		_, err := a.Function(t.Context(), "f", &doc)
		if e, ok := errors.AsType[preflight.Refusal](err); !ok || e.Name() != "accessdenied" || e.Error() != "no" {
			t.Errorf("%s: %v", name, err)
		}
	}
	status = 404
	if there, err := a.Function(t.Context(), "f", &doc); there || err != nil {
		t.Errorf("a function that is not there: %t %v", there, err)
	}
}

// TestLastRevision: the record of a rollback leads to what it rolled back.
func TestLastRevision(t *testing.T) {
	t.Parallel()
	c, err := cloud.Open(t.Context(), &cloudtest.Memory{})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Update(t.Context(), func(d *cloud.Draft) error {
		d.Put(cloud.Revision{Application: "a", Type: "AppSpecContent", SHA256: "old"})
		d.Put(cloud.Revision{Application: "a", Type: "S3", Bucket: "b", Object: "new.yaml", ETag: "e"})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	before, now := deploy.Source{Type: "AppSpecContent", SHA256: "old"}, deploy.Source{Type: "S3", Bucket: "b", Key: "new.yaml", ETag: "e"}
	for name, d := range map[string]deploy.Deployment{
		"deployment": {Kind: deploy.KindDeploy, Plan: deploy.Plan{Application: "a", Source: now, Previous: before}},
		"rollback":   {Kind: deploy.KindRollback, Plan: deploy.Plan{Application: "a", Source: before, Previous: now}},
	} {
		if r, ok := lastRevision(c.State(), []deploy.Deployment{d}); !ok || r.Object != "new.yaml" {
			t.Errorf("%s: %t %+v", name, ok, r)
		}
	}
	if r, ok := lastRevision(c.State(), nil); ok {
		t.Errorf("a group that deployed nothing has %+v", r)
	}
}
