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
	b := browser.Start(t)
	s := newSite(t)
	s.furnish()
	s.scene, s.others = failedCheck(), map[string]scene{}
	b.Open(s.url + "/console/sign-in")
	look(t, b, "sign-in")
	signIn(b, s)
	pages := map[string]string{
		"services": "/console/", "deployments": "/console/deployments", "functions": "/console/functions", "function": "/console/functions/verify",
		"check": "/console/check", "audit": "/console/audit", "missing": "/console/deployments?id=d-NOSUCHONE", "report": "/console/deployments/d-GOLDEN001/report",
		"not-found": "/console/deployments/d-NOSUCHONE", "nothing": "/console/deployments?status=Created",
	}
	for i, name := range sceneNames() {
		sc := scenes()[name].renamed(t, fmt.Sprintf("d-GOLDEN%03d", i+2))
		s.others[sc.d.ID] = sc
		pages["deployment-"+name] = "/console/deployments/" + sc.d.ID
	}
	work := make(chan string, len(pages))
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		work <- name
	}
	close(work)
	for tab := range 2 { // as many as the processors of a small machine
		t.Run(fmt.Sprint("tab ", tab), func(t *testing.T) {
			t.Parallel()
			b := b.Tab(t)
			for name := range work {
				b.Open(s.url + pages[name])
				look(t, b, name)
			}
		})
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
