package console_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes/codedeploy"
	"greengate/internal/cloud/cloudtest"
	"greengate/internal/console"
	"greengate/internal/deploy"
)

// The one time of these tests.
var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

const (
	keyID  = "AKIAGREENGATETEST000"
	secret = "greengate-test-secret"
	root   = "arn:aws:iam::000000000000:root"
)

// house is what the fake API knows. It checks nothing but what a test tells it to.
type house struct {
	mu       sync.Mutex
	services []deploy.ServiceView
	list     []deploy.DeploymentView
	scene    scene
	others   map[string]scene // by the id that they are asked for with
	funcs    []deploy.FunctionView
	checks   []deploy.ServiceFindings
	audit    []deploy.AuditEntry
	calls    []awsapi.InsideCall
	refuse   map[string]*awsapi.Error // by operation
	changed  chan struct{}
	now      time.Time
}

// scene is a deployment with what belongs to it.
type scene struct {
	d       deploy.DeploymentView
	events  []deploy.HistoryEvent
	ledger  []deploy.LedgerVersion
	targets []deploy.TaskSetView
	logs    map[string]deploy.LogsOutput
}

// at is the scene of a deployment.
func (h *house) at(id string) (scene, bool) {
	if s, ok := h.others[id]; ok {
		return s, true
	}
	return h.scene, id == h.scene.d.ID
}

func (h *house) Changed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

// change alters the house and announces it.
func (h *house) change(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *house) called(operation string) []awsapi.InsideCall {
	h.mu.Lock()
	defer h.mu.Unlock()
	var found []awsapi.InsideCall
	for _, c := range h.calls {
		if c.Operation == operation {
			found = append(found, c)
		}
	}
	return found
}

// Do implements console.API.
func (h *house) Do(_ context.Context, c awsapi.InsideCall) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, c)
	if e := h.refuse[c.Operation]; e != nil {
		return nil, e
	}
	missing := &awsapi.Error{Name: "ResourceNotFoundException", Message: "there is none"}
	switch c.Operation {
	case "DescribeOverview":
		return deploy.DescribeOverviewOutput{Services: h.services}, nil
	case "ListDeployments":
		in := c.Input.(deploy.ListDeploymentsInput)
		list := slices.DeleteFunc(slices.Clone(h.list), func(d deploy.DeploymentView) bool {
			return len(in.Statuses) > 0 && !slices.Contains(in.Statuses, d.Status)
		})
		return deploy.ListDeploymentsOutput{Deployments: list[:min(len(list), in.Limit)]}, nil
	case "DescribeDeployment":
		s, ok := h.at(c.Input.(deploy.DeploymentInput).ID)
		if !ok {
			return nil, missing
		}
		return s.d, nil
	case "Events":
		s, _ := h.at(c.Input.(deploy.EventsInput).Deployment)
		return deploy.EventsOutput{Events: s.events}, nil
	case "DescribeLedger":
		s, _ := h.at(c.Input.(deploy.DeploymentInput).ID)
		return deploy.LedgerOutput{Versions: s.ledger}, nil
	case "DescribeTargets":
		s, _ := h.at(c.Input.(deploy.DeploymentInput).ID)
		return deploy.DescribeTargetsOutput{TaskSets: s.targets}, nil
	case "Logs":
		in := c.Input.(deploy.LogsInput)
		s, _ := h.at(in.Deployment)
		return s.logs[in.Hook], nil
	case "ListFunctions":
		return deploy.ListFunctionsOutput{Functions: h.funcs}, nil
	case "DescribeFunction":
		return h.funcs[0], nil
	case "DescribeChecks":
		return deploy.DescribeChecksOutput{Services: h.checks}, nil
	case "ListAudit":
		return deploy.ListAuditOutput{Entries: h.audit}, nil
	case "ContinueDeployment", "StopDeployment":
		if c.Seen != h.scene.d.Revno {
			return nil, &awsapi.Error{Name: "ConflictException", Message: fmt.Sprintf("deployment %s has gone on", h.scene.d.ID)}
		}
		return nil, nil
	}
	return nil, errors.New("the fake does not know " + c.Operation)
}

