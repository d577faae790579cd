package scenario

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const leaves = `version: 1
secrets: [PASSWORD]
steps:
  - {name: look, request: GET /thing, capture: {big: body.big}}
  - {name: login, request: POST /login, capture: {token: {value: body.token, secret: true}}}
  - {name: last, request: POST /slow}
cleanup:
  - name: remove
    request: DELETE /echo?big=${{ steps.look.big }}
    auth: {bearer: "${{ steps.login.token }}"}
    headers: {X-Own: "${{ secrets.PASSWORD }}"}
    assert: ['body.query == "big=9007199254740993"', 'body.authorization == "Bearer token-value-1"', 'body.cookie == "session=cookie-value-1"']
`

// killed is the checkpoint that a run leaves when it is killed in its last step. A copy is what a killed process leaves: a file
// that nobody has locked.
func killed(t *testing.T, s *service, content string) string {
	t.Helper()
	dir := t.TempDir()
	path, left := filepath.Join(dir, "a.checkpoint"), filepath.Join(dir, "b.checkpoint")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sc := load(t, content)
	done := make(chan struct{})
	go func() {
		defer close(done)
		sc.Run(ctx, Options{BaseURL: s.URL, Getenv: environment, Checkpoint: path})
	}()
	for !strings.Contains(s.seen(), "/slow") {
		select {
		case <-done:
			t.Fatalf("the run ended: %s", s.seen())
		default:
		}
	}
	if _, err := CleanUp(t.Context(), path, environment, nil); !errors.Is(err, ErrRuns) {
		t.Errorf("clean up after a run that goes on: %v", err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b, []byte("hunter2")) {
		t.Errorf("a declared secret is in the checkpoint: %s", b)
	}
	if err := os.WriteFile(left, b, 0o600); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-done
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a run that cleaned up by itself leaves its checkpoint: %v", err)
	}
	return left
}

// TestCleanUp: what was captured, exact numbers and cookies included, is known; secrets are masked; and it runs once.
func TestCleanUp(t *testing.T) {
	t.Parallel()
	s := newService(t)
	path := killed(t, s, leaves)
	var told []StepResult
	r, err := CleanUp(t.Context(), path, environment, func(st StepResult) { told = append(told, st) })
	if err != nil {
		t.Fatal(err)
	}
	want(t, r, Error, `when step "last" had begun; its cleanup ran afterwards`)
	if len(r.Steps) != 1 || r.Steps[0].Verdict != Pass || len(told) != 1 {
		t.Errorf("steps %+v", r.Steps)
	}
	var text strings.Builder
	if err := WriteJUnit(&text, Summarize([]Result{r})); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"token-value-1", "cookie-value-1", "hunter2"} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("%s is in the result: %s", secret, text.String())
		}
	}
	if _, err := CleanUp(t.Context(), path, environment, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a second time: %v", err)
	}
}

// What is wrong with cleanup is said, and a cleanup that could not begin can be tried again.
func TestCleanUp_faults(t *testing.T) {
	t.Parallel()
	s := newService(t)
	path := killed(t, s, strings.Replace(leaves, "/echo", "/broken", 1))
	if _, err := CleanUp(t.Context(), path, func(string) string { return "" }, nil); err == nil || !strings.Contains(err.Error(), "PASSWORD") {
		t.Errorf("without its secret: %v", err)
	}
	r, err := CleanUp(t.Context(), path, environment, nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, r, Error, "did not pass: remove")
}

// Whatever of the file a kill left, the last whole line counts.
func TestReadCheckpoint_torn(t *testing.T) {
	t.Parallel()
	s := newService(t)
	whole, err := os.ReadFile(killed(t, s, leaves))
	if err != nil {
		t.Fatal(err)
	}
	began := map[string]bool{}
	for n := range whole {
		_, last, err := readCheckpoint(bytes.NewReader(whole[:n]))
		if err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		began[last.Began] = true
	}
	for _, step := range []string{"", "login"} {
		if !began[step] {
			t.Errorf("no beginning of the file says that the last step was %q: %v", step, began)
		}
	}
	torn := filepath.Join(t.TempDir(), "torn.checkpoint")
	if err := os.WriteFile(torn, whole[:10], 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := CleanUp(t.Context(), torn, environment, nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, r, Error, "before anything was done")
}

// A step that may write is not run where its checkpoint cannot be written.
func TestCheckpoint_first(t *testing.T) {
	t.Parallel()
	s := newService(t)
	taken := filepath.Join(t.TempDir(), "taken.checkpoint")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := load(t, leaves).Run(t.Context(), Options{BaseURL: s.URL, Getenv: environment, Checkpoint: taken})
	want(t, r, Error, "login: not run: make checkpoint")
	if got := s.seen(); strings.Contains(got, "POST") {
		t.Errorf("requests %s", got)
	}
}

func FuzzReadCheckpoint(f *testing.F) {
	f.Add([]byte("{\"file\":\"a\"}\n{\"began\":\"b\",\"steps\":{\"b\":{\"id\":1}},\"cookies\":[{\"url\":\"http://a\",\"cookies\":[{\"Name\":\"a\"}]}]}\n"))
	f.Add([]byte("{}\n{\"began\":"))
	f.Fuzz(func(t *testing.T, b []byte) {
		head, last, err := readCheckpoint(bytes.NewReader(b))
		if err != nil && last.Began == "" && len(head.Files) == 0 && !bytes.Contains(b, []byte("\n")) {
			t.Errorf("%q: a file without a whole line is none that is wrong: %v", b, err)
		}
	})
}
