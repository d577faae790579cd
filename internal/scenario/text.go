package scenario

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// WriteStep writes a step as a person reads it: one line where it passed, and what was wrong with it where not.
func WriteStep(w io.Writer, s StepResult, colour bool) error {
	var b strings.Builder
	name := s.Name
	if s.Section != "steps" {
		name = s.Section + ": " + name
	}
	fmt.Fprintf(&b, "  %s  %s", mark(s.Verdict, colour), printable(name))
	if s.Verdict != Skipped {
		fmt.Fprintf(&b, "  %s", took(s.Seconds))
	}
	if s.Tried > 1 {
		fmt.Fprintf(&b, ", attempt %d", s.Tried)
	}
	if s.Verdict == Skipped {
		b.WriteString("  " + printable(s.Message))
	}
	b.WriteByte('\n')
	if s.Verdict == Fail || s.Verdict == Error {
		s.explain(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func took(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	if d < time.Second {
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

func mark(v Verdict, colour bool) string {
	codes := map[Verdict]string{Pass: "32", Fail: "31", Error: "33", Skipped: "2"}
	text := fmt.Sprintf("%-7s", v)
	if !colour {
		return text
	}
	return "\x1b[" + codes[v] + "m" + text + "\x1b[0m"
}

// printable takes control characters out: what a service answers must not move the cursor.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return '�'
		}
		return r
	}, s)
}

const indent = "           "

func line(b *strings.Builder, format string, args ...any) {
	text := printable(fmt.Sprintf(format, args...))
	b.WriteString(indent + strings.ReplaceAll(text, "\n", "\n"+indent) + "\n")
}

// explain writes what was wrong with the last attempt of a step.
func (s StepResult) explain(b *strings.Builder) {
	if len(s.Attempts) == 0 {
		line(b, "%s:%d:%d: %s", s.File, s.Line, s.Column, s.Message)
		return
	}
	last := s.Attempts[len(s.Attempts)-1]
	told := false
	for _, a := range last.Assertions {
		if a.Verdict == Pass {
			continue
		}
		told = true
		line(b, "%s:%d:%d: %s", a.File, a.Line, a.Column, a.Expression)
		if a.Message != "" {
			line(b, "  %s", a.Message)
		}
		if a.Left != "" {
			line(b, "  left   %s", clip(a.Left, 400))
		}
		if a.Right != "" {
			line(b, "  right  %s", clip(a.Right, 400))
		}
	}
	if !told {
		line(b, "%s:%d:%d: %s", s.File, s.Line, s.Column, s.Message)
	}
	last.evidence(b)
}

// code is how the answer says that it went.
func (r *Response) code() string {
	switch {
	case r.GRPC == nil:
		return strconv.Itoa(r.Status)
	case r.GRPC.Message == "":
		return r.GRPC.Name
	}
	return r.GRPC.Name + ": " + r.GRPC.Message
}

// evidence writes what was sent and received, in short.
func (a Attempt) evidence(b *strings.Builder) {
	if r := a.Request; r != nil {
		text := r.Method + " " + r.URL
		if a.Response != nil {
			text += " -> " + a.Response.code()
		}
		if a.Timings != nil {
			text += fmt.Sprintf(" in %.1fms", a.Timings.Total)
		}
		line(b, "%s", text)
	}
	if r := a.Response; r != nil && r.Body.Text != "" {
		line(b, "body: %s", clip(strings.TrimSpace(r.Body.Text), 400))
	}
	if r := a.Blue; r != nil {
		line(b, "blue -> %s", r.code())
		if r.Body.Text != "" {
			line(b, "body: %s", clip(strings.TrimSpace(r.Body.Text), 400))
		}
	}
	if p := a.Program; p != nil {
		line(b, "%s -> exit code %d", strings.Join(p.Command, " "), p.ExitCode)
		for _, out := range []string{p.Stdout.Text, p.Stderr.Text} {
			if out = strings.TrimSpace(out); out != "" {
				line(b, "%s", lastLines(out, 8))
			}
		}
	}
	for _, m := range a.Messages {
		line(b, "%s", clip(m, 400))
	}
}

// Evidence is what was sent and received by the last attempt of a step, in a few lines.
func (s StepResult) Evidence() string {
	if len(s.Attempts) == 0 {
		return ""
	}
	var b strings.Builder
	s.Attempts[len(s.Attempts)-1].evidence(&b)
	return strings.TrimSpace(strings.ReplaceAll("\n"+b.String(), "\n"+indent, "\n"))
}

func lastLines(s string, n int) string {
	lines := strings.Split(s, "\n")
	if len(lines) > n {
		lines = append([]string{"…"}, lines[len(lines)-n:]...)
	}
	return strings.Join(lines, "\n")
}

// WriteVerdict writes the last line of a result, the one that counts.
func WriteVerdict(w io.Writer, r Result, colour bool) error {
	counts := map[Verdict]int{}
	for _, s := range r.Steps {
		counts[s.Verdict]++
	}
	parts := []string{fmt.Sprintf("%d passed", counts[Pass])}
	words := map[Verdict]string{Fail: "failed", Error: "could not tell", Skipped: "not run"}
	for _, v := range []Verdict{Fail, Error, Skipped} {
		if n := counts[v]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, words[v]))
		}
	}
	text := fmt.Sprintf("%s%s in %s: %s", mark(r.Verdict, colour), printable(r.Scenario), took(r.Seconds), strings.Join(parts, ", "))
	if r.Verdict != Pass && counts[Fail]+counts[Error] == 0 {
		text += ": " + printable(r.Message)
	}
	_, err := io.WriteString(w, text+"\n")
	return err
}
