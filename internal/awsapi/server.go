package awsapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"time"

	"greengate/internal/awsapi/wire"
	"greengate/internal/deploy"
)

// DefaultMaxBody is the largest body of a request, in bytes, where Config names none.
const DefaultMaxBody = 1 << 20

// DefaultMaxObject is the largest body that is passed on while it arrives, in bytes, where Config names none: that of S3.
const DefaultMaxObject = 5 << 30

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
	// MaxObject is the largest object of S3 in bytes; 0 is DefaultMaxObject.
	MaxObject int64
	// Minute is how long a minute of the wire lasts (waits, intervals); 0 is time.Minute.
	Minute time.Duration

	Deployments Deployments
	Catalog     Catalog
	Control     Control
	// Resources keeps applications, groups, configurations and revisions.
	Resources Resources

	// Access decides about every operation; nil asks the scope of the credentials alone (Scopes).
	Access Access
	// Services are the handlers of each service by its prefix in IAM actions: "ecs", "elasticloadbalancing".
	Services map[string]Handlers

	// Audit is told of every call that changes something, before it is answered; nil tells nobody.
	Audit func(ctx context.Context, e deploy.AuditEntry)
	// Public answers what needs no signature, such as the links in messages of topics; it is nil for every other request.
	Public func(r *http.Request) http.Handler

	// Operations are served under the target prefix Greengate_20261122, by name.
	Operations map[string]Operation
}

