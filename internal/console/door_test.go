package console_test

import (
	"bufio"
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/deploy"

	"github.com/google/go-cmp/cmp"
)

// TestSignIn: the keys open the door, nothing else does, and what is tried is written down without secrets.
func TestSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g := s.guest()
	if status, _, h := g.get("/console/deployments?status=Ready"); status != http.StatusSeeOther || h.Get("Location") != "/console/sign-in?next=%2Fconsole%2Fdeployments%3Fstatus%3DReady" {
		t.Errorf("a stranger: %d to %q", status, h.Get("Location"))
	}
	for _, wrong := range []url.Values{
		{"key": {keyID}, "secret": {"wrong"}}, {"key": {keyID}, "secret": {""}}, {"key": {"AKIANOBODY"}, "secret": {""}}, {"key": {secret}, "secret": {keyID}},
	} {
		status, page, h := g.post("/console/sign-in", wrong)
		if status != http.StatusForbidden || h.Get("Set-Cookie") != "" || !strings.Contains(page, "is not right") {
			t.Errorf("%v: status %d, cookie %q", wrong, status, h.Get("Set-Cookie"))
		}
	}
	for _, next := range []string{"https://evil.example/console/", "//evil.example/console/", "/elsewhere", "/console/\\evil.example", "javascript:alert(1)"} {
		g := s.guest()
		if _, _, h := g.post("/console/sign-in", url.Values{"key": {keyID}, "secret": {secret}, "next": {next}}); h.Get("Location") != "/console/" {
			t.Errorf("next %q leads to %q", next, h.Get("Location"))
		}
	}
	g = s.signedIn()
	_, _, h := g.post("/console/sign-in", url.Values{"key": {keyID}, "secret": {secret}, "next": {"/console/audit"}})
	cookie := h.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/console/", "Max-Age=28800"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie %q has no %s", cookie, want)
		}
	}
	for _, e := range s.audits {
		if strings.Contains(e.Resource, secret) {
			t.Errorf("the audit holds the secret: %+v", e)
		}
	}
	if e := s.audits[0]; e.Operation != "SignIn" || e.Outcome != "AccessDenied" || e.Resource != keyID || e.Source != "127.0.0.1" {
		t.Errorf("the first attempt was written down as %+v", e)
	}
}

// TestSignIn_stored: what the store keeps of a session does not open the door.
func TestSignIn_stored(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.signedIn()
	records, err := s.store.List(t.Context(), "console-session")
	if err != nil || len(records) != 1 {
		t.Fatalf("%d sessions are stored: %v", len(records), err)
	}
	g := s.guest()
	status, _, _ := g.do(http.MethodGet, "/console/", nil, http.Header{"Cookie": {"greengate_session=" + records[0].Name}})
	if status != http.StatusSeeOther {
		t.Errorf("with what is stored one gets %d", status)
	}
}

// TestSignIn_limit: after five failures an address waits, also with the right secret, and then may try again.
func TestSignIn_limit(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g := s.guest()
	for range 5 {
		g.post("/console/sign-in", url.Values{"key": {keyID}, "secret": {"wrong"}})
	}
	status, _, h := g.post("/console/sign-in", url.Values{"key": {keyID}, "secret": {secret}})
	if status != http.StatusTooManyRequests || h.Get("Retry-After") != "30" {
		t.Errorf("the sixth attempt: %d, Retry-After %q", status, h.Get("Retry-After"))
	}
	s.change(func() { s.now = s.now.Add(31 * time.Second) })
	s.signedIn()
}

// TestSession: it ends with its time, with signing out, and not with the controller.
func TestSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g, other := s.signedIn(), s.signedIn()
	s.restart()
	if status, _, _ := g.get("/console/"); status != http.StatusOK {
		t.Errorf("after a restart: %d", status)
	}
	if status, _, _ := g.post("/console/sign-out", url.Values{}); status != http.StatusSeeOther {
		t.Errorf("sign out: %d", status)
	}
	cookies := g.client.Jar
	if status, _, _ := g.get("/console/"); status != http.StatusSeeOther || cookies == nil {
		t.Errorf("after signing out: %d", status)
	}
	if status, _, _ := other.get("/console/"); status != http.StatusOK {
		t.Errorf("another session: %d", status)
	}
	s.change(func() { s.now = s.now.Add(8 * time.Hour) })
	if status, _, _ := other.get("/console/"); status != http.StatusSeeOther {
		t.Errorf("after eight hours: %d", status)
	}
}

