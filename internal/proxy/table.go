package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"greengate/internal/lazyregexp"
)

// Protocols of a [Group].
const (
	// ProtocolHTTP1 is HTTP/1.1, the default.
	ProtocolHTTP1 = "http1"
	// ProtocolH2C is HTTP/2 without TLS, by prior knowledge.
	ProtocolH2C = "h2c"
)

// HeaderTaskSet names the group that served a response, on listeners with NameTarget.
const HeaderTaskSet = "X-Greengate-Task-Set"

// Defaults of [Limits] and [Group]: what a zero stands for.
const (
	DefaultHeaderTimeout   = 10 * time.Second
	DefaultIdleTimeout     = 75 * time.Second
	DefaultMaxHeaderBytes  = 64 << 10
	DefaultConnectTimeout  = 2 * time.Second
	DefaultResponseTimeout = 60 * time.Second
)

const (
	maxGroupName  = 200
	maxLedgerName = 100
	maxWeight     = 100
)

// Table is everything that the data plane serves. It is replaced whole and is immutable once applied. Durations are
// nanoseconds in JSON.
type Table struct {
	// Version rises with each change. The first is 1.
	Version   int64      `json:"version"`
	Listeners []Listener `json:"listeners,omitempty"`
	Groups    []Group    `json:"groups,omitempty"`
}

// Listener is one address that clients connect to. Names and addresses are unique within a table.
type Listener struct {
	Name string `json:"name"`
	// Address is IP:port or :port. Port 0 lets the kernel choose (see [ListenerAck]).
	Address string `json:"address"`
	// Rules are tried in rising priority before Action, which is for requests that none of them applies to.
	Rules  []Rule `json:"rules,omitempty"`
	Action Action `json:"action"`
	// Ledger names the ledger that counts this listener's requests; several listeners may share one. Empty counts nowhere.
	Ledger string `json:"ledger,omitempty"`
	Limits Limits `json:"limits"`
	// NameTarget adds the response header X-Greengate-Task-Set with the name of the group.
	NameTarget bool `json:"name_target,omitempty"`
}

// Action says what happens to a request: one of Forward, Fixed and Redirect. Forward with a total weight of 0, or without
// a usable target, answers 503 with a short text.
type Action struct {
	Forward  []Weight  `json:"forward,omitempty"`
	Fixed    *Fixed    `json:"fixed,omitempty"`
	Redirect *Redirect `json:"redirect,omitempty"`
}

// Weight is the share of one group, 0 to 100, relative to the sum of the weights.
type Weight struct {
	Group  string `json:"group"`
	Weight int    `json:"weight"`
}

// Fixed is an answer that needs no target.
type Fixed struct {
	Status      int    `json:"status"` // 200 to 599
	ContentType string `json:"content_type,omitempty"`
	Body        string `json:"body,omitempty"`
}

// Group is a set of targets that serve the same version.
type Group struct {
	Name    string   `json:"name"` // 1 to 200 visible ASCII characters
	Targets []Target `json:"targets,omitempty"`
	// Protocol is "http1" (default) or "h2c".
	Protocol string `json:"protocol,omitempty"`
	// ConnectTimeout bounds one connect; 0 = 2 s.
	ConnectTimeout time.Duration `json:"connect_timeout,omitempty"`
	// ResponseTimeout bounds the time from the last byte of the request to the head of the response, and the time for
	// which a target may read nothing of a request; 0 = 60 s. The body of a response may pause for as long as it likes.
	ResponseTimeout time.Duration `json:"response_timeout,omitempty"`
}

// Target is one address of a group.
type Target struct {
	ID      string `json:"id"`
	Address string `json:"address"` // host:port
	// Down targets get no new requests.
	Down bool `json:"down,omitempty"`
}

// Limits protect a listener. A zero stands for the default.
type Limits struct {
	// HeaderTimeout bounds the time from the first byte of a request to the end of its head (408); 0 = 10 s.
	HeaderTimeout time.Duration `json:"header_timeout,omitempty"`
	// IdleTimeout closes a connection that waits for its next request, and one whose client neither sends the body
	// that it promised (408) nor reads its response for so long; 0 = 75 s. Upgraded connections may idle.
	IdleTimeout time.Duration `json:"idle_timeout,omitempty"`
	// RequestTimeout bounds the time for a whole request body to arrive (408); 0 = no bound but IdleTimeout for a pause.
	RequestTimeout time.Duration `json:"request_timeout,omitempty"`
	// MaxHeaderBytes bounds request line and fields together (431); 0 = 64 KiB.
	MaxHeaderBytes int `json:"max_header_bytes,omitempty"`
	// MaxBodyBytes bounds a request body (413); 0 = no bound: bodies are streamed, never buffered.
	MaxBodyBytes int64 `json:"max_body_bytes,omitempty"`
}

func (l Limits) withDefaults() Limits {
	if l.HeaderTimeout == 0 {
		l.HeaderTimeout = DefaultHeaderTimeout
	}
	if l.IdleTimeout == 0 {
		l.IdleTimeout = DefaultIdleTimeout
	}
	if l.MaxHeaderBytes == 0 {
		l.MaxHeaderBytes = DefaultMaxHeaderBytes
	}
	return l
}

func (g Group) withDefaults() Group {
	if g.Protocol == "" {
		g.Protocol = ProtocolHTTP1
	}
	if g.ConnectTimeout == 0 {
		g.ConnectTimeout = DefaultConnectTimeout
	}
	if g.ResponseTimeout == 0 {
		g.ResponseTimeout = DefaultResponseTimeout
	}
	return g
}

