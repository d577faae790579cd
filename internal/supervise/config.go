package supervise

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"greengate/internal/lazyregexp"
)

// StateDown is the notify state by which a role asks the supervisor to stop every role and to end ("greengate down").
const StateDown = "X_GREENGATE_DOWN=1"

// Defaults of Config.
const (
	DefaultStopTimeout    = 10 * time.Second
	DefaultLogLimit       = 10 << 20
	defaultBackoffFirst   = 100 * time.Millisecond
	defaultBackoffMax     = 5 * time.Second
	defaultBackoffHealthy = time.Second
)

// Config says what a supervisor runs. New completes the zero values that have a default.
type Config struct {
	Dir     string   // data folder; created with mode 0700 when absent. Its path may be of any length.
	Sockets []Socket // opened before the first role starts
	Roles   []Role   // started in this order, save for After

	// Ephemeral stops every role with the supervisor, also those that survive it otherwise. A supervisor that is
	// killed with SIGKILL cannot do so: see the package comment.
	Ephemeral bool

	Backoff  Backoff
	LogLimit int64        // bytes; a log that is larger when its role starts is moved to <role>.log.1; 0 means DefaultLogLimit
	Logger   *slog.Logger // nil discards
}

// Socket is a listening socket that the supervisor opens and one role serves.
type Socket struct {
	Name    string      // by which the role finds it in Handover.Listeners; any characters
	Network string      // tcp, tcp4, tcp6 or unix
	Address string      // host:port, or a path; port 0 lets the kernel choose
	Mode    os.FileMode // of a unix socket; 0 means 0600
	Role    string      // name of the role that gets it
}

// Role is one process that is kept running.
type Role struct {
	Name       string         // lower-case letters, digits, '-' and '_', at most 32
	Path       string         // the program; absolute
	Args       []string       // without the program's name
	Env        []string       // the whole environment (KEY=VALUE) save for the contract's variables; nothing is inherited
	WorkDir    string         // empty means the supervisor's
	After      []string       // roles that must be ready before the first start of this one
	StopSignal syscall.Signal // 0 means SIGTERM
	// StopTimeout is how long the process has after StopSignal before it gets SIGKILL; 0 means DefaultStopTimeout.
	StopTimeout time.Duration
	Survives    bool // keeps running when the supervisor is told to end
}

// Backoff is the pause before a role that keeps dying is started again: none after the first death, then First, doubled
// with each further one up to Max. A role that was ready for Healthy starts the count anew.
type Backoff struct {
	First   time.Duration // 0 means 100 ms
	Max     time.Duration // 0 means 5 s
	Healthy time.Duration // 0 means 1 s
}

// delay is the pause after the given number of deaths in a row, which counts from 1.
func (b Backoff) delay(deaths int) time.Duration {
	if deaths <= 1 {
		return 0
	}
	d := b.First
	for range deaths - 2 {
		d *= 2
		if d >= b.Max {
			return b.Max
		}
	}
	return min(d, b.Max)
}

// State says what a role does at present.
type State string

// The states of a role.
const (
	StateWaiting  State = "waiting"  // for the roles that it comes after
	StateStarting State = "starting" // runs, has not sent READY=1
	StateReady    State = "ready"
	StateBackoff  State = "backoff" // dead, is started again after a pause
	StateStopping State = "stopping"
	StateStopped  State = "stopped"
	StateLeft     State = "left" // goes on without the supervisor, which has ended
)

// Status is what is known of one role. It is also the content of roles/<role>.json.
type Status struct {
	Role       string    `json:"role"`
	State      State     `json:"state"`
	PID        int       `json:"pid,omitempty"`         // 0 when no process runs
	StartTicks uint64    `json:"start_ticks,omitempty"` // start time of the process, field 22 of /proc/PID/stat
	BootID     string    `json:"boot_id,omitempty"`     // of the boot in which PID means something
	Since      time.Time `json:"since"`                 // of State
	Adopted    bool      `json:"adopted,omitempty"`     // the process was started by an earlier supervisor
	Restarts   int       `json:"restarts"`              // by this supervisor
	Deaths     int       `json:"deaths_in_a_row"`       // since the role was last healthy; see Backoff
	LastExit   string    `json:"last_exit,omitempty"`   // "exit status 1", "signal: killed", "unknown (was adopted)", or why it could not start
	Text       string    `json:"text,omitempty"`        // what the role said with STATUS=
	Sockets    []string  `json:"sockets,omitempty"`     // names of the sockets held for it
}

