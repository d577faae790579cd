package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"greengate/internal/config"
	"greengate/internal/deploy"
)

// The two services of a controller that the command line uses.
const (
	serviceGreengate  = "greengate"
	serviceCodeDeploy = "codedeploy"
	prefixCodeDeploy  = "CodeDeploy_20141006."
)

const (
	dialLimit   = 5 * time.Second
	answerLimit = time.Minute // beyond the wait that a call asks for
	maxAnswer   = 64 << 20    // bytes
)

// client speaks JSON 1.1 with a controller.
type client struct {
	http  *http.Client
	creds config.Credentials
	now   func() time.Time
}

func newClient(creds config.Credentials, now func() time.Time) *client {
	transport := &http.Transport{
		DialContext:       (&net.Dialer{Timeout: dialLimit}).DialContext,
		ForceAttemptHTTP2: false,
	}
	return &client{
		http: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		creds: creds, now: now,
	}
}

func (c *client) close() { c.http.CloseIdleConnections() }

// call does an action of Greengate's own. out may be nil.
func (c *client) call(ctx context.Context, action string, in, out any) error {
	return c.post(ctx, request{serviceGreengate, deploy.TargetPrefix + action, in, out, answerLimit})
}

// poll is call for an action that blocks for up to wait.
func (c *client) poll(ctx context.Context, action string, wait time.Duration, in, out any) error {
	return c.post(ctx, request{serviceGreengate, deploy.TargetPrefix + action, in, out, answerLimit + wait})
}

// codedeploy does an operation of CodeDeploy.
func (c *client) codedeploy(ctx context.Context, operation string, in, out any) error {
	return c.post(ctx, request{serviceCodeDeploy, prefixCodeDeploy + operation, in, out, answerLimit})
}

type request struct {
	service, target string
	in, out         any
	limit           time.Duration
}

var errNoAnswer = errors.New("no answer in time")

func (c *client) post(ctx context.Context, q request) error {
	body, err := json.Marshal(q.in)
	if err != nil {
		return fmt.Errorf("encode request: %w", err)
	}
	limited, cancel := context.WithTimeoutCause(ctx, q.limit, errNoAnswer)
	defer cancel()
	r, err := http.NewRequestWithContext(limited, http.MethodPost, strings.TrimRight(c.creds.Endpoint, "/")+"/", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", q.target)
	sign(r, body, c.creds, q.service, c.now())
	status, answer, err := c.roundTrip(r)
	if err != nil {
		return c.lost(ctx, c.creds.Endpoint, err)
	}
	if status != http.StatusOK {
		return decodeError(status, answer)
	}
	if q.out == nil || len(bytes.TrimSpace(answer)) == 0 {
		return nil
	}
	if err := json.Unmarshal(answer, q.out); err != nil {
		return &unreachableError{endpoint: c.creds.Endpoint, sent: true, err: fmt.Errorf("decode answer: %w", err)}
	}
	return nil
}

// lost words a request that was not answered.
func (c *client) lost(ctx context.Context, endpoint string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted before the answer came: %w", context.Cause(ctx))
	}
	var dial *net.OpError
	sent := !errors.As(err, &dial) || dial.Op != "dial"
	return &unreachableError{endpoint: endpoint, sent: sent, err: plain(err)}
}

func (c *client) roundTrip(r *http.Request) (int, []byte, error) {
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return 0, nil, fmt.Errorf("read answer: %w", err)
	}
	if len(answer) > maxAnswer {
		return 0, nil, fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	return resp.StatusCode, answer, nil
}

// plain takes the method and the URL away that the message of net/http begins with.
func plain(err error) error {
	var wrapped interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) {
		return errNoAnswer
	}
	if errors.As(err, &wrapped) {
		if inner := errors.Unwrap(err); inner != nil {
			return inner
		}
	}
	return err
}

// decodeError reads an error of JSON 1.1. What is none, from a proxy between or another program, still gives its status.
func decodeError(status int, answer []byte) error {
	var shape struct {
		Type         string `json:"__type"`
		Code         string `json:"code"`
		Message      string `json:"message"`
		UpperMessage string `json:"Message"`
		Field        string `json:"field"`
	}
	e := &wireError{Status: status}
	if err := json.Unmarshal(answer, &shape); err == nil {
		e.Code, e.Message, e.Field = shape.Type, shape.Message, shape.Field
		if e.Code == "" {
			e.Code = shape.Code
		}
		if e.Message == "" {
			e.Message = shape.UpperMessage
		}
	}
	if e.Code == "" {
		e.Code = "UnknownError"
		e.Message = fmt.Sprintf("what answers there is no greengate controller (HTTP %d)", status)
	}
	return e
}

// transient reports whether asking again may help: the controller restarts, or stands behind something that says so.
func transient(err error) bool {
	if _, ok := errors.AsType[*unreachableError](err); ok {
		return true
	}
	e, ok := errors.AsType[*wireError](err)
	return ok && (e.Status == http.StatusServiceUnavailable || e.Status == http.StatusBadGateway || e.Status == http.StatusGatewayTimeout)
}
