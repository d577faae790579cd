//go:build linux

package console

import (
	"encoding/json"
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
// the next ones fail, go back, and survive a dead controller, while a webhook and a tracing backend are told of it.
func TestConsole(t *testing.T) {
	b := browser.Start(t)
	o := listen(t)
	env, flags := o.settings()
	i := start(t, env, flags)
	first := i.deploy("v1", "auto", good)
	i.write("go", "")
	i.serves(i.production, "v1")
	i.greengate("wait", first)
	t.Run("metrics", func(t *testing.T) { i.metrics(t) })
	t.Run("doors", func(t *testing.T) { i.doors(t) })

	b.Open(i.greengate("console"))
	b.Sees("This link signs you in once")
	b.Click("button.main")
	b.Await("location.pathname === '/console/'")
	b.Sees(i.production)

	var second, third, fourth string
	t.Run("reroute", func(t *testing.T) { second = i.reroute(t, b) })
	t.Run("failing check", func(t *testing.T) { third = i.failingCheck(b) })
	t.Run("rolled back", func(t *testing.T) { fourth = i.rolledBack(b) })
	t.Run("without scripts", func(t *testing.T) { i.withoutScripts(b) })
	t.Run("notices", func(t *testing.T) { i.notices(o, first, second, third, fourth) })
	t.Run("traces", func(t *testing.T) { i.traces(o, second, fourth) })
}

// notices: each event of a deployment was told, though the controller died; and it dies twice more in the middle of one.
func (i *installation) notices(o *outside, first, second, third, fourth string) {
	o.hears(first, "started", "succeeded")
	o.hears(second, "started", "ready", "succeeded")
	o.hears(third, "started", "failed")
	o.hears(fourth, "started", "failed")
	for _, id := range []string{third, fourth} {
		o.hears(i.rollbackOf(id), "started", "rolled-back")
	}
	fifth := i.deploy("v5", "manual", good)
	o.hears(fifth, "started")
	i.killController()
	i.write("go", "")
	o.hears(fifth, "started", "ready")
	i.killController()
	i.greengate("stop", fifth)
	o.hears(fifth, "started", "ready", "stopped")
}

// traces: what went well and what was turned around are traces whose spans are the phases, hooks and effects.
func (i *installation) traces(o *outside, second, fourth string) {
	o.traced(second, `deploy ok
  BeforeInstall
  Install
    effect Install
  AfterInstall
  AllowTestTraffic
    effect Route
  AfterAllowTestTraffic
    hook orders ok
  ReadyWait
  BeforeAllowTraffic
  WayBack
    effect Inspect
    hook smoke ok
  AllowTraffic
    effect Route
  AfterAllowTraffic
    hook smoke ok
  TerminationWait
  Retire
    effect Retire
`)
	back := i.rollbackOf(fourth)
	o.traced(fourth, `deploy error SMOKE_FAILED
  BeforeInstall
  Install
    effect Install
  AfterInstall
  AllowTestTraffic
    effect Route
  AfterAllowTestTraffic
    hook orders ok
  ReadyWait
  BeforeAllowTraffic
  WayBack
    effect Inspect
    hook smoke ok
  AllowTraffic
    effect Route
  AfterAllowTraffic error SMOKE_FAILED
    hook smoke error smoke in SmokeAfter
  Inspect
    effect Inspect
  Rollback
    effect Route
`)
	o.traced(back, `rollback ok
  AllowTraffic
    effect Route
  AfterAllowTraffic
    hook smoke ok
  Retire
    effect Retire
`)
	o.linked(fourth, back)
}

// rollbackOf is the record of a deployment's rollback.
func (i *installation) rollbackOf(id string) string {
	i.t.Helper()
	var d struct{ Rollback struct{ DeploymentID string } }
	if err := json.Unmarshal([]byte(i.greengate("status", id, "--json")), &d); err != nil || d.Rollback.DeploymentID == "" {
		i.t.Fatalf("the rollback of %s is not known: %v", id, err)
	}
	return d.Rollback.DeploymentID
}

// endBakeByKeyboard ends the bake of a deployment with nothing but Tab and Enter.
func (i *installation) endBakeByKeyboard(b *browser.Browser, id string) {
	i.t.Helper()
	b.Open(i.url + "/console/deployments/" + id)
	b.Sees("The old version stays warm")
	b.TabTo("document.activeElement.closest('#confirm-end-bake') && document.activeElement.tagName === 'SUMMARY'")
	b.Press("\r")
	b.Await("document.querySelector('#confirm-end-bake').open")
	b.TabTo("document.activeElement.matches('#confirm-end-bake button')")
	b.Press("\r")
	b.Sees("The end of the bake was asked for")
	b.Sees("Production is on")
	b.Sees("It has ended")
}

// reroute: the page is open while a deployment begins on the command line. Events arrive, the verdict is read, the
// button is pressed, green serves. A page that missed it cannot act.
func (i *installation) reroute(t *testing.T, b *browser.Browser) string {
	t.Helper()
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
	t.Run("roles", func(t *testing.T) { i.roles(t, id) })

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
	return id
}

// failingCheck: the failing assertion stands beside the event, production is untouched, and the controller dies under
// the open page meanwhile.
func (i *installation) failingCheck(b *browser.Browser) string {
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
	return id
}

// rolledBack: the smoke set fails after the switch, and the page leads to the verified record of the rollback.
func (i *installation) rolledBack(b *browser.Browser) string {
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
	return id
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

// metrics: what happened is counted, for programs of this machine.
func (i *installation) metrics(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skipf("curl is not installed: %v", err)
	}
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
