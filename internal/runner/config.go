package runner

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"
)

// Config is what a Server is made with.
type Config struct {
	// Dir is the absolute data folder of the runner: units/, logs/, lock, installation. It is made with mode 0700.
	Dir string
	// Control is the listener of the control interface (see Listen); nil for in-process use only.
	Control net.Listener
	// Logger is required.
	Logger *slog.Logger
	// Loopback is the IPv4 prefix that addresses of units are taken from; the default is 127.64.0.0/10.
	Loopback netip.Prefix
	// NamespaceNet is the IPv4 prefix that units with a network namespace get a /30 of; the default is 169.254.128.0/17.
	NamespaceNet netip.Prefix
	// CgroupRoot is a writable cgroup v2 folder to make the units' cgroups in; "" finds one, or v1 hierarchies;
	// CgroupOff uses none.
	CgroupRoot string
	// Launcher is the command that runs Launch; the default is this binary with LaunchArg.
	Launcher []string
	// SearchPath is the PATH of programs whose environment names none; the default is that of most systems.
	SearchPath string
	// Subreaper makes this process the parent of units' orphaned descendants and reaps them. It is a property of the
	// whole process: set it in the runner role, in one Server of the process.
	Subreaper bool
	// BackoffMin and BackoffMax bound the pause before a service is started again (it doubles from one to the other;
	// defaults 100 ms and 30 s); BackoffReset is the time of healthy running after which it begins anew (10 s).
	BackoffMin, BackoffMax, BackoffReset time.Duration
	// Keep, if set, hands a FIFO of a unit's output to somebody who outlives this process and holds it open (a
	// supervisor's descriptor store), so that text in it survives also when runner and program are both dead. Forget
	// lets go of it. Names are unique; Keep is called again for the same name after a restart.
	Keep   func(name string, f *os.File) error
	Forget func(name string) error
	// BootID replaces the host's, in tests.
	BootID string
	// Fault is called at named points between two steps, in tests that kill the runner there.
	Fault func(point string)
}

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func (c *Config) fill() error {
	if c.Logger == nil {
		return errors.New("make runner: no logger")
	}
	if !filepath.IsAbs(c.Dir) {
		return fmt.Errorf("make runner: data folder %q is not an absolute path", c.Dir)
	}
	if !c.Loopback.IsValid() {
		c.Loopback = netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 64}), 10)
	}
	if !c.NamespaceNet.IsValid() {
		c.NamespaceNet = netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254, 128}), 17)
	}
	for _, p := range []netip.Prefix{c.Loopback, c.NamespaceNet} {
		if !p.Addr().Is4() || p.Bits() > 30 || p.Bits() < 1 {
			return fmt.Errorf("make runner: %s is no IPv4 prefix of 1 to 30 bits", p)
		}
	}
	if !c.Loopback.Addr().IsLoopback() {
		return fmt.Errorf("make runner: %s is not loopback", c.Loopback)
	}
	if c.SearchPath == "" {
		c.SearchPath = defaultPath
	}
	if len(c.Launcher) == 0 {
		c.Launcher = []string{"/proc/self/exe", LaunchArg}
	}
	for to, d := range map[*time.Duration]time.Duration{
		&c.BackoffMin: 100 * time.Millisecond, &c.BackoffMax: 30 * time.Second, &c.BackoffReset: 10 * time.Second,
	} {
		if *to <= 0 {
			*to = d
		}
	}
	return nil
}
