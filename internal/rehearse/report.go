package rehearse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/scenario"
	"greengate/internal/trial"
)

// The exit codes of a rehearsal, of the one table.
const (
	codeUsage      = 2
	codeUnexpected = 4
)

// CodedError is an error that knows the exit code of the program.
type CodedError struct {
	Code int
	Text string
}

func (e *CodedError) Error() string { return e.Text }

// ExitCode is the code.
func (e *CodedError) ExitCode() int { return e.Code }

// Report is the outcome of a rehearsal for machines.
type Report struct {
	Service string `json:"service"`
	Version string `json:"version,omitempty"`
	// File is the service file.
	File    string    `json:"file"`
	Start   time.Time `json:"start"`
	Seconds float64   `json:"seconds"`
	// AsExpected says that every row is.
	AsExpected bool           `json:"asExpected"`
	Requests   trial.Requests `json:"requests"`
	Rows       []Row          `json:"rows"`
	// Folder is that of the installation, where it was kept.
	Folder string `json:"folder,omitempty"`
}

// Row is one deployment of the rehearsal.
type Row struct {
	Fault      string        `json:"fault"`
	Title      string        `json:"title"`
	Expected   Outcome       `json:"expected"`
	Outcome    Outcome       `json:"outcome"`
	AsExpected bool          `json:"asExpected"`
	Reason     deploy.Reason `json:"reason,omitempty"`
	Deployment string        `json:"deployment,omitempty"`
	Seconds    float64       `json:"seconds"`
	// Requests were sent while it ran, Lost had no whole answer or one of 500 and more. Cut is what the data plane counted.
	Requests int64 `json:"requests"`
	Lost     int64 `json:"lost"`
	Cut      int64 `json:"cut"`
	// Why says what was otherwise than expected; Log is what the commands said then.
	Why []string `json:"why,omitempty"`
	Log string   `json:"log,omitempty"`
}

func (r *Row) blame(format string, args ...any) { r.Why = append(r.Why, fmt.Sprintf(format, args...)) }

// Err is nil where all went as expected.
func (r Report) Err() error {
	bad := 0
	for _, row := range r.Rows {
		if !row.AsExpected {
			bad++
		}
	}
	if bad == 0 && len(r.Rows) > 0 {
		return nil
	}
	return &CodedError{Code: codeUnexpected, Text: fmt.Sprintf("%d of %d rehearsed deployments did not end as expected", bad, len(r.Rows))}
}

// Write writes the report as text or as JSON, and to the file junit where that is named.
func (r Report) Write(out io.Writer, asJSON bool, junit string) error {
	write := r.WriteText
	if asJSON {
		write = r.WriteJSON
	}
	if err := write(out); err != nil || junit == "" {
		return err
	}
	var b bytes.Buffer
	if err := r.WriteJUnit(&b); err != nil {
		return err
	}
	if err := os.WriteFile(junit, b.Bytes(), 0o644); err != nil { //nolint:gosec // a report is for everybody
		return fmt.Errorf("write JUnit XML: %w", err)
	}
	return nil
}

// WriteText writes the table for people.
func (r Report) WriteText(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "\nFAULT\tEXPECTED\tOUTCOME\tTIME\tREQUESTS\tLOST")
	for _, row := range r.Rows {
		said := string(row.Outcome)
		if !row.AsExpected {
			said = "! " + said
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%.1f s\t%d\t%d\n", row.Fault, row.Expected, said, row.Seconds, row.Requests, row.Lost)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	for _, row := range r.Rows {
		for _, why := range row.Why {
			_, _ = fmt.Fprintf(out, "\n%s: %s\n", row.Fault, why)
		}
		if row.Log != "" {
			_, _ = fmt.Fprintf(out, "%s\n", row.Log)
		}
	}
	for _, e := range r.Requests.Errors {
		_, _ = fmt.Fprintf(out, "lost: %s\n", e)
	}
	_, err := fmt.Fprintf(out, "\n%d requests, %d lost, in %.1f s\n", r.Requests.Total, r.Requests.Failed, r.Seconds)
	if err == nil && r.Folder != "" {
		_, err = fmt.Fprintf(out, "the folder of the installation is %s\n", r.Folder)
	}
	return err
}

// WriteJSON writes the report for machines.
func (r Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	return nil
}

// WriteJUnit writes the report as JUnit XML: a case a deployment.
func (r Report) WriteJUnit(w io.Writer) error {
	result := scenario.Result{
		Scenario: "rehearsal of " + r.Service, Verdict: scenario.Pass, Start: r.Start, Seconds: r.Seconds, Steps: []scenario.StepResult{},
	}
	for _, row := range r.Rows {
		st := scenario.StepResult{
			Name: row.Fault, Section: "steps", Verdict: scenario.Pass, Seconds: row.Seconds, File: r.File, Line: 1, Column: 1,
		}
		switch {
		case row.AsExpected:
		case row.Outcome == notRun:
			st.Verdict, st.Message = scenario.Skipped, row.Why[0]
		default:
			st.Verdict, st.Message, result.Verdict = scenario.Fail, row.Why[0], scenario.Fail
			st.Attempts = []scenario.Attempt{{Verdict: scenario.Fail, Program: &scenario.Program{
				Command: []string{"greengate", "rehearse", "--only", row.Fault}, ExitCode: codeUnexpected, Stdout: scenario.Body{Text: row.Log},
			}}}
		}
		result.Steps = append(result.Steps, st)
	}
	return scenario.WriteJUnit(w, scenario.Summarize([]scenario.Result{result}))
}
