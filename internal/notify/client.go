package notify

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// errForbidden says that messages do not go to an address.
var errForbidden = errors.New("messages are not sent to that address")

const (
	// answerLimit is how long a subscriber may take (SNS guide: 15 seconds).
	answerLimit = 15 * time.Second
	// maxEndpoint bounds the URL of a subscriber, in bytes.
	maxEndpoint = 2048
)

// CheckEndpoint says what is wrong with the URL of a subscriber. Where its name leads is checked with each connection.
func CheckEndpoint(protocol, endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
		return errors.New("it is not a URL")
	case len(endpoint) > maxEndpoint:
		return fmt.Errorf("it is longer than %d bytes", maxEndpoint)
	case u.Scheme != protocol:
		return fmt.Errorf("it must begin with %s://", protocol)
	case u.Hostname() == "":
		return errors.New("it has no host")
	case u.User != nil:
		return errors.New("it must not hold a password")
	case u.Fragment != "" || strings.HasSuffix(endpoint, "#"):
		return errors.New("it must not have a fragment")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && forbidden(a) {
		return errForbidden
	}
	return nil
}

// forbidden are addresses where no subscriber is: those of link-local metadata services, and what is not one host.
// Loopback and private addresses are where the neighbours of a local installation are.
func forbidden(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || a == netip.MustParseAddr("fd00:ec2::254") ||
		a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// NewClient is a client for deliveries. It does not follow redirects, uses no proxy, and never connects to a forbidden
// address or to the API itself, whatever a name resolves to. Each delivery ends within 15 seconds.
func NewClient(api net.Addr) *http.Client {
	guard := &net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("read address: %w", err)
		}
		if forbidden(to.Addr()) || isOurs(api, to) {
			return fmt.Errorf("%s: %w", to, errForbidden)
		}
		return nil
	}}
	return &http.Client{
		Timeout:       answerLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: guard.DialContext, TLSHandshakeTimeout: 5 * time.Second, MaxIdleConnsPerHost: 1, IdleConnTimeout: 30 * time.Second,
			MaxResponseHeaderBytes: maxAnswer,
		},
	}
}

// isOurs reports whether to is the API's own listener: its port at its address, or, where it listens on all addresses,
// at any address of this machine.
func isOurs(api net.Addr, to netip.AddrPort) bool {
	tcp, ok := api.(*net.TCPAddr)
	if !ok || int(to.Port()) != tcp.Port {
		return false
	}
	own, ok := netip.AddrFromSlice(tcp.IP)
	if own = own.Unmap(); ok && !own.IsUnspecified() {
		return own == to.Addr().Unmap()
	}
	if to.Addr().Unmap().IsLoopback() {
		return true
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return true // it could not be told
	}
	for _, a := range addresses {
		if p, ok := a.(*net.IPNet); ok && p.IP.Equal(to.Addr().AsSlice()) {
			return true
		}
	}
	return false
}
