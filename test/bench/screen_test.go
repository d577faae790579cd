package bench

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"greengate/test/browser"
)

// watched notes when each row of the page's history was painted first: how many milliseconds after its own time, which is
// taken before the step is stored.
const watched = `(() => {
	const seen = window.seen = {};
	const look = () => { for (const t of document.querySelectorAll('.history time')) {
		const row = t.parentElement.innerText;
		if (!(row in seen)) seen[row] = performance.timeOrigin + performance.now() - Date.parse(t.dateTime);
	} };
	look();
	window.old = Object.keys(seen).length;
	new MutationObserver(() => requestAnimationFrame(look)).observe(document.getElementById('live'), {childList: true, subtree: true, characterData: true, attributes: true});
	return true;
})()`

// BenchmarkConsole_screen: from an event of a deployment to the screen of a real Chromium that follows it.
func BenchmarkConsole_screen(b *testing.B) {
	page := browser.Start(b)
	in := newInstallation(b)
	in.deploy("v0", "promote: auto", 0)
	link, err := in.command("console").Output()
	if err != nil {
		b.Fatal(err)
	}
	address := strings.TrimSpace(string(link))
	base, _, _ := strings.Cut(address, "/console/")
	page.Open(address)
	page.Click("button.main")
	page.Await("location.pathname === '/console/'")
	var took []float64
	for b.Loop() {
		id := in.begin()
		page.Open(base + "/console/deployments/" + id)
		page.Sees("It waits for you")
		page.Await("document.readyState === 'complete' && document.getElementById('connection').hidden")
		browser.Value[bool](page, watched)
		if out, err := in.command("continue", id).CombinedOutput(); err != nil {
			b.Fatalf("continue: %v\n%s", err, out)
		}
		page.Sees("It has ended")
		took = append(took, browser.Value[[]float64](page, "Object.values(seen).slice(old)")...)
	}
	if len(took) == 0 {
		b.Fatal("no event was seen")
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2], "ms-to-screen-median")
	b.ReportMetric(took[len(took)*95/100], "ms-to-screen-p95")
	b.ReportMetric(float64(len(took)), "events")
}

// begin begins a deployment of the next version, which waits for a decision.
func (in *installation) begin() string {
	in.tb.Helper()
	file := filepath.Join(in.dir, "greengate.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		in.tb.Fatal(err)
	}
	next := strings.NewReplacer("promote: auto", "promote: manual", "version: v", "version: v1", "VERSION: v", "VERSION: v1").Replace(string(text))
	if err := os.WriteFile(file, []byte(next), 0o600); err != nil {
		in.tb.Fatal(err)
	}
	var d struct{ DeploymentID string }
	out, err := in.command("deploy", "--file", file, "--json").Output()
	if err == nil {
		err = json.Unmarshal(out, &d)
	}
	if err != nil || d.DeploymentID == "" {
		in.tb.Fatalf("deploy printed %q: %v", out, err)
	}
	return d.DeploymentID
}
