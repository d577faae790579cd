package console_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"

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
	pages := map[string]string{
		"services": "/console/", "deployments": "/console/deployments", "functions": "/console/functions", "function": "/console/functions/verify",
		"check": "/console/check", "audit": "/console/audit", "missing": "/console/deployments?id=d-NOSUCHONE", "report": "/console/deployments/d-GOLDEN001/report",
	}
	b.Open(s.url + "/console/sign-in")
	look(t, b, "sign-in")
	signIn(b, s)
	s.change(func() { s.scene = failedCheck() })
	for name, path := range pages {
		b.Open(s.url + path)
		look(t, b, name)
	}
	for _, name := range sceneNames() {
		s.change(func() { s.scene = scenes()[name] })
		b.Open(s.url + "/console/deployments/" + s.scene.d.ID)
		b.Await("document.querySelector('h1')")
		look(t, b, "deployment-"+name)
	}
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
