//go:build linux

package console

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"greengate/test/browser"
)

const (
	good = `<testsuite name="shop"><testcase classname="cart" name="adds up"/></testsuite>`
	bad  = `<testsuite name="shop"><testcase classname="cart" name="adds up"/>
<testcase classname="cart" name="takes coupons"><failure message="10 % were taken off twice"/></testcase></testsuite>`
)

// TestConsole is a day with the console: somebody signs in, watches a deployment arrive, presses the button, and sees
// the next ones fail, go back, and survive a dead controller.
func TestConsole(t *testing.T) {
	b := browser.Start(t)
	i := start(t)
	i.deploy("v1", "auto", good)
	i.write("go", "")
	i.serves(i.production, "v1")

	b.Open(i.greengate("console"))
	b.Sees("This link signs you in once")
	b.Click("button.main")
	b.Await("location.pathname === '/console/'")
	b.Sees(i.production)

	t.Run("reroute", func(t *testing.T) { i.reroute(b) })
	t.Run("failing check", func(t *testing.T) { i.failingCheck(b) })
	t.Run("rolled back", func(t *testing.T) { i.rolledBack(b) })
	t.Run("without scripts", func(t *testing.T) { i.withoutScripts(b) })
}

// endBakeByKeyboard ends the bake of a deployment with nothing but Tab and Enter.
func (i *installation) endBakeByKeyboard(b *browser.Browser, id string) {
	i.t.Helper()
	b.Open(i.url + "/console/deployments/" + id)
	b.Sees("The old version stays warm")
	tabTo(i.t, b, "document.activeElement.closest('#confirm-end-bake') && document.activeElement.tagName === 'SUMMARY'")
	b.Press("\r")
	b.Await("document.querySelector('#confirm-end-bake').open")
	tabTo(i.t, b, "document.activeElement.matches('#confirm-end-bake button')")
	b.Press("\r")
	b.Sees("The end of the bake was asked for")
	b.Sees("Production is on")
	b.Sees("It has ended")
}

// tabTo presses Tab until the focus is where a person wants it.
func tabTo(t *testing.T, b *browser.Browser, there string) {
	t.Helper()
	for range 80 {
		if browser.Value[bool](b, "!!("+there+")") {
			return
		}
		b.Press("\t")
	}
	t.Fatalf("the keyboard does not reach %s", there)
}

// reroute: the page is open while a deployment begins on the command line. Events arrive, the verdict is read, the
// button is pressed, green serves. A page that missed it cannot act.
func (i *installation) reroute(b *browser.Browser) {
	b.Open(i.url + "/console/deployments")
	b.Sees("Deployments")
	id := i.deploy("v2", "manual", good)
	b.Await(fmt.Sprintf("document.getElementById(%q)", id)) // by itself
	b.Click("#" + id + " a")
	b.Sees("orders")
	b.Sees("placing orders") // the hook's log, while it runs
	i.write("go", "")
	b.Sees("It waits for you")
	b.Await("document.querySelector('#press-reroute')")
	i.serves(i.test, "v2")
	b.Accessible("waiting, for real")

	stale := b.Tab(i.t)
	stale.Script(false)
	stale.Open(i.url + "/console/deployments/" + id)
	b.Click("details.verdict summary")
	b.Sees("cart adds up")
	b.Click("#press-reroute")
	b.Sees("Rerouting was asked for")
	i.serves(i.production, "v2")
	b.Sees("The old version stays warm")
	if !browser.Value[bool](b, "document.querySelector('.weights').getAttribute('aria-label').includes('new version 100 percent')") {
		i.t.Error("the page does not show that all traffic is on the new version")
	}
	stale.Script(true) // what is asked of the page needs it; the page itself has loaded without
	stale.Click("#confirm-stop summary")
	stale.Click("#confirm-stop button")
	stale.Sees("Nothing was done")
	stale.Sees("has gone on")

	i.endBakeByKeyboard(b, id)
}

