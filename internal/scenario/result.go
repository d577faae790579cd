package scenario

import (
	"time"
)

// Verdict is the outcome of a scenario, a step or an assertion.
type Verdict string

// A verdict is pass, fail (an assertion was false) or error (it could not be told). A step may also be skipped; a scenario
// of which one was skipped is no pass.
const (
	Pass    Verdict = "pass"
	Fail    Verdict = "fail"
	Error   Verdict = "error"
	Skipped Verdict = "skipped"
)

// Release is what a scenario is told of the release under test. What is not known is empty, and an expression that uses
// it fails.
type Release struct {
	Service    string `json:"service,omitempty"`
	Version    string `json:"version,omitempty"`
	Revision   string `json:"revision,omitempty"`
	TaskSet    string `json:"taskSet,omitempty"`
	Deployment string `json:"deployment,omitempty"`
}

// resultVersion is the version of the schema of a Result.
const resultVersion = 1

// Result is what became of one run of a scenario: all that text, JSON, JUnit, HTML and a deployment's verdict say.
// Everything in it is masked.
type Result struct {
	Version  int    `json:"version"`
	Scenario string `json:"scenario"`
	File     string `json:"file"`
	Digest   string `json:"digest"`
	// Verdict is pass, fail or error; Message says in one line why it is no pass.
	Verdict Verdict   `json:"verdict"`
	Message string    `json:"message,omitempty"`
	BaseURL string    `json:"baseUrl,omitempty"`
	Release Release   `json:"release"`
	Allowed Effect    `json:"allowed,omitempty"`
	TraceID string    `json:"traceId"`
	Start   time.Time `json:"start"`
	// Seconds is how long it took, TimedOut whether its time limit ended it.
	Seconds  float64      `json:"seconds"`
	TimedOut bool         `json:"timedOut,omitempty"`
	Steps    []StepResult `json:"steps"`
}

// StepResult is what became of one step. Steps of groups stand behind one another, with the group in their name.
type StepResult struct {
	Name     string   `json:"name"`
	Section  string   `json:"section"` // setup, steps or cleanup
	Kind     string   `json:"kind"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Column   int      `json:"column"`
	Effect   Effect   `json:"effect,omitempty"`
	Verdict  Verdict  `json:"verdict"`
	Message  string   `json:"message,omitempty"`
	Seconds  float64  `json:"seconds"`
	Captured []string `json:"captured,omitempty"`
	// Tried is how many attempts there were; Attempts are the first and the last of them.
	Tried    int       `json:"tried"`
	Attempts []Attempt `json:"attempts,omitempty"`
}

// Attempt is one try of a step.
type Attempt struct {
	Number   int       `json:"number"`
	Verdict  Verdict   `json:"verdict"`
	Message  string    `json:"message,omitempty"`
	Start    time.Time `json:"start"`
	Request  *Request  `json:"request,omitempty"`
	Response *Response `json:"response,omitempty"`
	// Blue is what the old release answered, where the scenario compares with it.
	Blue       *Response   `json:"blue,omitempty"`
	Timings    *Timings    `json:"timings,omitempty"`
	Program    *Program    `json:"program,omitempty"`
	Messages   []string    `json:"messages,omitempty"`
	Assertions []Assertion `json:"assertions,omitempty"`
}

// Header is one header line.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Body is what was sent or received: at most 64 KiB of it.
type Body struct {
	Text      string `json:"text,omitempty"`
	Bytes     int    `json:"bytes"`
	Truncated bool   `json:"truncated,omitempty"`
	// Binary says that it is no text; then Text is empty.
	Binary bool `json:"binary,omitempty"`
}

// Request is what was sent.
type Request struct {
	Method  string   `json:"method"`
	URL     string   `json:"url"`
	Headers []Header `json:"headers,omitempty"`
	Body    Body     `json:"body"`
}

// Response is what was received.
type Response struct {
	Status   int      `json:"status"`
	Protocol string   `json:"protocol"`
	Headers  []Header `json:"headers,omitempty"`
	// Body is of a gRPC call the message as JSON, or the list of messages.
	Body Body `json:"body"`
	// GRPC and Trailers are of a gRPC call alone.
	GRPC     *GRPCStatus `json:"grpc,omitempty"`
	Trailers []Header    `json:"trailers,omitempty"`
}

// Timings are of the request, in milliseconds; the phases of a connection that was there already are 0.
type Timings struct {
	DNS       float64 `json:"dns"`
	Connect   float64 `json:"connect"`
	TLS       float64 `json:"tls"`
	FirstByte float64 `json:"firstByte"`
	Total     float64 `json:"total"`
}

// Program is how a program ended.
type Program struct {
	Command  []string `json:"command"`
	ExitCode int      `json:"exitCode"`
	Stdout   Body     `json:"stdout"`
	Stderr   Body     `json:"stderr"`
}

// Assertion is one expression that was looked at, with the values of its two operands.
type Assertion struct {
	Expression string  `json:"expression"`
	File       string  `json:"file"`
	Line       int     `json:"line"`
	Column     int     `json:"column"`
	Verdict    Verdict `json:"verdict"`
	Operator   string  `json:"operator,omitempty"`
	// Left and Right are JSON, shortened.
	Left    string `json:"left,omitempty"`
	Right   string `json:"right,omitempty"`
	Message string `json:"message,omitempty"`
}

// Summary are several results as one document.
type Summary struct {
	Version int      `json:"version"`
	Verdict Verdict  `json:"verdict"`
	Results []Result `json:"results"`
}

// Summarize is the verdict over several results. None are no pass.
func Summarize(results []Result) Summary {
	s := Summary{Version: resultVersion, Verdict: Pass, Results: results}
	if len(results) == 0 {
		s.Verdict, s.Results = Error, []Result{}
	}
	for _, r := range results {
		s.Verdict = worse(s.Verdict, r.Verdict)
	}
	return s
}

// worse is the verdict of two together: a fail is known, whatever else could not be told.
func worse(a, b Verdict) Verdict {
	for _, v := range []Verdict{Fail, Error, Skipped} {
		if a == v || b == v {
			return v
		}
	}
	return Pass
}

// settle says what the steps come to. Only if every step passed, and there was one, is it a pass.
func (r *Result) settle() {
	passed := 0
	for _, s := range r.Steps {
		switch {
		case s.Section == "steps" && s.Verdict == Pass:
			passed++
		case s.Section == "steps" && s.Verdict == Fail:
			r.blame(Fail, s)
		case s.Section == "steps":
			r.blame(Error, s)
		case s.Verdict == Pass || s.Verdict == Skipped: // of setup and cleanup
		default:
			r.blame(Error, s)
		}
	}
	if r.Verdict == "" && passed == 0 {
		r.Verdict, r.Message = Error, "no step was run, so nothing is proven"
	}
	if r.Verdict == "" {
		r.Verdict = Pass
	}
}

// blame keeps the first thing that was wrong; a fail goes before what could not be told.
func (r *Result) blame(v Verdict, s StepResult) {
	if r.Verdict == Fail || (r.Verdict == Error && v == Error) {
		return
	}
	r.Verdict, r.Message = v, s.Name+": "+s.Message
}
