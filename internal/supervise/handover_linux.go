package supervise

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The contract's variables. The first group is systemd's, the second is ours and only our supervisor sets it.
const (
	envListenPID     = "LISTEN_PID"
	envListenPIDFDID = "LISTEN_PIDFDID"
	envListenFDs     = "LISTEN_FDS"
	envListenNames   = "LISTEN_FDNAMES"
	envNotify        = "NOTIFY_SOCKET"

	envRole = "GREENGATE_ROLE"      // name of the role
	envRun  = "GREENGATE_RUN"       // folder of <role>.lock and <role>.fds
	envLock = "GREENGATE_ROLE_LOCK" // descriptor of the lock, which the supervisor has taken for us
)

func contractVariables() []string {
	return []string{envListenPID, envListenPIDFDID, envListenFDs, envListenNames, envNotify, envRole, envRun, envLock}
}

const (
	firstFD     = 3
	sendTimeout = 5 * time.Second
	claimWait   = 2 * time.Second
)

// ErrNoSupervisor is returned by Down in a process that no supervisor started.
var ErrNoSupervisor = errors.New("not started by greengate serve: stop the roles where they were started")

// Handover is a role's end of the contract: what it was handed, and the way to tell the supervisor. It is safe for
// concurrent use. Under no supervisor at all Ready, Notify, Keep and Forget do nothing and succeed.
type Handover struct {
	role      string
	run       string // empty when not under our supervisor
	notify    string
	lock      int
	giver     *giver
	listeners map[string]net.Listener
	files     map[string]*os.File

	sendMu sync.Mutex // orders Keep and Forget of one name

	mu    sync.Mutex
	held  map[string]int // what the giver gives; only under our supervisor
	known map[string]bool
	ready bool
}

// Receive takes what the process was handed, by our supervisor or by systemd, and takes the variables out of the
// environment (by unset), so that no child mistakes them for its own. It must run before anything that starts a process
// or opens many files. Every descriptor is close-on-exec afterwards. Descriptors that LISTEN_PID addresses to another
// process are left alone.
func Receive(getenv func(string) string, unset func(string) error) (*Handover, error) {
	env := map[string]string{}
	for _, key := range contractVariables() {
		env[key] = getenv(key)
		if err := unset(key); err != nil {
			return nil, fmt.Errorf("unset %s: %w", key, err)
		}
	}
	h := &Handover{
		role: env[envRole], run: env[envRun], notify: env[envNotify], lock: -1,
		listeners: map[string]net.Listener{}, files: map[string]*os.File{},
		held: map[string]int{}, known: map[string]bool{},
	}
	if err := h.receive(env); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *Handover) receive(env map[string]string) error {
	if env[envLock] != "" {
		if err := h.inheritLock(env[envLock]); err != nil {
			return err
		}
	}
	if pid := env[envListenPID]; pid == "" || pid == strconv.Itoa(os.Getpid()) {
		names, err := listenNames(env[envListenFDs], env[envListenNames])
		if err != nil {
			return err
		}
		for i, name := range names {
			if err := h.take(name, firstFD+i); err != nil {
				return err
			}
		}
	}
	if h.run == "" {
		return nil
	}
	g, err := newGiver(filepath.Join(h.run, h.role+".fds"), h.giveAll)
	if err != nil {
		return err
	}
	h.giver = g
	return nil
}

func (h *Handover) inheritLock(value string) error {
	fd, err := strconv.Atoi(value)
	if err != nil || fd < firstFD {
		return fmt.Errorf("%s is %q: not a descriptor", envLock, value)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return fmt.Errorf("use descriptor %d of %s: %w", fd, envLock, err)
	}
	h.lock = fd
	if h.run == "" || !roleName.MatchString(h.role) {
		return fmt.Errorf("%s comes without %s or %s", envLock, envRun, envRole)
	}
	id, err := identify(os.Getpid())
	if err != nil {
		return err
	}
	id.Supervised = true
	return writeHolder(fd, id)
}

