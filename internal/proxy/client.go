package proxy

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
	"time"
)

// Ack is given when every new request is already routed by the table of this version.
type Ack struct {
	Version   int64         `json:"version"`
	Listeners []ListenerAck `json:"listeners"`
}

// ListenerAck tells the address that a listener is bound to, or why it is not. Only a listener that was in the
// table before can be acknowledged with an error (its address was taken while the data plane was away; it is tried
// again each second): a new one that cannot be opened makes Apply fail.
type ListenerAck struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Bound   string `json:"bound,omitempty"`
	Error   string `json:"error,omitempty"`
}

// Status is a snapshot of the data plane.
type Status struct {
	Version   int64            `json:"version"`
	Listeners []ListenerStatus `json:"listeners"`
	// Groups are those of the table and those that left it with requests still in flight.
	Groups []GroupStatus `json:"groups"`
	// Errors counts, since the start of the process, the answers that the data plane gave itself, by kind.
	Errors map[string]uint64 `json:"errors"`
}

// ListenerStatus tells one listener.
type ListenerStatus struct {
	ListenerAck
	Connections int `json:"connections"`
}

// GroupStatus counts what is in flight in one group. A stream is an upgraded connection, an event stream, a gRPC
// response, or a response of unknown length that has been running for 5 s; everything else is a request.
type GroupStatus struct {
	Name     string         `json:"name"`
	InTable  bool           `json:"in_table"`
	Requests int            `json:"requests"`
	Streams  int            `json:"streams"`
	Draining bool           `json:"draining"`
	Targets  []TargetStatus `json:"targets"`
}

// States of a target.
const (
	TargetUp      = "up"
	TargetDown    = "down"    // by the table
	TargetSuspect = "suspect" // a connect failed; it is avoided for a short while
	TargetGone    = "gone"    // left the table with requests in flight
)

// TargetStatus tells one target.
type TargetStatus struct {
	ID       string `json:"id"`
	Address  string `json:"address"`
	State    string `json:"state"`
	InFlight int    `json:"in_flight"`
}

// DrainStatus tells how much of a group is left.
type DrainStatus struct {
	Group string `json:"group"`
	// Known is false for a group that the data plane does not have (any more); then nothing is in flight in it.
	Known    bool `json:"known"`
	Requests int  `json:"requests"`
	Streams  int  `json:"streams"`
	// Done means that nothing is left.
	Done bool `json:"done"`
	// Deadline is when the rest will be closed.
	Deadline time.Time `json:"deadline"`
}

// Client speaks to the control socket of a data plane. It is safe for concurrent use.
type Client struct {
	http *http.Client
}

// NewClient returns a client for the unix socket at path, which must fit into a socket address (107 bytes). It
// connects on the first call.
func NewClient(path string) *Client {
	dialer := &net.Dialer{}
	return NewHTTPClient(&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     10 * time.Second,
	}})
}

// NewHTTPClient returns a client whose connections c makes; whatever address they are asked for, they must lead to
// the control socket.
func NewHTTPClient(c *http.Client) *Client { return &Client{http: c} }

// Close closes idle connections to the control socket. The client can still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Apply replaces the table. Versions rise strictly: the current version with the same content is acknowledged again,
// anything else that is not higher fails with a [StaleError]; a listener that cannot be opened with a [ListenError];
// a table with faults with [ErrInvalidTable]. After an error the old table is in force. An error that is
// none of these (the connection broke) leaves it open whether the table was applied: apply it again.
func (c *Client) Apply(ctx context.Context, t Table) (Ack, error) {
	var ack Ack
	err := c.call(ctx, http.MethodPut, "/v1/table", t, &ack)
	return ack, err
}

// Table tells the table in force; before the first Apply its version is 0.
func (c *Client) Table(ctx context.Context) (Table, error) {
	var t Table
	err := c.call(ctx, http.MethodGet, "/v1/table", nil, &t)
	return t, err
}

