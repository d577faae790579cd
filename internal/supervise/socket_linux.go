package supervise

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// held is a descriptor that the supervisor keeps for a role.
type held struct {
	fd    int
	addr  net.Addr // nil when it is no socket
	fixed bool     // from Config.Sockets; a role cannot remove it
}

// open makes the listening socket. The descriptor is close-on-exec and non-blocking.
func (k Socket) open(ctx context.Context) (held, error) {
	if k.Network == "unix" {
		fd, err := k.openUnix(ctx)
		if err != nil {
			return held{}, fmt.Errorf("open socket %q: %w", k.Name, err)
		}
		return held{fd: fd, addr: &net.UnixAddr{Net: "unix", Name: k.Address}, fixed: true}, nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, k.Network, k.Address)
	if errors.Is(err, unix.EADDRINUSE) {
		return held{}, fmt.Errorf("open socket %q: %s is in use: stop the program that listens there, or choose another address: %w",
			k.Name, k.Address, err)
	}
	if err != nil {
		return held{}, fmt.Errorf("open socket %q: %w", k.Name, err)
	}
	defer func() { _ = l.Close() }()
	c, ok := l.(syscall.Conn)
	if !ok {
		return held{}, fmt.Errorf("open socket %q: got a %T", k.Name, l)
	}
	fd, err := dupOf(c)
	if err != nil {
		return held{}, fmt.Errorf("open socket %q: %w", k.Name, err)
	}
	return held{fd: fd, addr: l.Addr(), fixed: true}, nil
}

func (k Socket) openUnix(ctx context.Context) (int, error) {
	if err := clearStale(ctx, k.Address); err != nil {
		return -1, err
	}
	fd, err := bindUnix(k.Address, unix.SOCK_STREAM, k.Mode)
	if err != nil {
		return -1, err
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		closeAll(fd)
		return -1, fmt.Errorf("listen on %s: %w", k.Address, err)
	}
	return fd, nil
}

// clearStale removes a unix socket on which nobody listens.
func clearStale(ctx context.Context, path string) error {
	st, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", path, err)
	}
	if st.Mode().Type() != os.ModeSocket {
		return fmt.Errorf("%s exists and is no socket: move it away", path)
	}
	c, err := DialUnix(ctx, path)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("%s is in use: stop the program that listens there, or choose another path: %w", path, unix.EADDRINUSE)
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return err
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove old socket: %w", err)
	}
	return nil
}

// matches tells whether a socket that a running role holds is the one that the configuration wants.
func (k Socket) matches(a net.Addr) bool {
	switch a := a.(type) {
	case *net.UnixAddr:
		// A long path was bound by a short name of the moment.
		return k.Network == "unix" && (a.Name == k.Address || len(k.Address) > maxSunPath)
	case *net.TCPAddr:
		if k.Network == "unix" {
			return false
		}
		want, err := net.ResolveTCPAddr(k.Network, k.Address)
		if err != nil {
			return false
		}
		sameIP := want.IP.Equal(a.IP) || (want.IP == nil || want.IP.IsUnspecified()) && a.IP.IsUnspecified()
		return sameIP && (want.Port == 0 || want.Port == a.Port)
	}
	return false
}

// addrOf reads the address of a socket; nil when fd is none of a kind that we know. net.FileListener would do the same,
// but it may flip O_NONBLOCK for a moment, which the role that accepts on the same socket shares.
func addrOf(fd int) net.Addr {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return nil
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))) //nolint:gosec // a port
	case *unix.SockaddrInet6:
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))) //nolint:gosec // a port
	case *unix.SockaddrUnix:
		return &net.UnixAddr{Net: "unix", Name: sa.Name}
	}
	return nil
}
