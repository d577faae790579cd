package app

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"greengate/internal/appspec"
	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/preflight"
	"greengate/internal/sigv4"
	"greengate/internal/store"
)

// groupChecks is what check --appspec would say of each deployment group with the AppSpec file that it deployed last. It
// looks with the permissions of the one who asks.
func (d *desk) groupChecks(ctx context.Context, by awsapi.Principal) ([]deploy.ServiceFindings, error) {
	state := d.cloud.State()
	groups := cloud.All[cloud.DeploymentGroup](state)
	slices.SortFunc(groups, func(a, b cloud.DeploymentGroup) int {
		return cmp.Or(strings.Compare(a.Application, b.Application), strings.Compare(a.Name, b.Name))
	})
	var all []deploy.ServiceFindings
	for _, g := range groups {
		found, err := d.groupCheck(ctx, by, state, g)
		if err != nil {
			return nil, err
		}
		all = append(all, deploy.ServiceFindings{Service: g.Application + "/" + g.Name, Findings: found})
	}
	return all, nil
}

func (d *desk) groupCheck(ctx context.Context, by awsapi.Principal, state cloud.State, g cloud.DeploymentGroup) ([]deploy.Finding, error) {
	findings := []deploy.Finding{}
	t := preflight.Target{Application: g.Application, Group: g.Name}
	t.Revision.Where = func(h appspec.Hook) string { return "hook " + string(h.Event) }
	last, err := d.db.List(ctx, store.Filter{Application: g.Application, Group: g.Name, Limit: 1})
	if err != nil {
		return nil, err
	}
	if r, ok := lastRevision(state, last); ok {
		spec, refused := d.wire.spec(r)
		if refused != nil {
			findings = append(findings, deploy.Finding{Level: preflight.LevelError, Where: "the AppSpec file deployed last", Message: refused.Message})
		}
		t.Revision.Spec = spec
	} else {
		findings = append(findings, deploy.Finding{Level: preflight.LevelNote, Message: "nothing was deployed yet: task definition and hooks are not known"})
	}
	found, err := preflight.Look(ctx, insideAsker{d.reading(by)}, t)
	if e, ok := errors.AsType[preflight.Refusal](err); ok {
		return append(findings, deploy.Finding{Level: preflight.LevelNote, Message: "was not looked at: " + e.Error()}), nil
	}
	return append(findings, found...), err
}

// lastRevision is what the last of a group's deployments deployed, or what was rolled back by it.
func lastRevision(state cloud.State, last []deploy.Deployment) (cloud.Revision, bool) {
	if len(last) == 0 {
		return cloud.Revision{}, false
	}
	s := last[0].Plan.Source
	if last[0].Kind == deploy.KindRollback {
		s = last[0].Plan.Previous
	}
	r := cloud.Revision{Application: last[0].Plan.Application, Type: s.Type, SHA256: s.SHA256, Bucket: s.Bucket, Object: s.Key, Version: s.Version, ETag: s.ETag}
	return cloud.Find[cloud.Revision](state, r.ResourceKey())
}

// insideAsker asks an API in this process.
type insideAsker struct{ api http.Handler }

// refusedError is an error that the API answered.
type refusedError struct{ code, message string }

func (e *refusedError) Error() string { return e.message }

// Name implements preflight.Refusal.
func (e *refusedError) Name() string {
	return strings.TrimSuffix(strings.ToLower(e.code), "exception")
}

// JSON implements preflight.Asker.
func (a insideAsker) JSON(ctx context.Context, _, target string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {target}}
	_, answer, err := a.send(ctx, http.MethodPost, "/", header, body)
	if err != nil {
		return err
	}
	return decodedAnswer(json.Unmarshal(answer, out))
}

// Query implements preflight.Asker.
func (a insideAsker) Query(ctx context.Context, _, version string, form url.Values, out any) error {
	form.Set("Version", version)
	_, answer, err := a.send(ctx, http.MethodPost, "/", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form.Encode()))
	if err != nil {
		return err
	}
	return decodedAnswer(xml.Unmarshal(answer, out))
}

// Function implements preflight.Asker.
func (a insideAsker) Function(ctx context.Context, name string, out any) (bool, error) {
	status, answer, err := a.send(ctx, http.MethodGet, "/2015-03-31/functions/"+sigv4.EscapeSegment(name), nil, nil)
	if status == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, decodedAnswer(json.Unmarshal(answer, out))
}

func decodedAnswer(err error) error {
	if err != nil {
		return fmt.Errorf("decode answer: %w", err)
	}
	return nil
}

func (a insideAsker) send(ctx context.Context, method, path string, header http.Header, body []byte) (status int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://inside"+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, fmt.Errorf("make request: %w", err)
	}
	if header != nil {
		r.Header = header
	}
	w := &inMemory{header: http.Header{}}
	a.api.ServeHTTP(w, r)
	if ctx.Err() != nil {
		return 0, nil, ctx.Err()
	}
	if w.status != http.StatusOK {
		return w.status, nil, refusedAnswer(w)
	}
	return w.status, w.body.Bytes(), nil
}

// refusedAnswer reads an error in any of the protocols.
func refusedAnswer(w *inMemory) error {
	answer := w.body.Bytes()
	var form struct {
		Code    string `xml:"Error>Code"`
		Message string `xml:"Error>Message"`
	}
	if xml.Unmarshal(answer, &form) == nil && form.Code != "" {
		return &refusedError{form.Code, form.Message}
	}
	var doc struct {
		Type    string `json:"__type"`
		Message string `json:"message"` // in either case
	}
	if json.Unmarshal(answer, &doc) == nil {
		code := cmp.Or(doc.Type, w.header.Get("X-Amzn-Errortype"), "UnknownError")
		return &refusedError{code[strings.LastIndexByte(code, '#')+1:], doc.Message}
	}
	return &refusedError{"UnknownError", fmt.Sprintf("HTTP %d", w.status)}
}

// inMemory keeps an answer.
type inMemory struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *inMemory) Header() http.Header { return w.header }

func (w *inMemory) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *inMemory) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}
