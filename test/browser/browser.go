// Package browser drives a real Chromium in tests. It is the only place that knows chromedp, whose API has changed
// before: a test asks for what a person does, and awaits what a person sees.
package browser

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// axe is axe-core 4.14.1 (MPL-2.0, see axe/LICENSE), unaltered.
//
//go:embed axe/axe.min.js
var axe string

// patience bounds what is awaited; machines may be slow.
const patience = 2 * time.Minute

// Browser is a running Chromium with one tab.
type Browser struct {
	tb  testing.TB
	ctx context.Context //nolint:containedctx // chromedp keeps the browser in its context
}

// Start runs a Chromium with a profile of its own until the test ends. It skips where none is installed.
func Start(tb testing.TB) *Browser {
	tb.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		tb.Skip("chromium is not installed")
	}
	dir, err := os.MkdirTemp("", "ggchromium") //nolint:usetesting // the browser may still write to it when the test ends
	if err != nil {
		tb.Fatal(err)
	}
	alloc, stop := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.UserDataDir(dir), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("hide-scrollbars", true), chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel := chromedp.NewContext(alloc)
	tb.Cleanup(func() {
		cancel()
		stop()
		_ = os.RemoveAll(dir) // the browser may still be writing to it
	})
	b := &Browser{tb: tb, ctx: ctx}
	b.do("start", chromedp.EmulateViewport(1280, 900))
	return b
}

// Tab opens another tab with the same cookies, until tb ends. Tabs may be used at the same time.
func (b *Browser) Tab(tb testing.TB) *Browser {
	tb.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx)
	tb.Cleanup(cancel)
	n := &Browser{tb: tb, ctx: ctx}
	n.do("open tab", chromedp.EmulateViewport(1280, 900))
	return n
}

func (b *Browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.tb.Helper()
	b.within(what, func() error { return chromedp.Do(b.ctx, steps...) })
}

// within fails the test where ask fails or does not come back. The deadline must not be the context of the first step: the
// browser would end with it.
func (b *Browser) within(what string, ask func() error) {
	b.tb.Helper()
	done := make(chan error, 1)
	go func() { done <- ask() }()
	select {
	case err := <-done:
		if err != nil {
			b.tb.Fatalf("%s: %v", what, err)
		}
	case <-time.After(patience):
		b.tb.Fatalf("%s: it took longer than %s", what, patience)
	}
}

// Open leads the tab to an address.
func (b *Browser) Open(url string) {
	b.tb.Helper()
	b.do("open "+url, chromedp.Navigate(url))
}

// Eval evaluates JavaScript in the tab.
func Eval[T any](b *Browser, expression string) (T, error) {
	limited, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	return chromedp.Run(limited, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
}

// Value is Eval that must succeed.
func Value[T any](b *Browser, expression string) T {
	b.tb.Helper()
	v, err := Eval[T](b, expression)
	if err != nil {
		b.tb.Fatalf("evaluate %s: %v", expression, err)
	}
	return v
}

// Await waits until an expression is true, also over pages that load meanwhile.
func (b *Browser) Await(expression string) {
	b.tb.Helper()
	give := time.Now().Add(patience)
	for {
		ok, err := Eval[bool](b, "!!("+expression+")")
		if ok {
			return
		}
		if time.Now().After(give) {
			text, _ := Eval[string](b, "location.href + '\\n' + document.body.innerText")
			b.tb.Fatalf("%s is not true (%v); the page says:\n%s", expression, err, text)
		}
		time.Sleep(40 * time.Millisecond) // the browser has other work than to answer
	}
}

// Sees waits until the page shows a text.
func (b *Browser) Sees(text string) {
	b.tb.Helper()
	b.Await(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// Text is what the page shows now.
func (b *Browser) Text() string {
	b.tb.Helper()
	return Value[string](b, "document.body.innerText")
}

// Click clicks what a CSS selector finds, once it is visible.
func (b *Browser) Click(selector string) {
	b.tb.Helper()
	b.do("click "+selector, chromedp.Click(chromedp.CSS(selector), chromedp.NodeVisible))
}

// Type types into a field.
func (b *Browser) Type(selector, text string) {
	b.tb.Helper()
	b.do("type into "+selector, chromedp.SendKeys(chromedp.CSS(selector), text, chromedp.NodeVisible))
}

// Press presses keys wherever the focus is.
func (b *Browser) Press(keys string) {
	b.tb.Helper()
	b.do("press keys", chromedp.KeyEvent(keys))
}

// TabTo presses Tab until the focus is where a person wants it: there is an expression.
func (b *Browser) TabTo(there string) {
	b.tb.Helper()
	for range 80 {
		if Value[bool](b, "!!("+there+")") {
			return
		}
		b.Press("\t")
	}
	b.tb.Fatalf("the keyboard does not reach %s", there)
}

// Screen sets the size of the window in CSS pixels.
func (b *Browser) Screen(width, height int64) {
	b.tb.Helper()
	b.do("set viewport", chromedp.EmulateViewport(width, height))
}

// Scheme asks pages to be "light" or "dark".
func (b *Browser) Scheme(name string) {
	b.tb.Helper()
	b.within("set colour scheme", func() error {
		_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	})
}

// Script lets pages run scripts, or not.
func (b *Browser) Script(on bool) {
	b.tb.Helper()
	b.within("switch scripts", func() error {
		_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	})
}

// Shot is a picture of the whole page, as PNG.
func (b *Browser) Shot() []byte {
	b.tb.Helper()
	var png []byte
	b.within("take picture", func() (err error) {
		png, err = chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
		return err
	})
	return png
}

// Accessible fails the test with every violation that axe finds on the page as it is.
func (b *Browser) Accessible(what string) { b.tb.Helper(); b.axe(what, "") }

// Legible is Accessible for the rules about colours alone, where a page has another scheme and nothing else has changed.
func (b *Browser) Legible(what string) { b.tb.Helper(); b.axe(what, ", runOnly: ['color-contrast']") }

func (b *Browser) axe(what, options string) {
	b.tb.Helper()
	if !Value[bool](b, "typeof axe !== 'undefined'") {
		b.do("load axe", chromedp.Evaluate[chromedp.Void](axe))
	}
	run := `axe.run(document, {resultTypes: ['violations']` + options + `}).then(r => ({
		passes: r.passes.length,
		violations: r.violations.map(v => v.id + ': ' + v.help + ' — ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + n.failureSummary).join(' | '))}))`
	found := Value[struct {
		Passes     int      `json:"passes"`
		Violations []string `json:"violations"`
	}](b, run)
	if found.Passes == 0 {
		b.tb.Errorf("%s: axe looked at nothing", what)
	}
	if len(found.Violations) > 0 {
		b.tb.Errorf("%s: %d violations\n%s", what, len(found.Violations), strings.Join(found.Violations, "\n"))
	}
}
