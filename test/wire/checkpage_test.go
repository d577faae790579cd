//go:build linux

package wire

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
)

// checkPage is somebody who looks at the Check page of the console.
type checkPage struct {
	base   string
	client *http.Client
}

// signIn follows a link that greengate console has printed.
func signIn(t *testing.T, link string) *checkPage {
	t.Helper()
	u, err := url.Parse(strings.TrimSpace(link))
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &checkPage{base: u.Scheme + "://" + u.Host, client: &http.Client{Jar: jar}}
	res, err := p.client.PostForm(p.base+"/console/link", url.Values{"link": {u.Query().Get("key")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("sign in to the console: %d %v", res.StatusCode, err)
	}
	return p
}

// sees compares the page with what the command has found: the same errors and warnings, and how to mend them.
func (p *checkPage) sees(t *testing.T, found []checkFinding) {
	t.Helper()
	res, err := p.client.Get(p.base + "/console/check")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	page := html.UnescapeString(string(body))
	if !strings.Contains(page, ">shop/live</h2>") {
		t.Errorf("the page does not have the deployment group:\n%s", page)
	}
	badge := map[string]string{"error": `"badge bad"`, "warning": `"badge warn"`}
	wanted := map[string]int{}
	for _, f := range found {
		wanted[f.Level]++
		if !strings.Contains(page, f.Message) || !strings.Contains(page, f.Mend) {
			t.Errorf("the page does not have %+v:\n%s", f, page)
		}
	}
	for level, class := range badge {
		if got := strings.Count(page, class); got != wanted[level] {
			t.Errorf("the page has %d findings of level %s, the command %d:\n%s", got, level, wanted[level], page)
		}
	}
}
