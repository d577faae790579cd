package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// linkName is the host's end of a unit's veth pair: at most 15 bytes, the same for the same unit.
func linkName(installation, id string) string {
	sum := sha256.Sum256([]byte(installation + "\x00" + id))
	return "gg" + hex.EncodeToString(sum[:6])
}

// connectNamespace connects the network namespace of process pid, which waits, with the host: a veth pair whose inner
// end has the unit's address and whose outer end has the one before it, a /30. The pair ends with the namespace, that
// is with the last process in it, so nothing has to be taken over after a restart of the runner.
func connectNamespace(installation, id, address string, pid int) error {
	inner, err := netip.ParseAddr(address)
	if err != nil {
		return fmt.Errorf("connect namespace: %w", err)
	}
	name := linkName(installation, id)
	removeLink(installation, id) // of an earlier process, that the kernel has not cleared away yet
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsPid(pid)}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("make veth pair: %w", err)
	}
	if err := connectEnds(name, inner, pid); err != nil {
		removeLink(installation, id)
		return err
	}
	return nil
}

func connectEnds(name string, inner netip.Addr, pid int) error {
	host, err := netlink.NewHandle()
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer host.Close()
	outer := inner.Prev()
	if err := raise(host, name, outer); err != nil {
		return err
	}
	ns, err := netns.GetFromPath("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		return fmt.Errorf("open namespace: %w", err)
	}
	defer func() { _ = ns.Close() }()
	inside, err := netlink.NewHandleAt(ns)
	if err != nil {
		return fmt.Errorf("open netlink in namespace: %w", err)
	}
	defer inside.Close()
	lo, err := inside.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := inside.LinkSetUp(lo); err != nil {
		return fmt.Errorf("raise lo: %w", err)
	}
	if err := raise(inside, "eth0", inner); err != nil {
		return err
	}
	route := &netlink.Route{Gw: net.IP(outer.AsSlice())}
	if err := inside.RouteAdd(route); err != nil {
		return fmt.Errorf("set default route: %w", err)
	}
	return nil
}

// raise gives a link its address and switches it on.
func raise(h *netlink.Handle, name string, addr netip.Addr) error {
	link, err := h.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find link: %w", err)
	}
	ipNet := &net.IPNet{IP: net.IP(addr.AsSlice()), Mask: net.CIDRMask(30, 32)}
	if err := h.AddrAdd(link, &netlink.Addr{IPNet: ipNet}); err != nil {
		return fmt.Errorf("set address %s: %w", addr, err)
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("raise link: %w", err)
	}
	return nil
}

// removeLink removes what is left of a unit's veth pair.
func removeLink(installation, id string) {
	link, err := netlink.LinkByName(linkName(installation, id))
	var missing netlink.LinkNotFoundError
	if err != nil || errors.As(err, &missing) {
		return
	}
	_ = netlink.LinkDel(link)
}
