package scenario

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"
)

// rpc is what a step with grpc calls. Its request holds headers, auth and json.
type rpc struct {
	service, method string
	url             *template    // nil for the base URL
	described       *descriptors // nil: the server is asked by reflection
}

func (r *rpc) path() string { return "/" + r.service + "/" + r.method }

// reply is a call and what came back of it.
type reply struct {
	request  *http.Request
	sent     []byte // the message as JSON
	response *http.Response
	status   GRPCStatus
	json     []byte // of the message, or of the list of messages
	body     any    // the same as expressions see it
	latency  time.Duration
	timings  *Timings
}

// call makes the step's call and returns what came back.
func (x *execution) call(ctx context.Context, st *step, sc *scope) (observation, error) {
	r, err := x.invoke(ctx, st, x.values(sc, nil), x.o.BaseURL)
	if r == nil {
		return observation{}, err
	}
	o := observation{keep: func(a *Attempt) {
		a.Request = x.recordRequest(r.request, r.sent, false)
		if r.response != nil {
			a.Response, a.Timings = x.recordReply(r), r.timings
		}
	}}
	if err != nil {
		return o, err
	}
	o.seen = map[string]any{
		"status": r.status.Name, "code": r.status.Code, "message": r.status.Message, "body": r.body, "headers": joined(r.response.Header),
		"trailers": joined(r.response.Trailer), "latency": r.latency, "url": r.request.URL.String(),
		"certificate": certificateOf(r.response.TLS),
	}
	o.answered = &exchange{req: r.request, res: r.response, grpc: &r.status, raw: r.json, body: r.body}
	o.checks, o.problems = x.proofs(st, r.response, r.json)
	return o, x.stranger(r.response)
}

func (x *execution) recordReply(r *reply) *Response {
	out := x.recordResponse(r.response, r.json)
	out.Trailers = x.mask.headers(r.response.Trailer)
	status := r.status
	status.Message = clip(x.mask.text(status.Message), maxOperand)
	out.GRPC = &status
	return out
}

// invoke makes a call at base, or at the step's own address. With an error it may have what was sent.
func (x *execution) invoke(ctx context.Context, st *step, values map[string]any, base string) (*reply, error) {
	if st.rpc.url != nil {
		own, err := st.rpc.url.string(values)
		if err != nil {
			return nil, unready{err}
		}
		base = strings.TrimSuffix(own, "/")
	}
	described := st.rpc.described
	if described == nil {
		var err error
		if described, err = x.reflection(ctx, st, values, base); err != nil {
			return nil, err
		}
	}
	m, err := described.find(st.rpc.service, st.rpc.method)
	if err != nil {
		return nil, unready{err}
	}
	wire, sent, err := m.encode(st.request.json, values)
	if err != nil {
		return nil, unready{err}
	}
	r := &reply{sent: sent}
	if r.request, err = x.grpcRequest(st, values, base, st.rpc.path(), wire); err != nil {
		return nil, err
	}
	return r, x.roundTrip(ctx, r, m)
}

// grpcRequest is a call as it is sent.
func (x *execution) grpcRequest(st *step, values map[string]any, base, path string, wire []byte) (*http.Request, error) {
	call := *st.request
	call.method, call.target, call.json = http.MethodPost, literalText(path), nil
	call.file, call.bodyName, call.mime = wire, path, grpcType
	req, _, err := x.build(&call, values, base)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", grpcType) // headers of the whole scenario are meant for other requests
	req.Header.Set("Te", "trailers")
	return req, nil
}