// take turns one handed descriptor into a listener or a file.
func (h *Handover) take(name string, fd int) error {
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC); err != nil {
		return fmt.Errorf("use descriptor %d (%q) of %s: %w", fd, name, envListenFDs, err)
	}
	h.known[name] = true
	if h.run != "" {
		h.held[name] = fd
	} else {
		defer closeAll(fd)
	}
	if listens(fd) {
		l, err := listenerOf(fd)
		if err != nil {
			return fmt.Errorf("take socket %q: %w", name, err)
		}
		h.listeners[name] = l
		return nil
	}
	f, err := fileOf(fd, name)
	if err != nil {
		return fmt.Errorf("take file %q: %w", name, err)
	}
	h.files[name] = f
	return nil
}

// Role is the name under which our supervisor runs this process; empty when something else does.
func (h *Handover) Role() string { return h.role }

// Supervised tells whether our supervisor started this process.
func (h *Handover) Supervised() bool { return h.run != "" }

// Listeners are the listening sockets that were handed over, by name: those of Config.Sockets and those that an earlier
// process of the role kept. They belong to the caller. Closing one does not free its address, since the supervisor
// holds it as well; Forget does, for one that was kept.
func (h *Handover) Listeners() map[string]net.Listener { return maps.Clone(h.listeners) }

// Files are the kept descriptors that are not listening sockets. They belong to the caller.
func (h *Handover) Files() map[string]*os.File { return maps.Clone(h.files) }

// Ready tells the supervisor that the role serves.
func (h *Handover) Ready() error { return h.Notify("READY=1") }

// Down asks the supervisor to stop every role, this one included, and to end.
func (h *Handover) Down() error {
	if h.run == "" {
		return ErrNoSupervisor
	}
	return h.send(StateDown, -1)
}

// Notify sends assignments of sd_notify(3), such as STATUS=. A supervisor that is away for the moment is no error: it
// asks for sockets and readiness when it comes back.
func (h *Handover) Notify(state ...string) error {
	all := strings.Join(state, "\n")
	if m, err := parseMessage([]byte(all)); err != nil {
		return err
	} else if m.Ready {
		// First here, then to the supervisor: one that comes up in between asks for it.
		h.mu.Lock()
		h.ready = true
		h.mu.Unlock()
	}
	return h.tell(all, -1)
}

// Keep leaves a copy of a socket or file with the supervisor under the name, in place of an earlier one of that name.
// The next process of the role finds it in Listeners or Files. c is not altered and stays the caller's.
func (h *Handover) Keep(name string, c syscall.Conn) error {
	enc, err := EncodeName(name)
	if err != nil {
		return err
	}
	fd, err := dupOf(c)
	if err != nil {
		return fmt.Errorf("keep socket %q: %w", name, err)
	}
	h.sendMu.Lock()
	defer h.sendMu.Unlock()
	again := h.hold(name, fd)
	if h.run == "" {
		defer closeAll(fd)
		if again {
			// systemd keeps any number of one name; ours replaces.
			if err := h.tell("FDSTOREREMOVE=1\nFDNAME="+enc, -1); err != nil {
				return fmt.Errorf("keep socket %q: %w", name, err)
			}
		}
	}
	if err := h.tell("FDSTORE=1\nFDNAME="+enc, fd); err != nil {
		return fmt.Errorf("keep socket %q: %w", name, err)
	}
	return nil
}

// hold notes a kept descriptor and tells whether the name was known.
func (h *Handover) hold(name string, fd int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	again := h.known[name]
	h.known[name] = true
	if h.run != "" {
		if old, ok := h.held[name]; ok {
			closeAll(old)
		}
		h.held[name] = fd
	}
	return again
}

// Forget takes a kept socket back from the supervisor; the caller closes its own listener. For a socket of
// Config.Sockets the supervisor goes on holding it.
func (h *Handover) Forget(name string) error {
	enc, err := EncodeName(name)
	if err != nil {
		return err
	}
	h.sendMu.Lock()
	defer h.sendMu.Unlock()
	h.mu.Lock()
	if fd, ok := h.held[name]; ok {
		closeAll(fd)
		delete(h.held, name)
	}
	delete(h.known, name)
	h.mu.Unlock()
	if err := h.tell("FDSTOREREMOVE=1\nFDNAME="+enc, -1); err != nil {
		return fmt.Errorf("forget socket %q: %w", name, err)
	}
	return nil
}

