package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"greengate/internal/deploy"
)

// printer writes lines and remembers the first error, so that a full disk or a closed pipe is no success.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) raw(text string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, text)
	}
}

func (p *printer) line(format string, args ...any) { p.raw(fmt.Sprintf(format, args...) + "\n") }

// json writes one indented document.
func (p *printer) json(v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("encode output: %w", err)
	}
	p.raw(b.String())
	return p.err
}

// jsonLine writes one document on one line.
func (p *printer) jsonLine(v any) {
	line, err := json.Marshal(v)
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("encode output: %w", err)
	}
	p.raw(string(line) + "\n")
}

// table writes rows below a head in columns.
func (p *printer) table(head string, rows [][]string) {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	text := printer{w: w}
	text.line("%s", strings.Join(strings.Fields(head), "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = orDash(clean(cell))
		}
		text.line("%s", strings.Join(cells, "\t"))
	}
	if err := w.Flush(); err != nil && p.err == nil {
		p.err = err
	}
	for line := range strings.Lines(b.String()) {
		p.raw(strings.TrimRight(line, " \n") + "\n")
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// clean takes control characters out of text that a program or a stranger wrote, so that it cannot drive the terminal.
// Line breaks stay.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r):
			return '?'
		}
		return r
	}, s)
}

// oneLine is clean text without line breaks.
func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(clean(s), func(r rune) bool { return r == '\n' }), " / ")
}

// ago says how long before now t was.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return coarse(now.Sub(t)) + " ago"
}

// coarse is a duration in its greatest unit.
func coarse(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 0:
		return "0s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 2*day:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/day)
}

// took is a duration with the digits that matter.
func took(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < 10*time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// The colours of verdicts and statuses.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (a *app) colour(code, text string) string {
	if !a.colourful() {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// verdictLines are a verdict and, where it is no pass, the checks that say why.
func (a *app) verdictLines(deployment string, v deploy.Verdict) []string {
	word, colour := "unclear", yellow
	switch v.Status {
	case deploy.VerdictPass:
		word, colour = "verified", green
	case deploy.VerdictFail:
		word, colour = "failed", red
	case deploy.VerdictError, deploy.CheckSkipped: // a verdict is never skipped
	}
	line := a.colour(colour, fmt.Sprintf("%-8s", word)) + fmt.Sprintf("  %s (%s) %s", clean(v.Hook), v.Event, v.Status)
	if !v.End.IsZero() && !v.Start.IsZero() {
		line += " in " + took(v.End.Sub(v.Start))
	}
	if v.Attempt > 1 {
		line += fmt.Sprintf(", attempt %d", v.Attempt)
	}
	lines := []string{line}
	if v.Status == deploy.VerdictPass {
		return lines
	}
	if why := reasonText(v.Reason, v.Message); why != "" {
		lines[0] += ": " + why
	}
	for _, c := range v.Checks {
		if c.Status == deploy.VerdictFail || c.Status == deploy.VerdictError {
			lines = append(lines, "          "+checkText(c))
			lines = append(lines, evidenceLines(c.Evidence)...)
		}
	}
	if v.Log != "" || v.Kind == deploy.HookFunction {
		lines = append(lines, "          log: greengate logs --hook "+oneLine(deployment)+"/"+oneLine(v.Hook))
	}
	return lines
}

// evidenceLines are the first lines of a check's evidence: what was sent and what came back.
func evidenceLines(evidence string) []string {
	const most = 4
	var lines []string
	for text := range strings.Lines(evidence) {
		if len(lines) == most {
			return append(lines, "            …")
		}
		lines = append(lines, "            "+oneLine(text))
	}
	return lines
}

func checkText(c deploy.Check) string {
	text := "check " + oneLine(c.Name) + " " + string(c.Status)
	if c.Expected != "" || c.Actual != "" {
		text += ": expected " + orDash(oneLine(c.Expected)) + ", actual " + orDash(oneLine(c.Actual))
	}
	if c.Message != "" {
		text += ": " + oneLine(c.Message)
	}
	return text
}

func reasonText(reason deploy.Reason, message string) string {
	text := oneLine(message)
	switch {
	case reason == deploy.ReasonNone:
		return text
	case text == "":
		return string(reason)
	case reason == deploy.ReasonAdvanced: // the ordinary course needs no code
		return text
	}
	return text + " [" + string(reason) + "]"
}
