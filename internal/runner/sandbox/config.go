package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"time"
)

// Config of a [Manager]. Dir, Units, Logger and SearchPath are required; zero values of the rest mean what their comments say.
type Config struct {
	// Dir is the manager's own folder: invocations/, sandboxes/ (journal), logs/, output/, scratch/, runtime/.
	Dir    string
	Units  Units
	Logger *slog.Logger
	// SearchPath is where interpreters are looked for, and the end of the handlers' PATH ("/usr/local/bin:/usr/bin:/bin").
	SearchPath string

	// Listen opens the Runtime API listener of a new sandbox where address is empty, else of one that survived.
	// Nil: a random address of 127.128.0.0/9 and a random port (127.0.0.1 where the system has no other).
	Listen func(ctx context.Context, address string) (*net.TCPListener, error)
	// Inherited are listeners that were kept while no manager ran, by the name given to Keep. Those not needed are closed.
	Inherited map[string]net.Listener
	// Keep asks somebody who outlives this process to hold the listener, Unkeep to let it go. Nil: nobody does, and for the
	// time without a manager connects are refused (our own bootstraps try again for a minute).
	Keep   func(name string, l *net.TCPListener) error
	Unkeep func(name string) error

	InitTimeout    time.Duration // for a sandbox to ask for its first event, where the function's own limit is not longer; 0 = 30 s
	IdleTimeout    time.Duration // after which an unused sandbox is stopped; 0 = 5 min
	MaxSandboxes   int           // in all; 0 = 64. Invocations beyond wait.
	MaxPerFunction int           // of one function version; 0 = 10
	MaxOutput      int64         // bytes of output kept per log stream; 0 = 16 MB
	// Quiet is for how long a sandbox's output must not grow, after an answer or an exit, to count as complete (0 = 100 ms),
	// DrainLimit how long that is waited for (0 = 2 s). Our own bootstraps mark the end, which ends the wait at once.
	Quiet      time.Duration
	DrainLimit time.Duration
	// Retention is for how long a finished invocation is remembered, and its id not run again; 0 = 30 days.
	Retention time.Duration

	// Fault is called at named points of the journal; tests kill the process there.
	Fault func(point string)
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" || c.Units == nil || c.Logger == nil || c.SearchPath == "" {
		return c, errors.New("sandbox manager: Dir, Units, Logger and SearchPath are required")
	}
	setDefault(&c.InitTimeout, 30*time.Second)
	setDefault(&c.IdleTimeout, 5*time.Minute)
	setDefault(&c.MaxSandboxes, 64)
	setDefault(&c.MaxPerFunction, 10)
	setDefault(&c.MaxOutput, 16<<20)
	setDefault(&c.Quiet, 100*time.Millisecond)
	setDefault(&c.DrainLimit, 2*time.Second)
	setDefault(&c.Retention, 30*24*time.Hour)
	if c.Listen == nil {
		c.Listen = listenLoopback
	}
	if c.Keep == nil {
		c.Keep = func(string, *net.TCPListener) error { return nil }
	}
	if c.Unkeep == nil {
		c.Unkeep = func(string) error { return nil }
	}
	if c.Fault == nil {
		c.Fault = func(string) {}
	}
	return c, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// listenLoopback listens on an address that nobody can guess in reasonable time: the Runtime API has no other secret.
func listenLoopback(ctx context.Context, address string) (*net.TCPListener, error) {
	if address != "" {
		return listenTCP(ctx, address)
	}
	if runtime.GOOS == "linux" {
		var b [3]byte
		_, _ = rand.Read(b[:]) // never fails
		ip := net.IPv4(127, 128|b[0], b[1], max(1, min(b[2], 254)))
		if l, err := listenTCP(ctx, net.JoinHostPort(ip.String(), "0")); err == nil {
			return l, nil
		}
	}
	return listenTCP(ctx, "127.0.0.1:0")
}

func listenTCP(ctx context.Context, address string) (*net.TCPListener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for sandbox: %w", err)
	}
	t, ok := l.(*net.TCPListener)
	if !ok {
		_ = l.Close()
		return nil, fmt.Errorf("listener on %s is no TCP listener", address)
	}
	return t, nil
}
