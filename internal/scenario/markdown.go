package scenario

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes a summary for the page of a CI job: a table, and what was wrong with each step that did not pass.
func WriteMarkdown(w io.Writer, s Summary) error {
	var b bytes.Buffer
	passed := 0
	for _, r := range s.Results {
		if r.Verdict == Pass {
			passed++
		}
	}
	fmt.Fprintf(&b, "## Scenarios: %s\n\n%d of %d passed.\n", s.Verdict, passed, len(s.Results))
	if len(s.Results) > 0 {
		b.WriteString("\n| verdict | scenario | release | steps passed | time |\n|---|---|---|---|---|\n")
	}
	for _, r := range s.Results {
		steps := 0
		for _, st := range r.Steps {
			if st.Verdict == Pass {
				steps++
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %d of %d | %s |\n", markdownVerdict(r.Verdict), markdownCell(r.Scenario), markdownCell(r.Release.Version),
			steps, len(r.Steps), took(r.Seconds))
	}
	for _, r := range s.Results {
		if r.Verdict != Pass {
			r.markdown(&b)
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

func markdownVerdict(v Verdict) string {
	if v == Pass {
		return string(v)
	}
	return "**" + string(v) + "**"
}

// markdown writes what was wrong, as greengate verify prints it.
func (r Result) markdown(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n### %s: %s\n\n", r.Verdict, markdownCell(r.Scenario))
	var steps bytes.Buffer
	for _, s := range r.Steps {
		if s.Verdict == Fail || s.Verdict == Error {
			_ = WriteStep(&steps, s, false) // a buffer takes everything
		}
	}
	text := steps.String()
	if text == "" {
		text = printable(r.Message) + "\n"
	}
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	b.WriteString(fence + "\n" + text + fence + "\n")
}

// markdownCell is a text as one cell of a table: what it says is shown and not carried out.
func markdownCell(s string) string {
	var b strings.Builder
	for _, r := range strings.Join(strings.Fields(printable(s)), " ") {
		if strings.ContainsRune("\\`*_[]<>|#!~&", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
