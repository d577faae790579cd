package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// maxSocketPath is the room for a path in sockaddr_un, less the final NUL.
const maxSocketPath = 107

// Listen makes the control socket at path with mode 0600, in place of a stale one. It refuses when somebody answers
// there. The caller makes sure that the folder is not writable by others.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if conn, err := dialUnix(ctx, path); err == nil {
		_ = conn.Close()
		return nil, fmt.Errorf("listen on %s: another runner answers there; stop it first", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { //nolint:gosec // the operator's path
		return nil, fmt.Errorf("remove stale socket: %w", err)
	}
	short, done, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer done()
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", short)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if ul, ok := l.(*net.UnixListener); ok {
		// The next runner removes it; unlinking here would remove the next one's.
		ul.SetUnlinkOnClose(false)
	}
	if err := os.Chmod(path, 0o600); err != nil { //nolint:gosec // made above
		_ = l.Close()
		return nil, fmt.Errorf("protect socket: %w", err)
	}
	return l, nil
}

func dialUnix(ctx context.Context, path string) (net.Conn, error) {
	short, done, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer done()
	var d net.Dialer
	return d.DialContext(ctx, "unix", short)
}

// shortPath returns a path of the same socket that fits into sockaddr_un: through an open folder where the real one is
// too long. done releases the folder.
func shortPath(path string) (short string, done func(), err error) {
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	dir, err := os.Open(filepath.Dir(path)) //nolint:gosec // the operator's path
	if err != nil {
		return "", nil, fmt.Errorf("open folder of socket: %w", err)
	}
	short = "/proc/self/fd/" + strconv.Itoa(int(dir.Fd())) + "/" + filepath.Base(path)
	if len(short) > maxSocketPath {
		_ = dir.Close()
		return "", nil, fmt.Errorf("socket name %q is too long; use at most 60 bytes", filepath.Base(path))
	}
	return short, func() { _ = dir.Close() }, nil
}