// site is a console on a real socket over a fake API.
type site struct {
	*house
	tb     testing.TB
	url    string
	store  *cloudtest.Memory
	server *httptest.Server
	audits []deploy.AuditEntry
	c      *console.Console
	// away: nobody answers.
	away atomic.Bool
}

func newSite(tb testing.TB) *site {
	tb.Helper()
	s := &site{tb: tb, store: &cloudtest.Memory{}, house: &house{changed: make(chan struct{}), refuse: map[string]*awsapi.Error{}, now: noon}}
	s.restart()
	return s
}

// restart is a controller that begins anew over the same store.
func (s *site) restart() {
	s.tb.Helper()
	keys, err := awsapi.NewKeyRing(awsapi.KeyRingConfig{
		AccountID: "000000000000", MasterKey: make([]byte, 32), Now: time.Now,
		Root: []awsapi.RootKey{{AccessKeyID: keyID, SecretAccessKey: secret}},
	})
	if err != nil {
		s.tb.Fatal(err)
	}
	clock := func() time.Time {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.now
	}
	c, err := console.New(context.Background(), console.Config{
		Keys: keys, Store: s.store, Changed: s.Changed, Now: clock, Log: slog.New(slog.DiscardHandler), Minute: time.Minute,
		Audit: func(_ context.Context, e deploy.AuditEntry) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.audits = append(s.audits, e)
		},
	})
	if err != nil {
		s.tb.Fatal(err)
	}
	c.Open(s.house)
	s.c = c
	if s.server == nil {
		s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if s.away.Load() {
				panic(http.ErrAbortHandler)
			}
			if r.URL.Path == "/healthz" { // the controller's; a page whose stream never began asks it
				return
			}
			s.c.ServeHTTP(w, r)
		}))
		s.tb.Cleanup(func() {
			s.server.CloseClientConnections()
			s.server.Close()
		})
		s.url = s.server.URL
	}
}

// guest is a browser without scripts.
type guest struct {
	s      *site
	client *http.Client
	token  string
}

func (s *site) guest() *guest {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.tb.Fatal(err)
	}
	return &guest{s: s, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// signedIn is a guest who has signed in with the root key.
func (s *site) signedIn() *guest {
	s.tb.Helper()
	g := s.guest()
	if status, _, h := g.post("/console/sign-in", url.Values{"key": {keyID}, "secret": {secret}}); status != http.StatusSeeOther || h.Get("Location") != "/console/" {
		s.tb.Fatalf("sign in: %d to %q", status, h.Get("Location"))
	}
	return g
}

var tokenField = regexp.MustCompile(`name="token" value="([^"]+)"`)

func (g *guest) get(path string) (int, string, http.Header) {
	g.s.tb.Helper()
	return g.do(http.MethodGet, path, nil, nil)
}

func (g *guest) post(path string, form url.Values) (int, string, http.Header) {
	g.s.tb.Helper()
	if g.token != "" && !form.Has("token") {
		form.Set("token", g.token)
	}
	return g.do(http.MethodPost, path, form, nil)
}

func (g *guest) do(method, path string, form url.Values, header http.Header) (int, string, http.Header) {
	g.s.tb.Helper()
	r, err := http.NewRequest(method, g.s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		g.s.tb.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	maps.Copy(r.Header, header)
	resp, err := g.client.Do(r)
	if err != nil {
		g.s.tb.Fatal(err)
	}
	defer resp.Body.Close()
	var b strings.Builder
	if _, err := fmt.Fprint(&b, readAll(g.s.tb, resp)); err != nil {
		g.s.tb.Fatal(err)
	}
	if m := tokenField.FindStringSubmatch(b.String()); m != nil {
		g.token = m[1]
	}
	return resp.StatusCode, b.String(), resp.Header
}

var _ = codedeploy.StopDeploymentInput{}
