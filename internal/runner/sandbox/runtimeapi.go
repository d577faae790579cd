package sandbox

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const runtimePrefix = "/2018-06-01/runtime/"

// nextRequest is a runtime that asks for its next event.
type nextRequest struct {
	gone  <-chan struct{} // the connection broke
	reply chan delivery   // not buffered: what is sent was received
}

// delivery is the answer: an event, or none where refused.
type delivery struct {
	rec     record
	payload []byte
	refused bool
}

func (n nextRequest) refuse() {
	select {
	case n.reply <- delivery{refused: true}:
	case <-n.gone:
	}
}

type postKind int

const (
	postAnswer postKind = iota
	postInitError
	postLost // not from the runtime: the event could not be written to it
)

// post is what a runtime reports; reply says whether it was taken.
type post struct {
	kind    postKind
	id      string
	outcome outcome
	reply   chan bool // room for one
}

// runtimeAPI serves the public Runtime API to one sandbox.
func (b *box) runtimeAPI() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+runtimePrefix+"invocation/next", b.serveNext)
	mux.HandleFunc("POST "+runtimePrefix+"invocation/{id}/response", b.serveResponse)
	mux.HandleFunc("POST "+runtimePrefix+"invocation/{id}/error", b.serveError)
	mux.HandleFunc("POST "+runtimePrefix+"init/error", b.serveInitError)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A web page must not reach it through a name that resolves here.
		if r.Host != b.rec.Address {
			refuse(w, http.StatusForbidden, "InvalidHost", "this is the Lambda Runtime API of another address")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (b *box) serveNext(w http.ResponseWriter, r *http.Request) {
	n := nextRequest{gone: r.Context().Done(), reply: make(chan delivery)}
	select {
	case b.nexts <- n:
	case <-n.gone:
		panic(http.ErrAbortHandler)
	case <-b.gone:
		b.refuseGone(w)
		return
	}
	select {
	case d := <-n.reply:
		if d.refused {
			refuseState(w)
			return
		}
		if err := writeEvent(w, d); err != nil {
			b.log.WarnContext(r.Context(), "cannot hand over event", "invocation", d.rec.ID, "err", err)
			b.tell(post{kind: postLost, id: d.rec.ID})
		}
	case <-n.gone:
		panic(http.ErrAbortHandler) // an answer without an event would be taken for one
	case <-b.gone:
		b.refuseGone(w)
	}
}

// refuseGone answers for a sandbox that has ended. While the manager closes the sandbox goes on: its runtime gets no
// answer at all and asks the next manager.
func (b *box) refuseGone(w http.ResponseWriter) {
	select {
	case <-b.m.closing:
		panic(http.ErrAbortHandler)
	default:
		refuseState(w)
	}
}

func writeEvent(w http.ResponseWriter, d delivery) error {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(d.payload)))
	h.Set("Lambda-Runtime-Aws-Request-Id", d.rec.ID)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(d.rec.Deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", d.rec.Invocation.Function.ARN())
	h.Set("Lambda-Runtime-Trace-Id", traceID(d.rec.Handed))
	if _, err := w.Write(d.payload); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if err := http.NewResponseController(w).Flush(); err != nil {
		return fmt.Errorf("flush event: %w", err)
	}
	return nil
}

func traceID(at time.Time) string {
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=0", at.Unix(), hex.EncodeToString(b[:12]), hex.EncodeToString(b[12:]))
}

func (b *box) serveResponse(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	body, tooBig, err := readBody(w, r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidRequest", "the body was cut off")
		return
	}
	out := outcome{State: StateSucceeded, Payload: body, Ended: time.Now()}
	if tooBig {
		out = outcome{
			State: StateFailed, ErrorType: ErrorTypeResponseTooBig, Ended: time.Now(),
			ErrorMessage: fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", maxResponse),
		}
	}
	// A streamed response tells of an error after its body.
	if kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); kind != "" {
		out = outcome{State: StateFailed, ErrorType: cleanType(kind), ErrorMessage: "the handler failed while it streamed its response", Ended: time.Now()}
	}
	switch ok := b.tell(post{kind: postAnswer, id: id, outcome: out}); {
	case !ok:
		refuseID(w)
	case tooBig:
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge",
			fmt.Sprintf("Exceeded maximum allowed payload size (%d bytes).", maxResponse))
	default:
		accept(w)
	}
}