// failingCheck: the failing assertion stands beside the event, production is untouched, and the controller dies under
// the open page meanwhile.
func (i *installation) failingCheck(b *browser.Browser) {
	id := i.deploy("v3", "manual", bad)
	b.Open(i.url + "/console/deployments/" + id)
	b.Sees("placing orders")
	browser.Value[bool](b, `(window.said = [], new MutationObserver(() => window.said.push(document.getElementById('connection').textContent))
		.observe(document.getElementById('connection'), {childList: true, characterData: true, subtree: true}), true)`)
	i.killController()
	b.Await("window.said.some(text => text.startsWith('Reconnecting'))")
	b.Await("document.getElementById('connection').hidden")
	i.write("go", "")
	b.Sees("HOOK_EXECUTION_FAILURE")
	b.Await("document.querySelector('details.verdict.bad').open")
	b.Sees("takes coupons")
	b.Sees("10 % were taken off twice")
	b.Sees("Production never left v2")
	if !browser.Value[bool](b, "window.said.length > 0") {
		i.t.Error("the page was loaded anew instead of going on")
	}
	b.Accessible("failed, for real")
}

// rolledBack: the smoke set fails after the switch, and the page leads to the verified record of the rollback.
func (i *installation) rolledBack(b *browser.Browser) {
	id := i.deploy("v4", "auto", good)
	b.Open(i.url + "/console/deployments/" + id)
	i.write("go", "")
	b.Sees("SMOKE_FAILED")
	b.Await("document.querySelector('a[href^=\"/console/deployments/d-\"]:not([href*=report])')")
	b.Click("a[href^='/console/deployments/d-']:not([href*=report])")
	b.Sees("Production is back on v2, verified.")
	i.serves(i.production, "v2")
	b.Open(i.url + "/console/audit")
	b.Sees("codedeploy:ContinueDeployment")
	b.Sees("greengate:ApplyService")
}

// withoutScripts: pages, and the filter of the list, work as plain HTML.
func (i *installation) withoutScripts(b *browser.Browser) {
	b.Script(false)
	defer b.Script(true)
	b.Open(i.url + "/console/deployments?status=Failed")
	text := b.Text()
	if !strings.Contains(text, "v3") || !strings.Contains(text, "v4") || strings.Contains(text, "v1 ") {
		i.t.Errorf("the failed deployments are\n%s", text)
	}
}

// TestMetrics: what happened is counted, for programs of this machine.
func TestMetrics(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skipf("curl is not installed: %v", err)
	}
	i := start(t)
	id := i.deploy("v1", "auto", good)
	i.write("go", "")
	i.serves(i.production, "v1")
	i.greengate("wait", id)
	for _, path := range []string{"/healthz", "/readyz"} {
		if out, err := exec.CommandContext(t.Context(), "curl", "-sSf", i.url+path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", path, err, out)
		}
	}
	out, err := exec.CommandContext(t.Context(), "curl", "-sSf", i.url+"/metrics").CombinedOutput()
	if err != nil {
		t.Fatalf("metrics: %v\n%s", err, out)
	}
	for _, want := range []string{
		`greengate_deployments{status="Succeeded"} 1`, `greengate_verdicts_total{event="AfterAllowTestTraffic",kind="command",status="pass"} 1`,
		`greengate_phase_duration_seconds_count{phase="Install"} 1`, `greengate_requests_total{outcome="served",service="shop",version="v1"}`,
		`greengate_hook_duration_seconds_count{kind="command"}`, "go_goroutines",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("there is no %s in\n%s", want, out)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "curl", "-s", "-o", os.DevNull, "-w", "%{http_code}", "-H", "X-Forwarded-For: 10.0.0.1", i.url+"/metrics").Output(); err != nil || string(out) != "401" {
		t.Errorf("metrics through a proxy without keys: %s %v", out, err)
	}
}