// LockedError is returned by New when another supervisor holds the data folder.
type LockedError struct {
	Path string // of the lock
	PID  int    // of the holder; 0 when the lock does not say
}

// Error names the holder and the way out.
func (e *LockedError) Error() string {
	holder := "another process"
	if e.PID > 0 {
		holder = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("data folder %s is in use by %s (it holds %s): stop that one, or use another data folder",
		filepath.Dir(e.Path), holder, e.Path)
}

// ExitError is returned by Run when a role gave up at its first start: it exited with status 2 before it was ready, or
// could not be started at all.
type ExitError struct {
	Role   string
	Reason string // how it ended
	Log    string // path of its log
	Tail   string // the last lines that this process wrote there
}

// Error holds the reason and the tail of the log.
func (e *ExitError) Error() string {
	msg := fmt.Sprintf("role %s ended before it was ready: %s (log: %s)", e.Role, e.Reason, e.Log)
	if e.Tail != "" {
		msg += "\n" + e.Tail
	}
	return msg
}

var roleName = lazyregexp.New(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// withDefaults fills in what has a default; it does not alter the slices of the caller.
func (c Config) withDefaults() (Config, error) {
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, fmt.Errorf("resolve data folder: %w", err)
	}
	c.Dir = dir
	c.Roles = slices.Clone(c.Roles)
	for i := range c.Roles {
		r := &c.Roles[i]
		if r.StopSignal == 0 {
			r.StopSignal = syscall.SIGTERM
		}
		if r.StopTimeout == 0 {
			r.StopTimeout = DefaultStopTimeout
		}
	}
	c.Sockets = slices.Clone(c.Sockets)
	for i := range c.Sockets {
		if c.Sockets[i].Mode == 0 {
			c.Sockets[i].Mode = 0o600
		}
	}
	setDefault(&c.Backoff.First, defaultBackoffFirst)
	setDefault(&c.Backoff.Max, defaultBackoffMax)
	setDefault(&c.Backoff.Healthy, defaultBackoffHealthy)
	setDefault(&c.LogLimit, DefaultLogLimit)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// validate returns every fault of the configuration at once.
func (c Config) validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Dir == "" {
		fault("no data folder given")
	}
	if len(c.Roles) == 0 {
		fault("no role given")
	}
	roles := map[string]bool{}
	for _, r := range c.Roles {
		switch {
		case !roleName.MatchString(r.Name):
			fault("role name %q: use lower-case letters, digits, '-' and '_', at most 32", r.Name)
		case roles[r.Name]:
			fault("role %s is given twice", r.Name)
		case !filepath.IsAbs(r.Path):
			fault("role %s: program %q is not an absolute path", r.Name, r.Path)
		}
		roles[r.Name] = true
	}
	sockets := map[string]bool{}
	for _, k := range c.Sockets {
		if err := k.validate(roles); err != nil {
			faults = append(faults, err)
		}
		if sockets[k.Name] {
			fault("socket %q is given twice", k.Name)
		}
		sockets[k.Name] = true
	}
	if _, err := startOrder(c.Roles); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

func (k Socket) validate(roles map[string]bool) error {
	if _, err := EncodeName(k.Name); err != nil {
		return fmt.Errorf("socket %q: %w", k.Name, err)
	}
	switch k.Network {
	case "tcp", "tcp4", "tcp6":
	case "unix":
		if !filepath.IsAbs(k.Address) {
			return fmt.Errorf("socket %q: path %q is not absolute", k.Name, k.Address)
		}
	default:
		return fmt.Errorf("socket %q: network %q is not one of tcp, tcp4, tcp6, unix", k.Name, k.Network)
	}
	if !roles[k.Role] {
		return fmt.Errorf("socket %q: there is no role %q", k.Name, k.Role)
	}
	return nil
}

// startOrder sorts the roles so that each comes after those that it names in After, and else as given.
func startOrder(roles []Role) ([]string, error) {
	byName := map[string]Role{}
	for _, r := range roles {
		byName[r.Name] = r
	}
	var order []string
	placed := map[string]bool{}
	for len(order) < len(byName) {
		before := len(order)
		for _, r := range roles {
			ready := !placed[r.Name]
			for _, a := range r.After {
				if _, ok := byName[a]; !ok {
					return nil, fmt.Errorf("role %s comes after %q, which is no role", r.Name, a)
				}
				ready = ready && placed[a]
			}
			if ready {
				order, placed[r.Name] = append(order, r.Name), true
			}
		}
		if len(order) == before {
			return nil, errors.New("the roles come after each other in a circle")
		}
	}
	return order, nil
}
