package console_test

import (
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"greengate/internal/awsapi"
	"greengate/internal/deploy"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite golden files")

func readAll(tb testing.TB, resp *http.Response) string {
	tb.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// What changes from run to run, or with the assets' content.
var (
	tokens   = regexp.MustCompile(`(name="token" value=")[^"]+`)
	versions = regexp.MustCompile(`(have=)[0-9a-f-]+`)
	hashes   = regexp.MustCompile(`(/console/assets/[a-z-]+(?:\.min)?\.)[0-9a-f]{12}`)
	styles   = regexp.MustCompile(`(?s)<style>.*?</style>`)
)

func golden(t *testing.T, name, got string) {
	t.Helper()
	got = tokens.ReplaceAllString(got, "${1}TOKEN")
	got = versions.ReplaceAllString(got, "${1}VERSION")
	got = hashes.ReplaceAllString(got, "${1}HASH")
	got = styles.ReplaceAllString(got, "<style></style>")
	file := filepath.Join("testdata", "golden", name+".html")
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got); make golden rewrites it:\n%s", file, diff)
	}
}

// TestPages_deployment: what the page of a deployment shows in each of its states.
func TestPages_deployment(t *testing.T) {
	t.Parallel()
	for _, name := range sceneNames() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.scene = scenes()[name]
			if name == "unknown-parts" {
				s.refuse["DescribeLedger"] = &awsapi.Error{Name: "InternalFailure", Message: "the data plane does not answer"}
			}
			g := s.signedIn()
			status, page, _ := g.get("/console/deployments/" + s.scene.d.ID)
			if status != http.StatusOK {
				t.Fatalf("status %d:\n%s", status, page)
			}
			if strings.Contains(page, "secret-execution-id") {
				t.Error("the page holds the execution id, with which anybody could report")
			}
			golden(t, "deployment-"+name, page)
		})
	}
}

// TestPages: the other pages, full and empty.
func TestPages(t *testing.T) {
	t.Parallel()
	full, empty := newSite(t), newSite(t)
	full.furnish()
	full.scene = failedCheck()
	for name, path := range map[string]string{
		"services": "/console/", "deployments": "/console/deployments", "deployments-missing": "/console/deployments?id=d-NOSUCHONE", "functions": "/console/functions",
		"check": "/console/check", "audit": "/console/audit", "function": "/console/functions/verify", "report": "/console/deployments/d-GOLDEN001/report",
	} {
		_, page, _ := full.signedIn().get(path)
		golden(t, name, page)
		if name == "function" || name == "report" || strings.Contains(name, "missing") {
			continue
		}
		_, page, _ = empty.signedIn().get(path)
		golden(t, name+"-empty", page)
	}
	_, page, _ := full.guest().get("/console/sign-in")
	golden(t, "sign-in", page)
	full.refuse["DescribeOverview"] = &awsapi.Error{Name: "AccessDeniedException", Message: "User: x is not authorized to perform: greengate:DescribeOverview"}
	status, page, _ := full.signedIn().get("/console/")
	if status != http.StatusForbidden {
		t.Errorf("a page that is not allowed: %d", status)
	}
	golden(t, "not-allowed", page)
	status, page, _ = full.signedIn().get("/console/deployments/d-NOSUCHONE")
	if status != http.StatusNotFound {
		t.Errorf("a deployment that is not there: %d", status)
	}
	golden(t, "not-found", page)
}

var _ = deploy.ActionStop