// caller makes calls. One that is redirected is none: gRPC knows no redirects, and where they lead nobody is under test.
func (x *execution) caller() *http.Client {
	return &http.Client{Transport: x.calls, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// roundTrip sends the call and reads its answer.
func (x *execution) roundTrip(ctx context.Context, r *reply, m *method) error {
	clock := &stopwatch{begin: time.Now()}
	ctx = httptrace.WithClientTrace(ctx, clock.trace())
	res, raw, err := receive(x.caller(), r.request.WithContext(ctx)) //nolint:bodyclose // it is closed
	r.latency = time.Since(clock.begin)
	r.response, r.timings = res, clock.timings(r.latency)
	if res == nil {
		return err
	}
	r.status = statusOf(res, raw)
	if !isGRPC(res.Header.Get("Content-Type")) {
		r.json, r.body = raw, unreadable{errors.New("body: " + r.status.Message)}
		return err
	}
	r.read(m, raw)
	return err
}

// read makes JSON of the answer's messages. What is not as the method has it is INTERNAL, as every client says.
func (r *reply) read(m *method, raw []byte) {
	messages, err := unframed(raw)
	list := make([][]byte, 0, len(messages))
	for _, wire := range messages {
		content, bad := m.decode(wire)
		if bad != nil {
			err = bad
			break
		}
		list = append(list, content)
	}
	stream := m.answersStream()
	if stream || len(list) > 1 {
		r.json = bytes.Join([][]byte{[]byte("["), bytes.Join(list, []byte(",")), []byte("]")}, nil)
	} else if len(list) == 1 {
		r.json = list[0]
	}
	if err == nil && !stream && len(list) != 1 && (r.status.Code == codeOK || len(list) > 1) {
		err = fmt.Errorf("the answer has %d messages where the method has one", len(list))
	}
	switch {
	case err != nil:
		r.body = unreadable{errors.New("body: " + err.Error())}
		if r.status.Code == codeOK {
			r.status = newGRPCStatus(codeInternal, err.Error())
		}
	case len(r.json) == 0:
		r.body = unreadable{fmt.Errorf("body: there is no message; the status is %s: %s", r.status.Name, r.status.Message)}
	default:
		if r.body, err = parseJSON(r.json); err != nil {
			r.body = unreadable{fmt.Errorf("body: %w", err)}
		}
	}
}

// joined are headers as expressions see them.
func joined(h http.Header) headerMap {
	m := headerMap{}
	for name, values := range h {
		m[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return m
}

// reflection asks the server at base what the step's service is, once in a run.
func (x *execution) reflection(ctx context.Context, st *step, values map[string]any, base string) (*descriptors, error) {
	key := base + " " + st.rpc.service
	x.mu.Lock()
	known := x.reflected[key]
	x.mu.Unlock()
	if known != nil {
		return known, nil
	}
	var answered string // the path
	d, err := reflectService(st.rpc.service, func(requests ...[]byte) (*reflectionAnswer, error) {
		paths := reflectionMethods()
		if answered != "" {
			paths = []string{answered}
		}
		for _, path := range paths {
			req, err := x.grpcRequest(st, values, base, path, framed(requests...))
			if err != nil {
				return nil, err
			}
			a, status, err := x.askReflection(ctx, req)
			if status.Code != codeUnimplemented {
				answered = path
				return a, err
			}
		}
		return nil, errors.New("the server has no reflection; give the scenario `descriptors`, or register reflection in the server")
	})
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.reflected == nil {
		x.reflected = map[string]*descriptors{}
	}
	x.reflected[key] = d
	return d, nil
}

// askReflection sends requests to the server's reflection and reads the answers.
func (x *execution) askReflection(ctx context.Context, req *http.Request) (*reflectionAnswer, GRPCStatus, error) {
	res, raw, err := receive(x.caller(), req.WithContext(ctx)) //nolint:bodyclose // it is closed
	if err != nil {
		return nil, GRPCStatus{}, fmt.Errorf("ask the server's reflection: %w", err)
	}
	status := statusOf(res, raw)
	if status.Code != codeOK {
		return nil, status, fmt.Errorf("ask the server's reflection: %s: %s", status.Name, status.Message)
	}
	messages, err := unframed(raw)
	if err != nil {
		return nil, status, fmt.Errorf("ask the server's reflection: %w", err)
	}
	answer := &reflectionAnswer{}
	for _, m := range messages {
		if err := answer.add(m); err != nil {
			return nil, status, err
		}
	}
	return answer, status, nil
}

// callBlue makes the step's call to the old release.
func (x *execution) callBlue(ctx context.Context, st *step, sc *scope, o *observation) (*exchange, error) {
	values := maps.Clone(x.values(sc, nil))
	values["base_url"] = x.o.CompareURL
	r, err := x.invoke(ctx, st, values, x.o.CompareURL)
	if err != nil {
		return nil, err
	}
	keep := o.keep
	o.keep = func(a *Attempt) {
		keep(a)
		a.Blue = x.recordReply(r)
	}
	return &exchange{req: r.request, res: r.response, grpc: &r.status, raw: r.json, body: r.body}, nil
}
