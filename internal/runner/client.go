package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxBody bounds requests and answers of the control socket.
const maxBody = 16 << 20

// Client talks to a runner over its control socket. It is safe for concurrent use.
type Client struct {
	http *http.Client
}

// NewClient returns a client of the runner that listens on the unix socket socketPath. It does not connect yet.
func NewClient(socketPath string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialUnix(ctx, socketPath)
	}
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext:         dial,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     30 * time.Second,
	}}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ensure makes the unit exist: it returns after the record is durable and the first start was attempted. It is
// idempotent by Spec.ID. Faults that trying again does not mend match ErrPermanent; the unit is then in state failed,
// and another Ensure tries again. A service whose start met a passing fault is in state backoff, without an error.
func (c *Client) Ensure(ctx context.Context, spec Spec) (Status, error) {
	var st Status
	err := c.call(ctx, request{method: http.MethodPost, path: "/v1/units", in: spec, out: &st})
	return st, err
}

// Get returns the status of one unit, or ErrNotFound.
func (c *Client) Get(ctx context.Context, id string) (Status, error) {
	var st Status
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/unit", query: url.Values{"id": {id}}, out: &st})
	return st, err
}

// List returns the units of a group, or all when group is empty, sorted by ID.
func (c *Client) List(ctx context.Context, group string) ([]Status, error) {
	var sts []Status
	err := c.call(ctx, request{method: http.MethodGet, path: "/v1/units", query: url.Values{"group": {group}}, out: &sts})
	return sts, err
}

// Stop begins to stop a unit: SIGTERM, Grace, SIGKILL of all descendants. The wish is durable when it returns. It is
// idempotent; an unknown or ended unit is no error.
func (c *Client) Stop(ctx context.Context, id string) error {
	return c.call(ctx, request{method: http.MethodPost, path: "/v1/unit/stop", query: url.Values{"id": {id}}})
}

// StopAll stops every unit and returns when all have ended.
func (c *Client) StopAll(ctx context.Context) error {
	return c.call(ctx, request{method: http.MethodPost, path: "/v1/stop-all"})
}

// Forget removes the record of a unit that has ended; ErrBusy if it has not. Its log stays. Unknown units are no error.
func (c *Client) Forget(ctx context.Context, id string) error {
	return c.call(ctx, request{method: http.MethodPost, path: "/v1/unit/forget", query: url.Values{"id": {id}}})
}

// Restart ends the main process of a service (SIGTERM, Grace, SIGKILL) and starts it again at once.
func (c *Client) Restart(ctx context.Context, id string) error {
	return c.call(ctx, request{method: http.MethodPost, path: "/v1/unit/restart", query: url.Values{"id": {id}}})
}

// Wait returns the status of a unit when it has ended. A restart of the runner meanwhile is an error; ask again.
func (c *Client) Wait(ctx context.Context, id string) (Status, error) {
	for {
		var st Status
		err := c.call(ctx, request{method: http.MethodGet, path: "/v1/unit/wait", query: url.Values{"id": {id}}, out: &st})
		if err != nil || st.State.Ended() {
			return st, err
		}
	}
}

// changes is the answer to a watch.
type changes struct {
	Statuses []Status `json:"statuses"`
	Next     uint64   `json:"next"`
}

// Watch returns the statuses that changed after since, and the value to pass next time. With since 0, or one of an
// earlier runner, it returns all units at once; else it waits up to about 30 s and may return none.
func (c *Client) Watch(ctx context.Context, since uint64) ([]Status, uint64, error) {
	var ch changes
	q := url.Values{"since": {strconv.FormatUint(since, 10)}}
	if err := c.call(ctx, request{method: http.MethodGet, path: "/v1/watch", query: q, out: &ch}); err != nil {
		return nil, since, err
	}
	return ch.Statuses, ch.Next, nil
}

// Logs streams a unit's log lines ("<RFC 3339 time> stdout|stderr F|P text"). The caller closes the stream.
func (c *Client) Logs(ctx context.Context, id string, query LogQuery) (io.ReadCloser, error) {
	q := url.Values{
		"id":     {id},
		"tail":   {strconv.Itoa(query.Tail)},
		"offset": {strconv.FormatInt(query.Offset, 10)},
		"follow": {strconv.FormatBool(query.Follow)},
	}
	res, err := c.do(ctx, request{method: http.MethodGet, path: "/v1/unit/logs", query: q})
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// request is one call of the control interface: in is sent as JSON, the answer is read into out; both may be nil.
type request struct {
	method string
	path   string
	query  url.Values
	in     any
	out    any
}

func (c *Client) call(ctx context.Context, r request) error {
	out := r.out
	res, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if out == nil {
		_, err = io.Copy(io.Discard, io.LimitReader(res.Body, maxBody))
		return err
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("read answer of runner: %w", err)
	}
	return nil
}

// do sends a request and turns every answer but a success into an error.
func (c *Client) do(ctx context.Context, r request) (*http.Response, error) {
	var body io.Reader
	if r.in != nil {
		data, err := json.Marshal(r.in)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(data)
	}
	target := url.URL{Scheme: "http", Host: "runner", Path: r.path, RawQuery: r.query.Encode()}
	req, err := http.NewRequestWithContext(ctx, r.method, target.String(), body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call runner: %w", err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	return nil, decodeError(res)
}

func decodeError(res *http.Response) error {
	e := &Error{}
	err := json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(e)
	if err != nil || e.Message == "" {
		return errors.Join(fmt.Errorf("runner answered %s", res.Status), err)
	}
	return e
}
