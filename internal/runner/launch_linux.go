package runner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// LaunchArg is the only argument of the binary when it is started as launcher; main calls Launch then.
const LaunchArg = "unit-launch"

// Descriptors of the launcher beside stdin, stdout and stderr.
const (
	launchRequestFD = 3 // a launchRequest as JSON, then the byte launchGo
	launchAnswerFD  = 4 // the byte launchReady, then nothing more (the program runs) or a launchFault as JSON
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
	if _, err := out.Write([]byte{launchReady}); err != nil {
		return 2
	}
	if err := awaitGo(io.MultiReader(dec.Buffered(), in)); err != nil {
		return 2
	}
	op, err := become(req)
	var errno syscall.Errno
	errors.As(err, &errno)
	_ = json.NewEncoder(out).Encode(launchFault{Op: op, Errno: int(errno)})
	return 127
}

func awaitGo(r io.Reader) error {
	var b [1]byte
	for {
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return err
		}
		if b[0] == launchGo {
			return nil
		}
		if b[0] != '\n' { // the JSON encoder ends the request with a newline
			return fmt.Errorf("unexpected byte %q", b[0])
		}
	}
}

// become replaces this process by the program; it returns only on a fault.
func become(req launchRequest) (op string, err error) {
	unix.Umask(0o022)
	if err := os.Chdir(req.Dir); err != nil {
		return "enter folder", err
	}
	if req.DataBytes > 0 {
		lim := unix.Rlimit{Cur: req.DataBytes, Max: req.DataBytes}
		if err := unix.Setrlimit(unix.RLIMIT_DATA, &lim); err != nil {
			return "set limit", err
		}
	}
	// Raising the score is always allowed; a runner protected from the OOM killer must not pass that on.
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("0"), 0)
	// Signals that the runner was started with as ignored would stay ignored over exec; caught ones become default.
	signal.Notify(make(chan os.Signal, 1))
	var none unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil); err != nil {
		return "clear signal mask", err
	}
	return "execute", syscall.Exec(req.Path, req.Args, req.Env) //nolint:gosec // starting the caller's program is the purpose
}
