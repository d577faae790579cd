package console_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"greengate/internal/deploy"
	"greengate/test/browser"
)

var (
	images   = flag.String("images", "", "a folder that gets a picture of each page")
	pictures = flag.String("picture", ".", "which pictures, a regular expression")
)

// signIn signs a browser in as people do.
func signIn(b *browser.Browser, s *site) {
	b.Open(s.url + "/console/")
	b.Type("input[name=key]", keyID)
	b.Type("input[name=secret]", secret)
	b.Click("button.main")
	b.Await("location.pathname === '/console/'")
}

// TestBrowser_pages: no page in any state breaks a rule of axe or is wider than the screen of a phone, light and dark.
func TestBrowser_pages(t *testing.T) {
	b, s := browser.Start(t), newSite(t)
	b.Open(s.url + "/console/link?key=used")
	look(t, b, "link-used")
	b.Open(s.url + "/console/sign-in")
	look(t, b, "sign-in")
	signIn(b, s)
	empty := map[string]string{}
	for _, name := range []string{"", "deployments", "functions", "check", "audit"} {
		empty["empty-"+name] = "/console/" + name
	}
	lookAtAll(t, b, s, empty)
	s.change(func() {
		s.furnish()
		s.scene, s.others = failedCheck(), map[string]scene{}
	})
	full := map[string]string{
		"services": "/console/", "deployments": "/console/deployments", "functions": "/console/functions", "function": "/console/functions/verify",
		"check": "/console/check", "audit": "/console/audit", "missing": "/console/deployments?id=d-NOSUCHONE", "report": "/console/deployments/d-GOLDEN001/report",
		"not-found": "/console/deployments/d-NOSUCHONE", "nothing": "/console/deployments?status=Created", "no-page": "/console/nowhere",
	}
	for i, name := range sceneNames() {
		sc := scenes()[name].renamed(t, fmt.Sprintf("d-GOLDEN%03d", i+2))
		s.others[sc.d.ID] = sc
		full["deployment-"+name] = "/console/deployments/" + sc.d.ID
	}
	lookAtAll(t, b, s, full)
}

// lookAtAll looks at pages one after the other, in one tab: with two at once a tab now and then never answered again.
func lookAtAll(t *testing.T, b *browser.Browser, s *site, pages map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		b.Open(s.url + pages[name])
		look(t, b, name)
	}
}

// TestBrowser_keyboard: somebody signs in, finds the deployment that waits, reads what was proved and presses the button, with nothing
// but the keyboard; what has the focus shows it.
func TestBrowser_keyboard(t *testing.T) {
	b, s := browser.Start(t), newSite(t)
	s.furnish()
	s.scene = waiting()
	s.list[0].ID = s.scene.d.ID
	b.Open(s.url + "/console/")
	reach := func(there string) {
		t.Helper()
		b.TabTo(there)
		if !browser.Value[bool](b, "getComputedStyle(document.activeElement).outlineStyle !== 'none'") {
			t.Errorf("what has the focus does not show it: %s", there)
		}
	}
	reach("document.activeElement.name === 'key'")
	b.Press(keyID + "\t" + secret + "\r")
	b.Await("location.pathname === '/console/' && document.readyState === 'complete'")
	b.Press("\t")
	if text := browser.Value[string](b, "document.activeElement.textContent"); text != "Skip to the content" {
		t.Errorf("the first thing on a page is %q", text)
	}
	reach("document.activeElement.textContent === 'Deployments'")
	b.Press("\r")
	b.Await("location.pathname === '/console/deployments' && document.readyState === 'complete'")
	reach("document.activeElement.textContent === 'd-GOLDEN001'")
	b.Press("\r")
	b.Sees("It waits for you")
	reach("document.activeElement.matches('details.verdict > summary')")
	b.Press("\r")
	b.Sees("cart adds up")
	b.Await("document.querySelector('details.verdict').open")
	b.Open(s.url + "/console/deployments/d-GOLDEN001")
	reach("document.activeElement.id === 'press-reroute'")
	b.Press("\r")
	b.Sees("Rerouting was asked for")
	calls := s.called("ContinueDeployment")
	if len(calls) != 1 || calls[0].Seen != s.scene.d.Revno {
		t.Errorf("the calls are %+v", calls)
	}
}

// TestBrowser_closed: a page whose controller is away says so and since when, its clocks stand still and its buttons do nothing; when
// the controller is back it shows what is so then.
func TestBrowser_closed(t *testing.T) {
	b, s := browser.Start(t), newSite(t)
	s.scene = waiting()
	signIn(b, s)
	b.Open(s.url + "/console/deployments/d-GOLDEN001")
	b.Await("document.getElementById('live')._htmx?.sse?.status === 200") // the stream has begun
	b.Await("document.getElementById('connection').hidden && !document.body.classList.contains('stale')")
	s.away.Store(true)
	s.server.CloseClientConnections()
	b.Await("!document.getElementById('connection').hidden")
	b.Sees("Reconnecting: this is how it was at ")
	b.Await("document.body.classList.contains('stale')")
	const clocks = "[...document.querySelectorAll('[data-since]')].map(e => e.textContent).join()"
	before := browser.Value[string](b, clocks)
	b.TabTo("document.activeElement.id === 'press-reroute'")
	b.Press("\r")
	// Two seconds of a page are two ticks of its clocks: what is awaited is that they came to nothing.
	b.Await("(window.ticks = window.ticks || Date.now(), Date.now() - window.ticks > 2100)")
	if after := browser.Value[string](b, clocks); before == "" || after != before {
		t.Errorf("the clocks go on from %q to %q", before, after)
	}
	if at := browser.Value[string](b, "location.pathname"); at != "/console/deployments/d-GOLDEN001" {
		t.Errorf("the button led to %s", at)
	}
	s.change(func() { s.scene = verified() })
	s.away.Store(false)
	b.Sees("Production is on v2.")
	b.Await("document.getElementById('connection').hidden && !document.body.classList.contains('stale')")
	if n := len(s.called("ContinueDeployment")); n != 0 {
		t.Errorf("the button of a stale page was followed %d times", n)
	}
}

// renamed is the same scene of a deployment with another id.
func (s scene) renamed(t *testing.T, id string) scene {
	t.Helper()
	old := s.d.ID
	again := func(in, out any) {
		text, err := json.Marshal(in)
		if err == nil {
			err = json.Unmarshal(bytes.ReplaceAll(text, []byte(old), []byte(id)), out)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	d, events := deploy.DeploymentView{}, []deploy.HistoryEvent{}
	again(s.d, &d)
	again(s.events, &events)
	s.d, s.events = d, events
	return s
}

// look examines a page in both schemes, and on a phone.
func look(t *testing.T, b *browser.Browser, name string) {
	t.Helper()
	b.Scheme("dark")
	b.Legible(name + " dark")
	picture(t, b, name+"-dark")
	b.Scheme("light")
	b.Accessible(name + " light")
	picture(t, b, name+"-light")
	b.Screen(390, 844)
	if wide := browser.Value[int](b, "document.documentElement.scrollWidth"); wide > 390 {
		t.Errorf("%s is %d pixels wide on a phone of 390", name, wide)
	}
	picture(t, b, name+"-phone")
	b.Screen(1280, 900)
}

func picture(t *testing.T, b *browser.Browser, name string) {
	t.Helper()
	if *images == "" || !regexp.MustCompile(*pictures).MatchString(name) {
		return
	}
	if err := os.MkdirAll(*images, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*images, name+".png"), b.Shot(), 0o644); err != nil {
		t.Fatal(err)
	}
}
