package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// inbox is the supervisor's end of NOTIFY_SOCKET.
type inbox struct {
	path string
	file *os.File
	fd   int
	// handle gets every datagram, one at a time; it owns the descriptors.
	handle func(pid int, m message, fds []int)
	// refused gets what could not be read.
	refused func(pid int, err error)

	mu  sync.Mutex // one drains at a time
	buf []byte
	oob []byte
}

// openInbox binds the path anew: what an earlier supervisor left there is dead.
func openInbox(path string) (*inbox, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old notify socket: %w", err)
	}
	fd, err := bindUnix(path, unix.SOCK_DGRAM, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		closeAll(fd)
		return nil, fmt.Errorf("ask for senders of notify socket: %w", err)
	}
	return &inbox{
		path: path, fd: fd, file: os.NewFile(uintptr(fd), "notify"),
		// A byte more than allowed shows what is too long; 253 is the kernel's SCM_MAX_FD.
		buf: make([]byte, maxDatagram+1), oob: make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(253*4)),
	}, nil
}

// serve reads until close.
func (in *inbox) serve() error {
	raw, err := in.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("read notify socket: %w", err)
	}
	err = raw.Read(func(uintptr) bool {
		in.drain()
		return false
	})
	if err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("read notify socket: %w", err)
	}
	return nil
}

// drain handles what waits now. After the death of a role it makes sure that the last words of it count. It must not
// run after close.
func (in *inbox) drain() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		n, oobn, flags, _, err := unix.Recvmsg(in.fd, in.buf, in.oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return
		}
		pid, fds := parseControl(in.oob[:oobn])
		m, err := parseMessage(in.buf[:n])
		if flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
			err = errors.New("notify datagram was cut off")
		}
		if err != nil {
			closeAll(fds...)
			in.refused(pid, err)
			continue
		}
		in.handle(pid, m, fds)
	}
}

func (in *inbox) close() {
	_ = in.file.Close()
	_ = os.Remove(in.path)
}

// handle takes one notify datagram. Only the main process of a role is heard: a task of the runner, say, is not.
func (s *Supervisor) handle(pid int, m message, fds []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var r *role
	for _, other := range s.roles {
		if other.proc != nil && other.proc.id.PID == pid {
			r = other
		}
	}
	if r == nil || s.closed {
		closeAll(fds...)
		s.log.Warn("notify datagram of a stranger ignored", "pid", pid)
		return
	}
	switch {
	case m.Store:
		s.storeLocked(r, m.Name, fds)
	case m.Remove:
		closeAll(fds...)
		s.removeLocked(r, m.Name)
	default:
		// A barrier (BARRIER=1) ends here too: its descriptor is closed once all before it is done.
		closeAll(fds...)
	}
	if m.HasText {
		r.status.Text = m.Status
		s.markLocked(r)
	}
	if m.Ready {
		s.readyLocked(r)
	}
	if m.Down {
		s.StopAll()
	}
}

func (s *Supervisor) storeLocked(r *role, name string, fds []int) {
	if name == "" {
		name = "stored" // sd_notify(3)
	}
	for i, fd := range fds {
		if i > 0 {
			name = fmt.Sprintf("%s#%d", name, i+1)
		}
		old, again := r.sockets[name]
		if again && old.fixed || !again && len(r.sockets) >= maxKept {
			closeAll(fd)
			s.log.Warn("socket of a role is not kept", "role", r.spec.Name, "socket", name, "kept", len(r.sockets))
			continue
		}
		if again {
			closeAll(old.fd)
		}
		r.sockets[name] = held{fd: fd, addr: addrOf(fd)}
	}
	s.markLocked(r)
}

func (s *Supervisor) removeLocked(r *role, name string) {
	if h, ok := r.sockets[name]; ok && !h.fixed {
		closeAll(h.fd)
		delete(r.sockets, name)
		s.markLocked(r)
	}
}

func (s *Supervisor) readyLocked(r *role) {
	if !r.readyAt.IsZero() || r.status.State == StateStopping {
		return
	}
	r.readyAt = time.Now()
	s.setLocked(r, StateReady)
	s.log.Info("role is ready", "role", r.spec.Name, "pid", r.status.PID, "adopted", r.status.Adopted,
		"took", r.readyAt.Sub(r.proc.started))
	if r.wasReady {
		return
	}
	r.wasReady = true
	close(r.firstReady)
	if s.pending--; s.pending == 0 {
		close(s.ready)
	}
}
