package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// LaunchArg is the only argument of the binary when it is started as launcher; main calls Launch then.
const LaunchArg = "unit-launch"

// Descriptors of the launcher beside stdin, stdout and stderr.
const (
	launchRequestFD = 3 // a launchRequest as JSON, then the byte launchGo
	launchAnswerFD  = 4 // the byte launchReady, then nothing more (the program runs); or at either place a launchFault as JSON
)

const (
	launchReady = 'r'
	launchGo    = 'g'
)

// launchRequest tells the launcher what to become.
type launchRequest struct {
	Path string   `json:"path"`
	Args []string `json:"args"`
	Env  []string `json:"env"`
	Dir  string   `json:"dir"`
	// DataBytes is RLIMIT_DATA; 0 leaves it alone.
	DataBytes uint64 `json:"data_bytes,omitempty"`
}

// launchFault says why the program could not be started.
type launchFault struct {
	Op    string `json:"op"`
	Errno int    `json:"errno"`
}

// Launch is the launcher: a short-lived process that waits until the runner has made its pid durable and then becomes
// the unit's program (execve, so pid and start time stay). When the runner dies before it said so, Launch returns
// without having started anything. main calls it when LaunchArg is the only argument, and exits with what it returns.
func Launch() int {
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // it lives for milliseconds
	in, out := os.NewFile(launchRequestFD, "request"), os.NewFile(launchAnswerFD, "answer")
	if in == nil || out == nil {
		return 2
	}
	// Nothing but the three standard streams may reach the program.
	if err := unix.CloseRange(launchRequestFD, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC); err != nil {
		unix.CloseOnExec(launchRequestFD)
		unix.CloseOnExec(launchAnswerFD)
	}
	var req launchRequest
	dec := json.NewDecoder(in)
	if err := dec.Decode(&req); err != nil {
		return 2
	}
	if op, err := settleDown(req); err != nil {
		return tell(out, op, err)
	}
	if _, err := out.Write([]byte{launchReady}); err != nil {
		return 2
	}
	// From here on no thread may be needed: those of this runtime count against the unit's limit.
	if !awaitGo(dec.Buffered(), int(in.Fd())) {
		return 2
	}
	if req.DataBytes > 0 {
		lim := unix.Rlimit{Cur: req.DataBytes, Max: req.DataBytes}
		if err := unix.Setrlimit(unix.RLIMIT_DATA, &lim); err != nil {
			return tell(out, "set limit", err)
		}
	}
	return tell(out, "execute", syscall.Exec(req.Path, req.Args, req.Env)) //nolint:gosec // starting the caller's program is the purpose
}

// tell reports a fault to the runner.
func tell(out *os.File, op string, err error) int {
	var errno syscall.Errno
	errors.As(err, &errno)
	_ = json.NewEncoder(out).Encode(launchFault{Op: op, Errno: int(errno)})
	return 127
}

// awaitGo waits for the byte that lets the program run; false when the runner has died.
func awaitGo(buffered io.Reader, fd int) bool {
	rest, _ := io.ReadAll(buffered)
	if bytes.IndexByte(rest, launchGo) >= 0 {
		return true
	}
	var b [1]byte
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), 1) //nolint:gosec // a plain read
		switch {
		case errno == unix.EINTR:
		case errno != 0 || n == 0:
			return false
		case b[0] == launchGo:
			return true
		}
	}
}

// settleDown sets up all that the program inherits.
func settleDown(req launchRequest) (op string, err error) {
	unix.Umask(0o022)
	if err := os.Chdir(req.Dir); err != nil {
		return "enter folder", err
	}
	// Raising the score is always allowed; a runner protected from the OOM killer must not pass that on.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("0"), 0)
	// Signals that the runner was started with as ignored would stay ignored over exec; caught ones become default.
	signal.Notify(make(chan os.Signal, 1))
	var none unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil); err != nil {
		return "clear signal mask", err
	}
	return "", nil
}
