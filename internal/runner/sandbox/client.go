package sandbox

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

// clientPoll is how long one request of [Client.Await] and [Client.FollowLog] may wait on the server.
const clientPoll = 20 * time.Second

// Client speaks to [Manager.Handler], usually over the runner's control socket. It is safe for concurrent use.
type Client struct {
	http *http.Client
	base string
}

// NewClient returns a client for the unix socket at path. It does not connect yet.
func NewClient(path string) *Client {
	dialer := &net.Dialer{}
	return NewHTTPClient(&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
		IdleConnTimeout: time.Minute,
	}}, "http://runner")
}

// NewHTTPClient returns a client that reaches the handler at base (scheme and host, no path) through c.
func NewHTTPClient(c *http.Client, base string) *Client {
	return &Client{http: c, base: base}
}

// CloseIdle closes connections that are not in use.
func (c *Client) CloseIdle() { c.http.CloseIdleConnections() }

// Invoke accepts an invocation durably, as [Manager.Invoke].
func (c *Client) Invoke(ctx context.Context, inv Invocation) error {
	body, err := json.Marshal(inv)
	if err != nil {
		return fmt.Errorf("encode invocation: %w", err)
	}
	return c.do(ctx, http.MethodPost, "/functions/invocations", bytes.NewReader(body), nil)
}

// Result tells what is known of an invocation now, as [Manager.Result].
func (c *Client) Result(ctx context.Context, id string) (Result, error) {
	var r Result
	err := c.do(ctx, http.MethodGet, "/functions/invocations/"+url.PathEscape(id), nil, &r)
	return r, err
}

// Await returns once the invocation has a final state. A runner that cannot be reached is tried again until ctx ends:
// invocations go on while it restarts.
func (c *Client) Await(ctx context.Context, id string) (Result, error) {
	path := "/functions/invocations/" + url.PathEscape(id) + "?wait=" + clientPoll.String()
	for {
		var r Result
		err := c.do(ctx, http.MethodGet, path, nil, &r)
		switch {
		case err == nil && r.State.Final():
			return r, nil
		case ctx.Err() != nil:
			return r, fmt.Errorf("await invocation %s: %w", id, errors.Join(context.Cause(ctx), err))
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrInvalid):
			return r, err
		case err != nil:
			if err := pause(ctx, 100*time.Millisecond); err != nil {
				return r, err
			}
		}
	}
}

// Cancel ends an invocation, as [Manager.Cancel].
func (c *Client) Cancel(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodPost, "/functions/invocations/"+url.PathEscape(id)+"/cancel", nil, nil)
}

// Streams lists the log streams of a function, oldest first, as [Streams].
func (c *Client) Streams(ctx context.Context, function string) ([]string, error) {
	var out []string
	err := c.do(ctx, http.MethodGet, "/functions/logs/"+url.PathEscape(function), nil, &out)
	return out, err
}

// Logged lists the functions that have a log, as [Logged].
func (c *Client) Logged(ctx context.Context) ([]string, error) {
	var out []string
	err := c.do(ctx, http.MethodGet, "/functions/logs", nil, &out)
	return out, err
}

// DeleteLog removes what a function has printed so far, as [Manager.DeleteLog].
func (c *Client) DeleteLog(ctx context.Context, function, stream string, before time.Time) error {
	q := url.Values{"stream": {stream}}
	if !before.IsZero() {
		q.Set("before", strconv.FormatInt(before.UnixMilli(), 10))
	}
	return c.do(ctx, http.MethodDelete, "/functions/logs/"+url.PathEscape(function)+"?"+q.Encode(), nil, nil)
}

// ReadLog reads events of a stream from a position on, as [ReadLog].
func (c *Client) ReadLog(ctx context.Context, function, stream string, since int64) (LogPage, error) {
	return c.readLog(ctx, function, stream, since, 0)
}

// FollowLog calls fn for each event from a position on until ctx ends or fn returns an error.
func (c *Client) FollowLog(ctx context.Context, function, stream string, since int64, fn func(LogEvent) error) error {
	for {
		page, err := c.readLog(ctx, function, stream, since, clientPoll)
		if err != nil {
			return err
		}
		for _, e := range page.Events {
			if err := fn(e); err != nil {
				return err
			}
		}
		since = page.Next
	}
}

func (c *Client) readLog(ctx context.Context, function, stream string, since int64, wait time.Duration) (LogPage, error) {
	q := url.Values{"stream": {stream}, "since": {strconv.FormatInt(since, 10)}, "wait": {wait.String()}}
	var page LogPage
	err := c.do(ctx, http.MethodGet, "/functions/logs/"+url.PathEscape(function)+"/events?"+q.Encode(), nil, &page)
	return page, err
}

// fault is the body of an unsuccessful answer.
type fault struct {
	Code    string `json:"code"` // "invalid", "not_found", "closed", "internal"
	Message string `json:"message"`
}

func (c *Client) do(ctx context.Context, method, path string, body io.Reader, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("build request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("call runner: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusBadRequest {
		return readFault(resp)
	}
	if into == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	} else {
		err = json.NewDecoder(resp.Body).Decode(into)
	}
	if err != nil {
		return fmt.Errorf("read answer of runner: %w", err)
	}
	return nil
}

func readFault(resp *http.Response) error {
	var f fault
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&f); err != nil {
		return fmt.Errorf("runner answered %s without a reason", resp.Status)
	}
	for code, sentinel := range faultCodes {
		if code == f.Code {
			return &remoteError{message: f.Message, is: sentinel}
		}
	}
	return &remoteError{message: f.Message}
}

// faultCodes is the one table of codes on the control socket.
var faultCodes = map[string]error{"invalid": ErrInvalid, "not_found": ErrNotFound, "closed": ErrClosed}

// remoteError carries the server's message and matches its sentinel.
type remoteError struct {
	message string
	is      error
}

func (e *remoteError) Error() string { return e.message }
func (e *remoteError) Unwrap() error { return e.is }

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