// TestLink: it signs in once, within its time, and is not used up by looking at it.
func TestLink(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	p := awsapi.Principal{ARN: "arn:aws:iam::000000000000:user/ana", AccountID: "000000000000", Kind: awsapi.KindRoot}
	path, _, err := s.c.Link(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	_, key, _ := strings.Cut(path, "key=")
	g := s.guest()
	for range 2 {
		if status, page, h := g.get(path); status != http.StatusOK || !strings.Contains(page, "signs you in once") || h.Get("Set-Cookie") != "" {
			t.Fatalf("the page of the link: %d", status)
		}
	}
	if status, _, h := g.post("/console/link", url.Values{"link": {key}}); status != http.StatusSeeOther || h.Get("Location") != "/console/" {
		t.Errorf("following it: %d", status)
	}
	if status, page, _ := g.get("/console/"); status != http.StatusOK || !strings.Contains(page, "user/ana") {
		t.Errorf("signed in: %d", status)
	}
	if status, _, _ := s.guest().post("/console/link", url.Values{"link": {key}}); status != http.StatusForbidden {
		t.Errorf("a second time: %d", status)
	}
	path, _, _ = s.c.Link(t.Context(), p)
	_, key, _ = strings.Cut(path, "key=")
	s.change(func() { s.now = s.now.Add(5 * time.Minute) })
	if status, _, _ := s.guest().post("/console/link", url.Values{"link": {key}}); status != http.StatusForbidden {
		t.Errorf("too late: %d", status)
	}
}

func revision(d deploy.DeploymentView) string { return strconv.FormatInt(d.Revno, 10) }

// TestForms: a form of another site, or without the session's token, does nothing.
func TestForms(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.scene = waiting()
	seen := revision(s.scene.d)
	g := s.signedIn()
	g.get("/console/deployments/d-GOLDEN001")
	good := url.Values{"revision": {seen}, "token": {g.token}}
	const path = "/console/deployments/d-GOLDEN001/reroute"
	for name, c := range map[string]struct {
		form   url.Values
		header http.Header
	}{
		"no token":         {url.Values{"revision": {seen}}, nil},
		"foreign token":    {url.Values{"revision": {seen}, "token": {"AAAA"}}, nil},
		"cross-site":       {good, http.Header{"Sec-Fetch-Site": {"cross-site"}}},
		"same-site":        {good, http.Header{"Sec-Fetch-Site": {"same-site"}}},
		"foreign origin":   {good, http.Header{"Origin": {"http://evil.example"}}},
		"no browser knows": {good, http.Header{"Origin": {"null"}}},
	} {
		if status, _, _ := g.do(http.MethodPost, path, c.form, c.header); status != http.StatusForbidden {
			t.Errorf("%s: %d", name, status)
		}
	}
	if n := len(s.called("ContinueDeployment")); n != 0 {
		t.Fatalf("%d forged forms were followed", n)
	}
	if status, _, h := g.do(http.MethodPost, path, good, http.Header{"Sec-Fetch-Site": {"same-origin"}}); status != http.StatusSeeOther || h.Get("Location") != "/console/deployments/d-GOLDEN001?done=reroute" {
		t.Errorf("the real form: %d to %q", status, h.Get("Location"))
	}
	calls := s.called("ContinueDeployment")
	if len(calls) != 1 || calls[0].Seen != s.scene.d.Revno || calls[0].By.ARN != root || calls[0].Service != "codedeploy" || calls[0].Source != "127.0.0.1" {
		t.Errorf("calls %+v", calls)
	}
}

// TestAct_stale: a page of the past cannot act, and says why.
func TestAct_stale(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.scene = waiting()
	g := s.signedIn()
	g.get("/console/deployments/d-GOLDEN001")
	old := revision(s.scene.d)
	s.change(func() { s.scene.d.Revno++ })
	status, page, _ := g.post("/console/deployments/d-GOLDEN001/stop-and-roll-back", url.Values{"revision": {old}})
	if status != http.StatusConflict || !strings.Contains(page, "Nothing was done: deployment d-GOLDEN001 has gone on") {
		t.Errorf("%d\n%s", status, page)
	}
	if strings.Contains(page, "hx-sse:connect") {
		t.Error("the answer to a form follows a stream")
	}
	for _, revision := range []string{"", "0", "-1", "x"} {
		if status, _, _ := g.post("/console/deployments/d-GOLDEN001/stop", url.Values{"revision": {revision}}); status != http.StatusBadRequest {
			t.Errorf("revision %q: %d", revision, status)
		}
	}
	s.refuse["StopDeployment"] = &awsapi.Error{Name: "AccessDeniedException", Message: "User: x is not authorized"}
	if status, _, _ := g.post("/console/deployments/d-GOLDEN001/stop", url.Values{"revision": {revision(s.scene.d)}}); status != http.StatusForbidden {
		t.Errorf("not allowed: %d", status)
	}
}

// stream opens a page's stream and returns a function that reads the next event that is no beat.
func (g *guest) stream(ctx context.Context, path, last string) func() (id, data string) {
	g.s.tb.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, g.s.url+path, nil)
	if err != nil {
		g.s.tb.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := g.client.Do(r)
	if err != nil {
		g.s.tb.Fatal(err)
	}
	g.s.tb.Cleanup(func() { resp.Body.Close() })
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/event-stream") {
		g.s.tb.Fatalf("stream: %d %s", resp.StatusCode, kind)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return func() (id, data string) {
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case name == "id":
				id = value
			case name == "data" && id != "":
				data += value + "\n"
			case name == "" && id != "":
				return id, data
			}
		}
		return "", ""
	}
}

