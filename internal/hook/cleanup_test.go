package hook_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/hook"
)

// store is a service whose things a scenario makes, and hangs on /wait.
type store struct {
	*httptest.Server
	mu    sync.Mutex
	seen  []string
	waits chan struct{}
}

func newStore(t *testing.T) *store {
	t.Helper()
	s := &store{waits: make(chan struct{}, 10)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session := ""
		if c, err := r.Cookie("session"); err == nil {
			session = c.Value
		}
		s.mu.Lock()
		s.seen = append(s.seen, fmt.Sprintf("%s %s %s %s", r.Method, r.URL.Path, r.Header.Get("Authorization"), session))
		s.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/login":
			http.SetCookie(w, &http.Cookie{Name: "session", Value: "cookie-of-the-run", Path: "/"})
			_, _ = io.WriteString(w, `{"token": "token-of-the-run"}`)
		case "/things":
			_, _ = io.WriteString(w, `{"id": 9007199254740993}`)
		case "/wait":
			s.waits <- struct{}{}
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// awaitWait returns when the scenario hangs in /wait.
func (s *store) awaitWait(t *testing.T) {
	t.Helper()
	select {
	case <-s.waits:
	case <-time.After(time.Minute):
		t.Fatalf("the scenario never came to its third step: %q", s.requests())
	}
}

func (s *store) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

func (s *store) scenario(wait string) string {
	return `{version: 1, secrets: [API_KEY], steps: [
  {name: login, request: "POST ` + s.URL + `/login", capture: {token: {value: body.token, secret: true}}},
  {name: make, request: "POST ` + s.URL + `/things", headers: {X-Key: "${{ secrets.API_KEY }}"}, capture: {id: body.id}},
  {name: look, request: "` + wait + `", timeout: 1h, capture: {id: status}}],
 cleanup: [
  {name: remove, request: "DELETE ` + s.URL + `/things/${{ steps.make.id }}", auth: {bearer: "${{ steps.login.token }}"}, assert: [status == 200]},
  {name: never, request: "DELETE ` + s.URL + `/other/${{ steps.look.id }}"}]}`
}

func (m *machine) kill(id string) {
	m.t.Helper()
	st, err := m.units.Get(m.t.Context(), hook.UnitID(id))
	if err != nil || st.PID == 0 {
		m.t.Fatalf("unit %+v, %v", st, err)
	}
	if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
		m.t.Fatal(err)
	}
}

// TestHooks_cleanupAfterKill: the process of a scenario is killed between what it made and its end. What it made is
// removed all the same, once, with what the run had captured; nothing of the secrets is in the verdict or left in a file.
func TestHooks_cleanupAfterKill(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.listening()
	s := newStore(t)
	c := m.scenarioCall(s.scenario("GET "+s.URL+"/wait"), deploy.HookList(deploy.PhaseAfterInstall))
	c.Until = time.Now().Add(10 * time.Minute)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := m.hooks.Start(ctx, "d-1/3", c); err != nil {
		t.Fatal(err)
	}
	s.awaitWait(t)
	checkpoint := filepath.Join(m.dir, "d-1-3.checkpoint")
	content, err := os.ReadFile(checkpoint)
	if err != nil || strings.Contains(string(content), "s3cr3t-value") {
		t.Errorf("checkpoint %s, %v: it must hold no declared secret", content, err)
	}
	if info, err := os.Stat(checkpoint); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("checkpoint %v, %v", info, err)
	}
	m.kill("d-1/3")
	for range 2 { // as often as somebody asks
		v, err := m.hooks.Await(ctx, "d-1/3", c)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if v.Status != deploy.VerdictError || v.Reason != deploy.ReasonInconclusive || !strings.Contains(v.Message, "its cleanup ran afterwards") ||
			!strings.Contains(string(text), "cleanup: remove") {
			t.Errorf("verdict %s", text)
		}
		for _, secret := range []string{"s3cr3t-value", "token-of-the-run", "cookie-of-the-run"} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%q is in the verdict: %s", secret, text)
			}
		}
	}
	want := "DELETE /things/9007199254740993 Bearer token-of-the-run cookie-of-the-run"
	if got := s.requests(); len(got) != 4 || got[3] != want {
		t.Errorf("requests %q, want the last to be %q", got, want)
	}
	if _, err := os.Stat(checkpoint); !os.IsNotExist(err) {
		t.Errorf("the checkpoint is still there: %v", err)
	}
}

// TestHooks_cleanupAfterCancel: a scenario that is ended with its deployment has cleaned up when Cancel returns, also where it
// was killed for not ending in time.
func TestHooks_cleanupAfterCancel(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.listening()
	s := newStore(t)
	c := m.scenarioCall(s.scenario("GET "+s.URL+"/wait"), deploy.HookList(deploy.PhaseAfterInstall))
	c.Until = time.Now().Add(10 * time.Minute)
	if err := m.hooks.Start(t.Context(), "d-1/3", c); err != nil {
		t.Fatal(err)
	}
	s.awaitWait(t)
	m.kill("d-1/3")
	for range 2 {
		if err := m.hooks.Cancel(t.Context(), "d-1/3", c); err != nil {
			t.Fatal(err)
		}
	}
	if got := s.requests(); len(got) != 4 || !strings.HasPrefix(got[3], "DELETE /things/9007199254740993 ") {
		t.Errorf("requests %q", got)
	}
}

// TestHooks_cleanupByItself: a run that ends by itself leaves nothing to anybody.
func TestHooks_cleanupByItself(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.listening()
	s := newStore(t)
	c := m.scenarioCall(s.scenario("GET "+s.URL+"/thing"), deploy.HookList(deploy.PhaseAfterInstall))
	if v := m.verdict(c); v.Status != deploy.VerdictPass {
		t.Errorf("verdict %+v", v)
	}
	if got := s.requests(); len(got) != 5 || !strings.HasPrefix(got[3], "DELETE /things/9007199254740993 ") {
		t.Errorf("requests %q", got)
	}
	if left, err := filepath.Glob(filepath.Join(m.dir, "d-1-3.c*")); err != nil || len(left) > 0 {
		t.Errorf("left %q, %v", left, err)
	}
}
