package runner

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
)

// Range of ports given out: below the usual range of outgoing connections (32768 on Linux).
const (
	firstPort = 20000
	portCount = 10000
)

// addressBook gives out addresses and ports, each to one living unit.
type addressBook struct {
	loopback  netip.Prefix
	namespace netip.Prefix

	mu    sync.Mutex
	next  uint32 // in loopback
	nets  uint32 // next block of four addresses in namespace
	port  int
	used  map[netip.Addr]string // to unit ID
	ports map[int]int           // number of units that have it
}

// newAddressBook begins at a place that depends on the installation and on chance: two installations on one machine
// rarely meet, and an address that was given up is not given out again soon, also not by the next runner.
func newAddressBook(loopback, namespace netip.Prefix, installation string) *addressBook {
	sum := sha256.Sum256([]byte(installation))
	near := rand.Uint32N(1 << 14) //nolint:gosec // no secret
	return &addressBook{
		loopback:  loopback.Masked(),
		namespace: namespace.Masked(),
		next:      binary.BigEndian.Uint32(sum[0:])&^(1<<14-1) + near,
		nets:      binary.BigEndian.Uint32(sum[4:]) + near,
		port:      int(near) % portCount,
		used:      map[netip.Addr]string{},
		ports:     map[int]int{},
	}
}

var errNoAddress = errors.New("no free address")

// take finds address and port for a unit.
func (b *addressBook) take(ctx context.Context, spec *Spec) (netip.Addr, int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	addr, err := b.findAddrLocked(ctx, spec)
	if err != nil {
		return addr, 0, err
	}
	port := spec.Port
	if port == 0 && spec.NeedPort {
		if port, err = b.findPortLocked(ctx, addr, spec.Network == NetworkNamespace); err != nil {
			return addr, 0, err
		}
	}
	b.holdLocked(spec, addr, port)
	return addr, port, nil
}

// hold notes what a unit of the journal has.
func (b *addressBook) hold(spec *Spec, addr netip.Addr, port int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holdLocked(spec, addr, port)
}

func (b *addressBook) holdLocked(spec *Spec, addr netip.Addr, port int) {
	if spec.Address == "" {
		b.used[addr] = spec.ID
	}
	if port != 0 {
		b.ports[port]++
	}
}

// release gives back what a unit had.
func (b *addressBook) release(spec *Spec, addr netip.Addr, port int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used[addr] == spec.ID {
		delete(b.used, addr)
	}
	if b.ports[port]--; b.ports[port] <= 0 {
		delete(b.ports, port)
	}
}

func (b *addressBook) findAddrLocked(ctx context.Context, spec *Spec) (netip.Addr, error) {
	if spec.Address != "" {
		return netip.ParseAddr(spec.Address)
	}
	if spec.Network == NetworkNamespace {
		return b.findBlockLocked()
	}
	size := prefixSize(b.loopback)
	taken := 0
	for range min(size, 1<<16) {
		addr := nth(b.loopback, b.next%size)
		b.next++
		last := addr.As4()[3]
		if last == 0 || last == 255 || b.used[addr] != "" {
			continue
		}
		if canBind(ctx, addr, spec.Port) {
			return addr, nil
		}
		// Somebody listens on every address at this port: no other address helps. The unit will fail, and its
		// reason names the holder.
		if taken++; taken > 8 && canBind(ctx, addr, 0) {
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%w in %s", errNoAddress, b.loopback)
}

// findBlockLocked finds a free /30: the first address after its own is the host's end, the second the unit's.
func (b *addressBook) findBlockLocked() (netip.Addr, error) {
	blocks := prefixSize(b.namespace) / 4
	for range blocks {
		addr := nth(b.namespace, b.nets%blocks*4+2)
		b.nets++
		if b.used[addr] == "" {
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%w in %s", errNoAddress, b.namespace)
}

func (b *addressBook) findPortLocked(ctx context.Context, addr netip.Addr, elsewhere bool) (int, error) {
	for range portCount {
		port := firstPort + b.port%portCount
		b.port++
		if b.ports[port] == 0 && (elsewhere || canBind(ctx, addr, port)) {
			return port, nil
		}
	}
	return 0, fmt.Errorf("%w: no free port on %s", errNoAddress, addr)
}

// canBind reports whether a program could listen there now; port 0 asks for the address alone.
func canBind(ctx context.Context, addr netip.Addr, port int) bool {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(addr.String(), strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func prefixSize(p netip.Prefix) uint32 {
	return 1 << min(32-p.Bits(), 31) // validated: an IPv4 prefix of 1 to 30 bits
}

func nth(p netip.Prefix, n uint32) netip.Addr {
	a := p.Addr().As4()
	var out [4]byte
	binary.BigEndian.PutUint32(out[:], binary.BigEndian.Uint32(a[:])+n)
	return netip.AddrFrom4(out)
}