// equal compares what two tables say; nil and empty lists are the same.
func (t Table) equal(o Table) bool {
	a, errA := json.Marshal(t)
	b, errB := json.Marshal(o)
	return errA == nil && errB == nil && string(a) == string(b)
}

// faults collects what is wrong, so that a caller sees all of it at once.
type faults []error

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

// Validate tells all faults of the table at once (errors.Join), or nil.
func (t Table) Validate() error {
	var f faults
	if t.Version < 1 {
		f.add("table version %d: must be at least 1", t.Version)
	}
	groups := make(map[string]bool, len(t.Groups))
	for _, g := range t.Groups {
		if groups[g.Name] {
			f.add("group %q: name is used twice", g.Name)
		}
		groups[g.Name] = true
		g.validate(&f)
	}
	names, addresses := map[string]bool{}, map[string]bool{}
	for _, l := range t.Listeners {
		if names[l.Name] {
			f.add("listener %q: name is used twice", l.Name)
		}
		if addresses[l.Address] {
			f.add("listener %q: address %s is used twice", l.Name, l.Address)
		}
		names[l.Name], addresses[l.Address] = true, true
		l.validate(&f, groups)
	}
	return errors.Join(f...)
}

func (g Group) validate(f *faults) {
	if !visibleASCII(g.Name, maxGroupName) {
		f.add("group %q: name must be 1 to %d visible ASCII characters", g.Name, maxGroupName)
	}
	if g.Protocol != "" && g.Protocol != ProtocolHTTP1 && g.Protocol != ProtocolH2C {
		f.add("group %q: protocol %q is not %q or %q", g.Name, g.Protocol, ProtocolHTTP1, ProtocolH2C)
	}
	if g.ConnectTimeout < 0 || g.ResponseTimeout < 0 {
		f.add("group %q: a timeout is negative", g.Name)
	}
	ids := make(map[string]bool, len(g.Targets))
	for _, t := range g.Targets {
		if t.ID == "" {
			f.add("group %q: target %s has no id", g.Name, t.Address)
		}
		if ids[t.ID] {
			f.add("group %q: target id %q is used twice", g.Name, t.ID)
		}
		ids[t.ID] = true
		host, port, err := net.SplitHostPort(t.Address)
		if err != nil || host == "" || !validPort(port) || port == "0" {
			f.add("group %q: target %q: address %q is not host:port", g.Name, t.ID, t.Address)
		}
	}
}

func (l Listener) validate(f *faults, groups map[string]bool) {
	if l.Name == "" {
		f.add("listener on %q has no name", l.Address)
	}
	host, port, err := net.SplitHostPort(l.Address)
	_, ipErr := netip.ParseAddr(host)
	if err != nil || !validPort(port) || (host != "" && ipErr != nil) {
		f.add("listener %q: address %q is not IP:port or :port", l.Name, l.Address)
	}
	if l.Ledger != "" && !validLedgerName(l.Ledger) {
		f.add("listener %q: ledger name %q must be 1 to %d of A-Z a-z 0-9 . _ - and not start with a dot",
			l.Name, l.Ledger, maxLedgerName)
	}
	l.Action.validate(f, l.place(), groups)
	l.validateRules(f, groups)
	l.Limits.validate(f, l.Name)
}

func (a Action) validate(f *faults, at place, groups map[string]bool) {
	kinds := 0
	for _, set := range []bool{len(a.Forward) > 0, a.Fixed != nil, a.Redirect != nil} {
		if set {
			kinds++
		}
	}
	if kinds > 1 {
		f.add("%s: action has more than one of forward, fixed and redirect", at)
	}
	seen := make(map[string]bool, len(a.Forward))
	for _, w := range a.Forward {
		if !groups[w.Group] {
			f.add("%s: forwards to group %q, which the table does not have", at, w.Group)
		}
		if seen[w.Group] {
			f.add("%s: forwards to group %q twice", at, w.Group)
		}
		seen[w.Group] = true
		if w.Weight < 0 || w.Weight > maxWeight {
			f.add("%s: weight %d of group %q is not 0 to %d", at, w.Weight, w.Group, maxWeight)
		}
	}
	if a.Fixed != nil {
		a.Fixed.validate(f, at)
	}
	if a.Redirect != nil {
		a.Redirect.validate(f, at)
	}
}

func (x Fixed) validate(f *faults, at place) {
	if x.Status < 200 || x.Status > 599 {
		f.add("%s: fixed status %d is not 200 to 599", at, x.Status)
	}
	if !validFieldValue([]byte(x.ContentType)) {
		f.add("%s: fixed content type %q has control characters", at, x.ContentType)
	}
}

func (l Limits) validate(f *faults, listener string) {
	if l.HeaderTimeout < 0 || l.IdleTimeout < 0 || l.RequestTimeout < 0 || l.MaxHeaderBytes < 0 || l.MaxBodyBytes < 0 {
		f.add("listener %q: a limit is negative", listener)
	}
}

var ledgerName = lazyregexp.New(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)

func validLedgerName(s string) bool { return len(s) <= maxLedgerName && ledgerName.MatchString(s) }

func validPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func visibleASCII(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// validFieldValue tells whether b may stand in a field line: no control characters but the tab (RFC 9110 5.5).
func validFieldValue(b []byte) bool {
	for _, c := range b {
		if (c < ' ' && c != '\t') || c == 0x7f {
			return false
		}
	}
	return true
}
