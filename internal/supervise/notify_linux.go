package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

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