// Status tells what is in flight.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// Drain begins to drain a group and returns at once: when limit is over, what is left of its requests and streams is
// closed. Call it again to watch it; a later call can bring the deadline forward, never put it off. A group that still
// has weight is refused with [ErrGroupRouted], and a table that gives a draining group weight again ends its drain.
func (c *Client) Drain(ctx context.Context, group string, limit time.Duration) (DrainStatus, error) {
	var s DrainStatus
	err := c.call(ctx, http.MethodPost, "/v1/groups/"+url.PathEscape(group)+"/drain", drainRequest{Limit: limit}, &s)
	return s, err
}

// Ledger reads a ledger; [ErrNotFound] when there is none of that name.
func (c *Client) Ledger(ctx context.Context, name string) (Ledger, error) {
	var l Ledger
	err := c.call(ctx, http.MethodGet, "/v1/ledgers/"+url.PathEscape(name), nil, &l)
	return l, err
}

// Meters reads the counters of everything that was served since the start of the process.
func (c *Client) Meters(ctx context.Context) (Meters, error) {
	var m Meters
	err := c.call(ctx, http.MethodGet, "/v1/meters", nil, &m)
	return m, err
}

// Shadow copies requests as the spec says, until its lease is over, and takes the pairs that are there. It must be called
// again before that; a data plane that was restarted meanwhile begins anew. [ErrNotFound] when there is no group From.
func (c *Client) Shadow(ctx context.Context, id string, spec ShadowSpec) (ShadowBatch, error) {
	var b ShadowBatch
	err := c.call(ctx, http.MethodPut, "/v1/shadows/"+url.PathEscape(id), spec, &b)
	return b, err
}

// EndShadow stops copying; pairs that were not taken are lost. It is idempotent.
func (c *Client) EndShadow(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/v1/shadows/"+url.PathEscape(id), nil, &struct{}{})
}

// Shadows tells the counters of all shadows, and takes no pairs.
func (c *Client) Shadows(ctx context.Context) ([]ShadowBatch, error) {
	var list []ShadowBatch
	err := c.call(ctx, http.MethodGet, "/v1/shadows", nil, &list)
	return list, err
}

type drainRequest struct {
	Limit time.Duration `json:"limit"`
}

// wireError is how an error crosses the control socket.
type wireError struct {
	Code     string `json:"code"`
	Message  string `json:"message"`
	Offered  int64  `json:"offered,omitempty"`
	Current  int64  `json:"current,omitempty"`
	Listener string `json:"listener,omitempty"`
	Address  string `json:"address,omitempty"`
}

const (
	codeStale    = "stale"
	codeListen   = "listen"
	codeInvalid  = "invalid_table"
	codeRouted   = "group_routed"
	codeNotFound = "not_found"
	codeLedger   = "ledger"
	codeBadInput = "bad_request"
	codeInternal = "internal"
)

// decode turns an error that came over the socket into what errors.Is and errors.As know.
func (e wireError) decode() error {
	switch e.Code {
	case codeStale:
		return &StaleError{Offered: e.Offered, Current: e.Current}
	case codeListen:
		return &ListenError{Listener: e.Listener, Address: e.Address, Reason: e.Message}
	case codeInvalid:
		return remoteError{e.Message, ErrInvalidTable}
	case codeRouted:
		return remoteError{e.Message, ErrGroupRouted}
	case codeNotFound:
		return remoteError{e.Message, ErrNotFound}
	case codeLedger:
		return remoteError{e.Message, ErrLedger}
	}
	return errors.New(e.Message)
}

// remoteError keeps the message of the data plane and what kind of error it was.
type remoteError struct {
	message string
	kind    error
}

func (e remoteError) Error() string { return e.message }
func (e remoteError) Unwrap() error { return e.kind }

const maxReply = 64 << 20

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request to the data plane: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://proxy"+path, body)
	if err != nil {
		return fmt.Errorf("make request to the data plane: %w", err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("call the data plane: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err != nil {
		return fmt.Errorf("read answer of the data plane: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		var we wireError
		if err := json.Unmarshal(b, &we); err != nil || we.Message == "" {
			return fmt.Errorf("data plane answered %s to %s %s", resp.Status, method, path)
		}
		return we.decode()
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("decode answer of the data plane: %w", err)
	}
	return nil
}