func (c *Config) check() error {
	for name, missing := range map[string]bool{
		"Region": c.Region == "", "AccountID": c.AccountID == "", "Keys": c.Keys == nil, "Now": c.Now == nil,
		"Log": c.Log == nil, "Deployments": c.Deployments == nil, "Catalog": c.Catalog == nil, "Control": c.Control == nil,
		"Resources": c.Resources == nil,
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
	dispatcher *dispatcher
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
	if cfg.MaxObject <= 0 {
		cfg.MaxObject = DefaultMaxObject
	}
	if cfg.Access == nil {
		cfg.Access = Scopes{}
	}
	cfg.Access = guard{cfg.Access}
	d, err := newDispatcher()
	if err != nil {
		return nil, fmt.Errorf("create API server: %w", err)
	}
	s := &Server{cfg: cfg, dispatcher: d, operations: map[target]operation{}}
	for name, op := range newCodeDeploy(cfg).operations() {
		s.operations[target{serviceCodeDeploy, name}] = op
	}
	for name, op := range cfg.Operations {
		s.operations[target{serviceGreengate, name}] = greengateOperation(name, op, cfg)
	}
	for prefix, handlers := range cfg.Services {
		if err := s.serve(prefix, handlers); err != nil {
			return nil, fmt.Errorf("create API server: %w", err)
		}
	}
	return s, nil
}

// statusClientGone is what the access log says of a request whose client did not wait; it is never sent.
const statusClientGone = 499

// exchange is one request and what the log will say about it.
type exchange struct {
	id        string
	call      *call
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
	if public := s.public(r); public != nil {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		public.ServeHTTP(w, r)
		return
	}
	start := s.cfg.Now()
	x := &exchange{id: newUUID(), call: s.dispatcher.find(r)}
	answer := s.answer(r, x, func() (any, error) { return s.run(w, r, x) })
	s.audit(r, x)
	err := x.write(w, r, answer)
	s.access(r.Context(), x, s.cfg.Now().Sub(start), err)
	if err != nil && answer.Stream != nil {
		panic(http.ErrAbortHandler) // the client must not take half an object for a whole one
	}
}

// write sends the answer, nil where nobody waits for one.
func (x *exchange) write(w http.ResponseWriter, r *http.Request, answer *wire.Response) error {
	if answer == nil {
		return nil
	}
	if answer.Stream != nil {
		defer answer.Stream.Close() //nolint:errcheck // it was only read
	}
	h := w.Header()
	maps.Copy(h, answer.Header)
	h.Set("X-Amzn-Requestid", x.id)
	if x.call.service != nil && x.call.service.Prefix == serviceS3 {
		h.Set("X-Amz-Request-Id", x.id)
		h.Set("X-Amz-Id-2", x.id)
	}
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(answer.Status)
	if r.Method == http.MethodHead || answer.Status == http.StatusNotModified {
		return nil
	}
	if _, err := w.Write(answer.Body); err != nil {
		return err
	}
	if answer.Stream == nil {
		return nil
	}
	_, err := io.Copy(w, answer.Stream)
	return err
}

func (s *Server) public(r *http.Request) http.Handler {
	if s.cfg.Public == nil {
		return nil
	}
	return s.cfg.Public(r)
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

// answer runs the request and returns the answer; x.status is set. It is nil where nobody waits for one.
func (s *Server) answer(r *http.Request, x *exchange, run func() (any, error)) *wire.Response {
	out, err := run()
	if err == nil {
		var answer *wire.Response
		if answer, err = x.call.encode(out, x.id); err == nil {
			x.status = answer.Status
			return answer
		}
	}
	if r.Context().Err() != nil {
		// The client went away: nobody reads the answer, and what broke off is nobody's fault.
		x.status = statusClientGone
		return nil
	}
	e := toWire(err, "")
	if e == nil {
		s.logInternal(r.Context(), x, err)
		e = &Error{
			Name:    "InternalFailure",
			Message: "The request failed because of an internal error. Its log entry has request id " + x.id + ".",
		}
	}
	answer := x.call.encodeError(e, x.id)
	x.status, x.code = answer.Status, e.Name
	return answer
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
	// Who is not known to us learns nothing about what we serve: authentication comes first.
	region, err := s.authenticate(w, r, x)
	if err != nil {
		return nil, err
	}
	op := s.operations[x.call.target]
	if op == nil {
		return nil, x.call.unknown()
	}
	return op(withFacts(r.Context(), r, region), x.principal, x.call.decode)
}

// authenticate verifies the signature, puts the body into the call and returns the region that was signed for.
func (s *Server) authenticate(w http.ResponseWriter, r *http.Request, x *exchange) (region string, err error) {
	signed, err := beginVerify(r, s.cfg.Keys, s.cfg.Now())
	if err != nil {
		return "", err
	}
	c, limit := x.call, s.limit(x.call)
	limited := http.MaxBytesReader(w, r.Body, limit)
	if c.service != nil && c.service.Prefix == serviceS3 {
		err = s.readObject(signed, r, c, limited)
	} else {
		err = s.readBody(signed, r, c, limited)
	}
	if err != nil {
		return "", err
	}
	x.principal = signed.principal
	if c.form {
		if err := s.dispatcher.readForm(r, c, c.request.Body); err != nil {
			return "", err
		}
	}
	if c.service != nil && signed.auth.service != c.service.Signing {
		return "", invalidSignature("Credential should be scoped to correct service: '" + c.service.Signing + "'.")
	}
	return signed.auth.region, nil
}

// limit is the largest body of a call, in bytes.
func (s *Server) limit(c *call) int64 {
	if c.service == nil {
		return s.cfg.MaxBody
	}
	switch c.service.Prefix {
	case serviceLambda:
		return max(s.cfg.MaxBody, 70<<20) // a zip of 50 MB in base64
	case serviceLogs:
		return max(s.cfg.MaxBody, 4<<20) // a batch is 1 MiB before JSON escapes it
	case serviceS3:
		if c.op != nil && c.op.Streams() {
			return s.cfg.MaxObject + s.cfg.MaxObject/16 // chunks have frames
		}
		return max(s.cfg.MaxBody, 4<<20) // DeleteObjects names 1,000 keys of 1 KiB
	}
	return s.cfg.MaxBody
}

// readBody reads a body to its end and verifies it.
func (s *Server) readBody(signed *signedRequest, r *http.Request, c *call, limited io.Reader) error {
	body, err := readAll(limited)
	if err != nil {
		return err
	}
	if err := signed.finish(r, body); err != nil {
		return err
	}
	c.request.Body, err = gunzip(r, body, s.limit(c))
	return err
}

// readObject verifies the headers; the body is verified while it is read, by the operation where it takes a stream.
func (s *Server) readObject(signed *signedRequest, r *http.Request, c *call, limited io.ReadCloser) error {
	stream, header, err := signed.stream(r, limited, s.cfg.MaxObject)
	if err != nil {
		return err
	}
	c.request.Header = header
	if c.op != nil && c.op.Streams() {
		c.request.Stream = stream
		return nil
	}
	c.request.Body, err = readAll(stream)
	return err
}

func readAll(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(r)
	var tooLarge *http.MaxBytesError
	var named *Error
	switch {
	case errors.As(err, &tooLarge):
		return nil, errTooLarge(tooLarge.Limit)
	case errors.As(err, &named):
		return nil, named
	case err != nil:
		return nil, serializationError("the body could not be read to its end")
	}
	return body, nil
}

func (s *Server) logInternal(ctx context.Context, x *exchange, err error) {
	attrs := []slog.Attr{
		slog.String("request_id", x.id), slog.String("service", x.call.target.service),
		slog.String("operation", x.call.target.operation), slog.Any("err", err),
	}
	if p, ok := errors.AsType[*panicError](err); ok {
		attrs = append(attrs, slog.String("stack", string(p.stack)))
	}
	s.cfg.Log.LogAttrs(ctx, slog.LevelError, "request failed", attrs...)
}

func (s *Server) access(ctx context.Context, x *exchange, took time.Duration, writeErr error) {
	attrs := []slog.Attr{
		slog.String("service", x.call.target.service), slog.String("operation", x.call.target.operation),
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