// tell sends, and takes a supervisor of ours that is away for success: the giver makes up for it.
func (h *Handover) tell(state string, fd int) error {
	err := h.send(state, fd)
	if h.giver != nil && (errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT)) {
		return nil
	}
	return err
}

func (h *Handover) send(state string, fd int) error {
	if h.notify == "" {
		return nil
	}
	name, done, err := reach(h.notify)
	if err != nil {
		return err
	}
	defer done()
	s, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("make notify socket: %w", err)
	}
	defer closeAll(s)
	tv := unix.NsecToTimeval(sendTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(s, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv); err != nil {
		return fmt.Errorf("limit notify: %w", err)
	}
	var oob []byte
	if fd >= 0 {
		oob = unix.UnixRights(fd)
	}
	err = retry(func() error {
		return unix.Sendmsg(s, []byte(state), oob, &unix.SockaddrUnix{Name: name}, unix.MSG_NOSIGNAL)
	})
	if err != nil {
		return fmt.Errorf("notify %s: %w", h.notify, err)
	}
	return nil
}

// giveAll hands every held socket to a new supervisor.
func (h *Handover) giveAll(c *net.UnixConn) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, fd := range h.held {
		enc, err := EncodeName(name)
		if err != nil {
			return err
		}
		if _, _, err := c.WriteMsgUnix([]byte("FDSTORE=1\nFDNAME="+enc), unix.UnixRights(fd), nil); err != nil {
			return fmt.Errorf("hand over socket %q: %w", name, err)
		}
	}
	last := "READY=0\n" + stateEnd
	if h.ready {
		last = "READY=1\n" + stateEnd
	}
	if _, err := c.Write([]byte(last)); err != nil {
		return fmt.Errorf("end handing over: %w", err)
	}
	return nil
}

// Claim makes this process the only one of its role on the data folder. Under our supervisor it does nothing, since the
// lock came with the process. Elsewhere (a systemd unit, a shell) it takes run/<role>.lock, waits up to two seconds for
// a process that is about to end, and then fails with an error that names the holder.
func (h *Handover) Claim(ctx context.Context, dir, role string) error {
	if h.lock >= 0 {
		return nil
	}
	run := filepath.Join(dir, "run")
	if err := os.MkdirAll(run, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	path := filepath.Join(run, role+".lock")
	fd, err := openLock(path)
	if err != nil {
		return err
	}
	if err := claim(ctx, fd, path, role); err != nil {
		closeAll(fd)
		return err
	}
	h.lock = fd
	return nil
}

func claim(ctx context.Context, fd int, path, role string) error {
	got, err := awaitLock(ctx, fd, claimWait)
	if err != nil {
		return err
	}
	if !got {
		return fmt.Errorf("role %s already runs on this data folder as process %d (it holds %s): stop that one first",
			role, readHolder(fd).PID, path)
	}
	id, err := identify(os.Getpid())
	if err != nil {
		return err
	}
	return writeHolder(fd, id)
}

// awaitLock tries for the lock until it is free, the wait is over (false) or ctx ends.
func awaitLock(ctx context.Context, fd int, wait time.Duration) (bool, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := tryLock(fd)
		if got || err != nil {
			return got, err
		}
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("wait for lock: %w", context.Cause(ctx))
		case <-deadline.C:
			return false, nil
		case <-tick.C:
		}
	}
}

// Close ends the handing-over to later supervisors and lets go of the copies held for it and of a lock that Claim took.
// A lock that came from the supervisor stays until the process ends, so that no second one can start before. The
// listeners and files stay open: they are the caller's. A role need not call it: the end of the process does the same.
func (h *Handover) Close() error {
	if h.giver != nil {
		h.giver.close()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, fd := range h.held {
		closeAll(fd)
		delete(h.held, name)
	}
	if h.lock >= 0 && h.run == "" {
		closeAll(h.lock)
		h.lock = -1
	}
	return nil
}
