package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const giveTimeout = 2 * time.Second

// giver hands copies of named sockets to a process of the same user that connects to run/<role>.fds. Each packet is a
// notify datagram with one descriptor; the last one says READY= and X_GREENGATE_END=1.
type giver struct {
	path string
	l    *net.UnixListener
	wg   sync.WaitGroup
	// sendFunc sends all that there is; it runs for one connection at a time.
	sendFunc func(c *net.UnixConn) error
}

func newGiver(path string, sendFunc func(*net.UnixConn) error) (*giver, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove old socket: %w", err)
	}
	fd, err := bindUnix(path, unix.SOCK_SEQPACKET, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Listen(fd, 16); err != nil {
		closeAll(fd)
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l, err := listenerOf(fd)
	closeAll(fd)
	if err != nil {
		return nil, err
	}
	ul, ok := l.(*net.UnixListener)
	if !ok {
		_ = l.Close()
		return nil, fmt.Errorf("listen on %s: got a %T", path, l)
	}
	g := &giver{path: path, l: ul, sendFunc: sendFunc}
	g.wg.Go(g.serve)
	return g, nil
}

func (g *giver) serve() {
	for {
		c, err := g.l.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors, say: the supervisor that waits here tries again.
			time.Sleep(50 * time.Millisecond)
			continue
		}
		g.give(c)
	}
}

func (g *giver) give(c *net.UnixConn) {
	defer func() { _ = c.Close() }()
	cred, err := peer(c)
	if err != nil || int(cred.Uid) != os.Geteuid() && cred.Uid != 0 {
		return
	}
	if c.SetDeadline(time.Now().Add(giveTimeout)) == nil {
		// A broken connection is the asker's affair: it sees no end and asks again.
		_ = g.sendFunc(c)
	}
}

func (g *giver) close() {
	_ = g.l.Close()
	g.wg.Wait()
	_ = os.Remove(g.path)
}

// fetch asks the role's process for its sockets. On an error it has closed what it got.
func fetch(ctx context.Context, path string, pid int) (fds map[string]int, ready bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, giveTimeout)
	defer cancel()
	conn, err := dialUnix(ctx, "unixpacket", path)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = conn.Close() }()
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, false, fmt.Errorf("connect to %s: got a %T", path, conn)
	}
	if cred, err := peer(c); err != nil || int(cred.Pid) != pid {
		return nil, false, fmt.Errorf("socket %s is not held by process %d", path, pid)
	}
	if err := c.SetDeadline(time.Now().Add(giveTimeout)); err != nil {
		return nil, false, fmt.Errorf("set deadline: %w", err)
	}
	fds = map[string]int{}
	ready, err = receiveAll(c, fds)
	if err != nil {
		for _, fd := range fds {
			closeAll(fd)
		}
		return nil, false, fmt.Errorf("fetch sockets from %s: %w", path, err)
	}
	return fds, ready, nil
}

func receiveAll(c *net.UnixConn, into map[string]int) (ready bool, err error) {
	b, oob := make([]byte, maxDatagram), make([]byte, unix.CmsgSpace(4*4))
	for {
		n, oobn, _, _, err := c.ReadMsgUnix(b, oob)
		if err != nil {
			return false, fmt.Errorf("read packet: %w", err)
		}
		if n == 0 {
			return false, errors.New("connection ended early")
		}
		_, fds := parseControl(oob[:oobn])
		m, err := parseMessage(b[:n])
		if err == nil && m.End && len(fds) == 0 {
			return m.Ready, nil
		}
		if err != nil || !m.Store || len(fds) != 1 || m.Name == "" {
			closeAll(fds...)
			return false, errors.New("packet is not a named socket")
		}
		if old, ok := into[m.Name]; ok {
			closeAll(old)
		}
		into[m.Name] = fds[0]
	}
}

// parseControl reads the sender's pid and the descriptors out of a control message. The pid is 0 where there is none.
func parseControl(oob []byte) (pid int, fds []int) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, nil
	}
	for i := range msgs {
		if got, err := unix.ParseUnixRights(&msgs[i]); err == nil {
			fds = append(fds, got...)
		} else if cred, err := unix.ParseUnixCredentials(&msgs[i]); err == nil {
			pid = int(cred.Pid)
		}
	}
	return pid, fds
}

func peer(c syscall.Conn) (*unix.Ucred, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("reach descriptor: %w", err)
	}
	var cred *unix.Ucred
	var inner error
	err = raw.Control(func(fd uintptr) {
		cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, inner); err != nil {
		return nil, fmt.Errorf("read peer credentials: %w", err)
	}
	return cred, nil
}

// dupOf copies the descriptor of c; the copy closes on exec.
func dupOf(c syscall.Conn) (int, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("reach descriptor: %w", err)
	}
	dup := -1
	var inner error
	err = raw.Control(func(fd uintptr) { dup, inner = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 3) })
	if err := errors.Join(err, inner); err != nil {
		return -1, fmt.Errorf("copy descriptor: %w", err)
	}
	return dup, nil
}

// fileOf gives a file on a copy of fd.
func fileOf(fd int, name string) (*os.File, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("copy descriptor: %w", err)
	}
	return os.NewFile(uintptr(dup), name), nil
}

// listenerOf gives a listener on a copy of fd.
func listenerOf(fd int) (net.Listener, error) {
	f, err := fileOf(fd, "listener")
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("use descriptor as listener: %w", err)
	}
	return l, nil
}

// listens tells whether fd is a listening socket, as opposed to any other file.
func listens(fd int) bool {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	return err == nil && v == 1
}
