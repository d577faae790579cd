package awsapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// DefaultMaxBody is the largest body of a request, in bytes, where Config names none.
const DefaultMaxBody = 1 << 20

// Operation is an operation of our own. input is a JSON object; the result is encoded as JSON, nil as an empty object.
// It may return *Error or *deploy.Error; any other error is answered as InternalFailure and logged. It may take its
// time (a long poll); ctx ends when the client goes away.
type Operation func(ctx context.Context, by Principal, input json.RawMessage) (any, error)

// Config is what a Server needs.
type Config struct {
	// Region and AccountID name our resources in ARNs.
	Region    string
	AccountID string
	Keys      Keys
	Now       func() time.Time
	Log       *slog.Logger
	// MaxBody is the largest body in bytes; 0 is DefaultMaxBody.
	MaxBody int64
	// Minute is how long a minute of the wire lasts (waits, intervals); 0 is time.Minute.
	Minute time.Duration

	Deployments Deployments
	Catalog     Catalog
	Control     Control

	// Operations are served under the target prefix Greengate_20261122, by name.
	Operations map[string]Operation
}

func (c *Config) check() error {
	for name, missing := range map[string]bool{
		"Region": c.Region == "", "AccountID": c.AccountID == "", "Keys": c.Keys == nil, "Now": c.Now == nil,
		"Log": c.Log == nil, "Deployments": c.Deployments == nil, "Catalog": c.Catalog == nil, "Control": c.Control == nil,
	} {
		if missing {
			return fmt.Errorf("create API server: Config.%s is not set", name)
		}
	}
	return nil
}

// Server answers the wire. It is safe for concurrent use.
type Server struct {
	cfg        Config
	protocols  []protocol
	operations map[target]operation
}

// operation is one operation of any service. decode reads the input in whatever protocol it came.
type operation func(ctx context.Context, by Principal, decode func(any) error) (any, error)

// New returns a Server. It refuses a Config that lacks something.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.MaxBody <= 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	if cfg.Minute <= 0 {
		cfg.Minute = time.Minute
	}
	s := &Server{cfg: cfg, protocols: newProtocols(), operations: map[target]operation{}}
	for name, op := range newCodeDeploy(cfg).operations() {
		s.operations[target{serviceCodeDeploy, name}] = op
	}
	for name, op := range cfg.Operations {
		s.operations[target{serviceGreengate, name}] = greengateOperation(name, op, cfg)
	}
	return s, nil
}

// statusClientGone is what the access log says of a request whose client did not wait; it is never sent.
const statusClientGone = 499

// exchange is one request and what the log will say about it.
type exchange struct {
	id        string
	protocol  protocol
	target    target
	principal Principal
	status    int
	code      string // the error's name, empty where there is none
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/healthz" {
		s.healthz(w, r)
		return
	}
	start := s.cfg.Now()
	x := &exchange{id: newUUID(), protocol: s.protocols[0]}
	w.Header().Set("X-Amzn-Requestid", x.id)
	body, contentType := s.answer(w, r, x)
	var err error
	if x.status != statusClientGone {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(x.status)
		_, err = w.Write(body) //nolint:gosec // JSON under a JSON content type, with nosniff
	}
	s.access(r.Context(), x, s.cfg.Now().Sub(start), err)
}

func (s *Server) healthz(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n") // a health checker that left needs no answer
}

// answer runs the request and returns the encoded answer; x.status is set.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, x *exchange) ([]byte, string) {
	out, err := s.run(w, r, x)
	if err == nil {
		var body []byte
		var contentType string
		if body, contentType, err = x.protocol.encode(out); err == nil {
			x.status = http.StatusOK
			return body, contentType
		}
	}
	if r.Context().Err() != nil {
		// The client went away: nobody reads the answer, and what broke off is nobody's fault.
		x.status = statusClientGone
		return nil, ""
	}
	wire := toWire(err, "")
	if wire == nil {
		s.logInternal(r.Context(), x, err)
		wire = &Error{
			Name: "InternalFailure", Status: http.StatusInternalServerError,
			Message: "The request failed because of an internal error. Its log entry has request id " + x.id + ".",
		}
	}
	x.status, x.code = wire.status(), wire.Name
	return x.protocol.encodeError(wire)
}

// panicError carries a panic of a handler to the log.
type panicError struct {
	value any
	stack []byte
}

func (p *panicError) Error() string { return fmt.Sprintf("panic: %v", p.value) }

func (s *Server) run(w http.ResponseWriter, r *http.Request, x *exchange) (out any, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = nil, &panicError{value: v, stack: debug.Stack()}
		}
	}()
	op, err := s.route(r, x)
	if err != nil {
		// Who is not known to us learns nothing about what we serve.
		if _, denied := s.authenticate(w, r, x); denied != nil {
			return nil, denied
		}
		return nil, err
	}
	body, err := s.authenticate(w, r, x)
	if err != nil {
		return nil, err
	}
	return op(r.Context(), x.principal, func(into any) error { return x.protocol.decode(body, into) })
}

// route finds the operation.
func (s *Server) route(r *http.Request, x *exchange) (operation, error) {
	for _, p := range s.protocols {
		t, ok := p.match(r)
		if !ok {
			continue
		}
		x.protocol = p
		op := s.operations[t]
		if op == nil {
			// The name is a stranger's words: it is kept out of answer and log.
			return nil, errUnknownOperation
		}
		x.target = t
		if r.Method != http.MethodPost {
			return nil, errUnknownOperation
		}
		return op, nil
	}
	return nil, errUnknownOperation
}

// authenticate verifies the signature and returns the body.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request, x *exchange) ([]byte, error) {
	signed, err := beginVerify(r, s.cfg.Keys, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &Error{
			Name: "RequestEntityTooLargeException", Status: http.StatusRequestEntityTooLarge,
			Message: fmt.Sprintf("The body is larger than %d bytes.", tooLarge.Limit),
		}
	case err != nil:
		return nil, serializationError("the body could not be read to its end")
	}
	if err := signed.finish(r, body); err != nil {
		return nil, err
	}
	x.principal = signed.principal
	return body, nil
}

func (s *Server) logInternal(ctx context.Context, x *exchange, err error) {
	attrs := []slog.Attr{
		slog.String("request_id", x.id), slog.String("service", x.target.service),
		slog.String("operation", x.target.operation), slog.Any("err", err),
	}
	if p, ok := errors.AsType[*panicError](err); ok {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	s.cfg.Log.LogAttrs(ctx, slog.LevelError, "request failed", attrs...)
}

func (s *Server) access(ctx context.Context, x *exchange, took time.Duration, writeErr error) {
	attrs := []slog.Attr{
		slog.String("service", x.target.service), slog.String("operation", x.target.operation),
		slog.String("principal", x.principal.ARN), slog.Int("status", x.status), slog.Duration("took", took),
		slog.String("request_id", x.id),
	}
	if x.code != "" {
		attrs = append(attrs, slog.String("code", x.code))
	}
	if writeErr != nil {
		attrs = append(attrs, slog.Any("err", writeErr))
	}
	s.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "request", attrs...)
}

// newUUID returns a random UUID (version 4). crypto/rand.Read never fails (its contract since Go 1.24).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