func (b *box) serveError(w http.ResponseWriter, r *http.Request) {
	out, ok := readError(w, r)
	if !ok {
		return
	}
	if !b.tell(post{kind: postAnswer, id: r.PathValue("id"), outcome: out}) {
		refuseID(w)
		return
	}
	accept(w)
}

func (b *box) serveInitError(w http.ResponseWriter, r *http.Request) {
	out, ok := readError(w, r)
	if !ok {
		return
	}
	if !b.tell(post{kind: postInitError, outcome: out}) {
		refuseState(w)
		return
	}
	accept(w)
}

// tell passes a report to the sandbox's goroutine and returns whether it was taken, which is durable then.
func (b *box) tell(p post) bool {
	p.reply = make(chan bool, 1)
	select {
	case b.posts <- p:
	case <-b.m.closing:
		panic(http.ErrAbortHandler) // no answer: the runtime posts again, to the next manager
	case <-b.gone:
		return b.toldTooLate()
	}
	select {
	case ok := <-p.reply:
		return ok
	case <-b.m.closing:
		panic(http.ErrAbortHandler)
	case <-b.gone:
		return b.toldTooLate()
	}
}

func (b *box) toldTooLate() bool {
	select {
	case <-b.m.closing:
		panic(http.ErrAbortHandler)
	default:
		return false
	}
}

// readBody reads up to the limit of a response; beyond that the rest is read and dropped, so that the client sees the answer.
func readBody(w http.ResponseWriter, r *http.Request) (body []byte, tooBig bool, err error) {
	body, err = io.ReadAll(io.LimitReader(r.Body, maxResponse+1))
	if err != nil {
		return nil, false, fmt.Errorf("read body: %w", err)
	}
	if len(body) <= maxResponse {
		return body, false, nil
	}
	_, err = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 64<<20))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		err = nil
	}
	return nil, true, err
}

// runtimeError is the body of an error report.
type runtimeError struct {
	ErrorMessage string          `json:"errorMessage"`
	ErrorType    string          `json:"errorType"`
	StackTrace   json.RawMessage `json:"stackTrace"`
	Trace        []string        `json:"trace"` // Node's name for it
}

func readError(w http.ResponseWriter, r *http.Request) (outcome, bool) {
	body, tooBig, err := readBody(w, r)
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "InvalidRequest", "the body was cut off")
		return outcome{}, false
	case tooBig:
		body = nil // the error itself still counts
	}
	return parseError(body, r.Header.Get("Lambda-Runtime-Function-Error-Type")), true
}

// parseError reads an error report of any shape: the body's words where they can be read, else the header's type.
func parseError(body []byte, headerType string) outcome {
	out := outcome{State: StateFailed, Payload: body, Ended: time.Now()}
	var e runtimeError
	if json.Unmarshal(body, &e) == nil {
		out.ErrorType, out.ErrorMessage = cleanType(e.ErrorType), e.ErrorMessage
		out.StackTrace = append(stackLines(e.StackTrace), e.Trace...)
	}
	if out.ErrorType == "" {
		out.ErrorType = cleanType(headerType)
	}
	if out.ErrorType == "" {
		out.ErrorType = errorTypeRuntimeFallback
	}
	return out
}

// stackLines reads a stack trace: a list of lines (Python) or of frames of any form (Go's, Java's).
func stackLines(raw json.RawMessage) []string {
	var frames []json.RawMessage
	if json.Unmarshal(raw, &frames) != nil {
		return nil
	}
	var out []string
	for _, f := range frames {
		var line string
		if json.Unmarshal(f, &line) != nil {
			line = string(f)
		}
		out = append(out, line)
	}
	return out
}

func cleanType(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 256)]
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`+"\n") // a client that is gone has been heard
}

func refuseID(w http.ResponseWriter) {
	refuse(w, http.StatusBadRequest, "InvalidRequestID", "Invalid request ID")
}

func refuseState(w http.ResponseWriter) {
	refuse(w, http.StatusForbidden, "InvalidStateTransition", "this call is not allowed in the present state of the sandbox")
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"errorType": kind, "errorMessage": message}) // to the client, who may be gone
}
