package console

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"greengate/internal/deploy"
)

// funcs are what templates may call.
func (c *Console) funcs() template.FuncMap {
	return template.FuncMap{
		"asset": c.assetURL, "clock": clock, "stamp": stampOf, "iso": iso, "took": took, "ago": ago, "until": until, "ms": ms, "millis": millis,
		"statusClass": statusClass, "glyph": glyph, "verdictWord": verdictWord, "orDash": orDash, "list": list, "action": actionText, "nav": nav,
		"short": short, "count": count, "statuses": statuses, "plural": plural, "args": withArgs, "lines": func(l []string) string { return strings.Join(l, "\n") },
		"stages": func(m deploymentModel) []stage { return m.stages() }, "traffic": func(m deploymentModel, now time.Time) *trafficChart { return m.traffic(now) },
		"sides": sidesOf, "levelClass": levelClass,
		"ledger": func(m deploymentModel) []ledgerBar { return m.ledger() }, "proof": func(m deploymentModel) proof { return m.proof() },
		"newest": func(m deploymentModel) []deploy.HistoryEvent { return m.newest() }, "isZero": func(t time.Time) bool { return t.IsZero() },
	}
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") }

func stampOf(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func iso(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// took writes a duration so that it is read at a glance.
func took(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return strconv.Itoa(int(d.Milliseconds())) + " ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(math.Floor(d.Seconds()*10)/10, 'f', 1, 64) + " s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return fmt.Sprintf("%d m %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d m", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

func ago(now, t time.Time) string { return took(now.Sub(t)) + " ago" }

func until(now, t time.Time) string {
	if !t.After(now) {
		return "now"
	}
	return "in " + took(t.Sub(now))
}

// ms writes a latency.
func ms(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d < 10*time.Millisecond:
		return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 1, 64) + " ms"
	}
	return took(d)
}

func seconds(d time.Duration) string {
	return strconv.Itoa(int(math.Ceil(d.Seconds())))
}

// statusClass is how a status looks: good, bad, warn, busy or idle. The word stands beside it always.
func statusClass(status any) string {
	switch fmt.Sprint(status) {
	case string(deploy.StatusSucceeded), string(deploy.VerdictPass), "ok", "healthy", "running":
		return "good"
	case string(deploy.StatusFailed), string(deploy.VerdictFail), "unhealthy":
		return "bad"
	case string(deploy.StatusReady), string(deploy.VerdictError), string(deploy.StatusStopped), "warning":
		return "warn"
	case string(deploy.StatusInProgress), string(deploy.StatusCreated), "starting":
		return "busy"
	}
	return "idle"
}

// levelClass is how a finding of check looks. Its "error" is one, other than a verdict that could not tell.
func levelClass(level string) string {
	switch level {
	case "error":
		return "bad"
	case "warning":
		return "warn"
	}
	return "busy"
}

// glyph is the mark of a class, for people who see no colours.
func glyph(class string) string {
	switch class {
	case "good":
		return "✓"
	case "bad":
		return "✕"
	case "warn":
		return "!"
	case "busy":
		return "●"
	}
	return "○"
}

func verdictWord(v deploy.VerdictStatus) string {
	if v == deploy.VerdictError {
		return "could not tell"
	}
	return string(v)
}

func orDash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func list(items ...any) []any { return items }

// withArgs passes several values to a template.
func withArgs(pairs ...any) (map[string]any, error) {
	m := map[string]any{}
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("argument %d is no name", i)
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// short is the last part of an ARN: who it is.
func short(arn string) string {
	if i := strings.LastIndexByte(arn, ':'); i >= 0 && strings.HasPrefix(arn, "arn:") {
		return arn[i+1:]
	}
	return orDash(arn)
}

// count writes a number with thin gaps between thousands.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// buttonText is what a button is called and what it says that it will do.
type buttonText struct {
	Label, Says string
	// Confirm: it cannot be taken back, so it is asked for twice.
	Confirm bool
	// Main is the one that stands out.
	Main bool
}

// actionText words the button of an action for a deployment.
func actionText(name string, d deploy.DeploymentView) buttonText {
	from, to := orDash(d.From), orDash(d.To)
	switch name {
	case deploy.ActionReroute:
		return buttonText{Label: "Reroute traffic", Main: true, Says: "Production traffic moves to " + to + ". The old version stays warm until the bake has ended."}
	case deploy.ActionEndBake:
		return buttonText{Label: "End bake", Confirm: true, Says: "The old version " + from + " is drained and stopped now. After that the way back is a deployment of its own."}
	case deploy.ActionStopBack:
		return buttonText{Label: "Stop and roll back", Confirm: true, Says: "The deployment ends as Stopped, and production goes back to " + from + " at once. The record of the rollback says whether that is verified."}
	}
	return buttonText{Label: "Stop", Confirm: true, Says: "The deployment ends as Stopped. Traffic and both versions stay exactly as they are now."}
}

// navEntry is one entry of the navigation.
type navEntry struct{ Key, Label, URL string }

func nav() []navEntry {
	return []navEntry{
		{"services", "Services", "/console/"},
		{"deployments", "Deployments", "/console/deployments"},
		{"functions", "Functions", "/console/functions"},
		{"check", "Check", "/console/check"},
		{"audit", "Audit", "/console/audit"},
	}
}