// TestStream: it begins with what the browser does not have, goes on with each change, and resumes where it broke.
func TestStream(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.scene = waiting()
	g := s.signedIn()
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	const path = "/console/deployments/d-GOLDEN001?live=1"
	next := g.stream(ctx, path, "")
	first, data := next()
	if !strings.HasPrefix(first, fmt.Sprint(len(s.scene.events))+"-") || !strings.Contains(data, "It waits for you") || strings.Contains(data, "name=\"token\"") {
		t.Fatalf("the first event %q:\n%s", first, data)
	}
	s.change(func() {
		s.scene.d.Waiting, s.scene.d.Phase = deploy.Waiting{}, deploy.PhaseAllowTraffic
		s.scene.d.Revno++
		s.scene.events = append(s.scene.events, deploy.HistoryEvent{Seq: 31, Record: deploy.Record{At: at(0), Kind: deploy.RecordPhase, Phase: deploy.PhaseAllowTraffic}})
	})
	second, data := next()
	if !strings.HasPrefix(second, "31-") || !strings.Contains(data, "AllowTraffic") {
		t.Fatalf("the second event %q:\n%s", second, data)
	}
	resumed := g.stream(ctx, path, second)
	s.change(func() {}) // nothing that shows
	s.change(func() { s.scene.d.Phase = deploy.PhaseAfterAllowTraffic })
	if third, _ := resumed(); third == second || third == "" {
		t.Errorf("the resumed stream begins with %q", third)
	}
	if id, _ := g.stream(ctx, path, first)(); !strings.HasPrefix(id, "31-") {
		t.Errorf("a stream that missed events begins with %q", id)
	}
	if status, _, _ := s.guest().get(path); status != http.StatusUnauthorized {
		t.Errorf("the stream of a stranger: %d", status)
	}
	s.change(func() { s.refuse["DescribeDeployment"] = &awsapi.Error{Name: "AccessDeniedException"} })
	if id, _ := next(); id != "" {
		if id, _ = next(); id != "" {
			t.Errorf("a stream goes on after the permission was taken away: %q", id)
		}
	}
}

// TestHeaders: no page may run what is not ours, be framed, or be kept.
func TestHeaders(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.scene = failedCheck()
	g := s.signedIn()
	for _, path := range []string{"/console/", "/console/sign-in", "/console/nowhere", "/console/deployments/d-GOLDEN001"} {
		_, page, h := g.get(path)
		policy := h.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'self';") || strings.Contains(policy, "unsafe") || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
		if strings.Contains(page, " style=") || strings.Contains(page, "<style") || strings.Contains(page, " onclick") {
			t.Errorf("%s has inline styles or scripts", path)
		}
	}
	_, page, h := g.get("/console/deployments/d-GOLDEN001/report")
	if !strings.Contains(h.Get("Content-Security-Policy"), "style-src 'sha256-") || strings.Contains(page, "<script") || strings.Contains(page, "src=") || !strings.Contains(page, "10 % were taken off twice") {
		t.Errorf("the report is not self-contained: %v", h)
	}
	_, doc, h := g.get("/console/deployments/d-GOLDEN001/report.json")
	if h.Get("Content-Type") != "application/json" || !strings.Contains(doc, `"expected": "90.00"`) {
		t.Errorf("the report for programs:\n%s", doc)
	}
}

// TestDeployments_filter: what the form asks for is asked of the API, and the next page goes on with it.
func TestDeployments_filter(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.list = many(500)
	g := s.signedIn()
	_, page, _ := g.get("/console/deployments?service=shop&status=Failed&from=2026-11-01&to=2026-11-20")
	calls := s.called("ListDeployments")
	in, ok := calls[len(calls)-1].Input.(deploy.ListDeploymentsInput)
	want := deploy.ListDeploymentsInput{
		Service: "shop", Statuses: []deploy.Status{deploy.StatusFailed}, Limit: 51, Brief: true,
		From: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), // the last day is a whole one
	}
	if diff := cmp.Diff(want, in); !ok || diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	older := html.UnescapeString(regexp.MustCompile(`href="([^"]+)">Older`).FindStringSubmatch(page)[1])
	g.get(older)
	calls = s.called("ListDeployments")
	if want.After = "d-000000253"; cmp.Diff(want, calls[len(calls)-1].Input) != "" {
		t.Errorf("the page after that, %s, asks for %+v", older, calls[len(calls)-1].Input)
	}
	s.scene = waiting()
	if _, page, _ = g.get("/console/deployments?id=d-GOLDEN001"); !strings.Contains(page, `id="d-GOLDEN001"`) {
		t.Errorf("a deployment is not found by its id:\n%s", page)
	}
}
