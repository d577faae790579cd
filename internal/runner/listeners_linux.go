package runner

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// listener is a listening TCP socket of the machine.
type listener struct {
	addr  netip.AddrPort
	inode string
}

// everywhere reports a socket that listens on all addresses.
func (l listener) everywhere() bool { return l.addr.Addr().IsUnspecified() }

// listenersOn lists the sockets that listen on the port, of the network namespace of process pid.
func listenersOn(pid, port int) ([]listener, error) {
	var list []listener
	for _, file := range []string{"tcp", "tcp6"} {
		data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/net/" + file) //nolint:gosec // a file of the kernel
		if errors.Is(err, os.ErrNotExist) && file == "tcp6" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list sockets: %w", err)
		}
		list = append(list, parseListeners(data, port)...)
	}
	return list, nil
}

const tcpListen = "0A"

// parseListeners parses /proc/net/tcp or tcp6, keeping sockets that listen on the port.
func parseListeners(data []byte, port int) []listener {
	var list []listener
	for line := range bytes.Lines(data) {
		f := strings.Fields(string(line))
		if len(f) < 10 || f[3] != tcpListen {
			continue
		}
		host, p, ok := strings.Cut(f[1], ":")
		n, err := strconv.ParseUint(p, 16, 16)
		if !ok || err != nil || int(n) != port {
			continue
		}
		if addr, ok := parseProcAddr(host); ok {
			list = append(list, listener{addr: netip.AddrPortFrom(addr, uint16(n)), inode: f[9]})
		}
	}
	return list
}

// parseProcAddr parses an address as the kernel prints it: 32-bit words in host byte order (little endian on all
// machines that Go's Linux ports of ours run on).
func parseProcAddr(text string) (netip.Addr, bool) {
	raw, err := hex.DecodeString(text)
	if err != nil || (len(raw) != 4 && len(raw) != 16) {
		return netip.Addr{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	addr, ok := netip.AddrFromSlice(raw)
	return addr, ok
}

// holds reports whether the process has the socket open. known is false when that may not be looked at.
func holds(pid int, inode string) (yes, known bool) {
	dir := "/proc/" + strconv.Itoa(pid) + "/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, errors.Is(err, os.ErrNotExist)
	}
	want := "socket:[" + inode + "]"
	for _, e := range entries {
		if target, err := os.Readlink(dir + "/" + e.Name()); err == nil && target == want {
			return true, true
		}
	}
	return false, true
}

// holder finds a process that has the socket open; 0 when none can be seen.
func holder(inode string) int {
	all, err := processes()
	if err != nil {
		return 0
	}
	for _, ps := range all {
		if yes, _ := holds(ps.pid, inode); yes {
			return ps.pid
		}
	}
	return 0
}

// portView is who listens where a unit should.
type portView struct {
	mine       bool     // a process of the unit listens on its address and port, or this cannot be known
	everywhere bool     // and it does so on all addresses
	foreign    listener // somebody else's socket that takes the unit's connections or its port
	pid        int      // its process; 0 if not seen or none
}

// viewPort looks who listens at addr:port, seen from a unit whose living processes are members.
func viewPort(members []procStat, netOf int, addr netip.Addr, port int) (portView, error) {
	list, err := listenersOn(netOf, port)
	if err != nil {
		return portView{}, err
	}
	var v portView
	for _, l := range list {
		if !l.everywhere() && l.addr.Addr().Unmap() != addr.Unmap() {
			continue
		}
		owned, known := ownedBy(members, l.inode)
		switch {
		case owned:
			v.mine = true
			v.everywhere = v.everywhere || l.everywhere()
		case !known:
			v.mine = true
		default:
			v.foreign = l
		}
	}
	if !v.mine && v.foreign.inode != "" {
		v.pid = holder(v.foreign.inode)
	}
	return v, nil
}

func ownedBy(members []procStat, inode string) (owned, known bool) {
	known = true
	for _, ps := range members {
		yes, ok := holds(ps.pid, inode)
		if yes {
			return true, true
		}
		known = known && ok
	}
	return false, known
}
