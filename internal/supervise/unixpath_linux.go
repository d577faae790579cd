package supervise

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const maxSunPath = 107 // sun_path holds 108 bytes, the last one is NUL

// reach gives a name for the unix socket at path that fits into a socket address however long path is: the long way
// goes through a descriptor of its folder. done must be called when the name is no longer used.
func reach(path string) (name string, done func(), err error) {
	if len(path) <= maxSunPath || strings.HasPrefix(path, "@") {
		return path, func() {}, nil
	}
	dir, base := filepath.Split(path)
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("open folder of socket %s: %w", path, err)
	}
	name = "/proc/self/fd/" + strconv.Itoa(fd) + "/" + base
	if len(name) > maxSunPath {
		_ = unix.Close(fd)
		return "", nil, fmt.Errorf("file name of unix socket %s is too long (%d bytes): use one below 80", path, len(base))
	}
	return name, func() { _ = unix.Close(fd) }, nil
}

// DialUnix connects to a unix socket (stream) whose path may be longer than the 107 bytes that a socket address holds.
func DialUnix(ctx context.Context, path string) (net.Conn, error) {
	return dialUnix(ctx, "unix", path)
}

func dialUnix(ctx context.Context, network, path string) (net.Conn, error) {
	name, done, err := reach(path)
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	c, err := d.DialContext(ctx, network, name)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", path, err)
	}
	return c, nil
}

// bindUnix makes a socket of the given type, bound to path with the given mode but not listening yet, so nobody gets
// in before the mode is set.
func bindUnix(path string, kind int, mode os.FileMode) (int, error) {
	name, done, err := reach(path)
	if err != nil {
		return -1, err
	}
	defer done()
	fd, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, fmt.Errorf("make unix socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("bind %s: %w", path, err)
	}
	if err := os.Chmod(path, mode); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("set mode of socket: %w", err)
	}
	return fd, nil
}

// closeAll closes raw descriptors; a failing close of a descriptor that is given up cannot be mended.
func closeAll(fds ...int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}
