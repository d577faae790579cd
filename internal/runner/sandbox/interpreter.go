package sandbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"greengate/internal/durable"
)

// bootstraps are the runtime interface clients that we bring for languages whose own one is absent.
//
//go:embed bootstrap/bootstrap.py bootstrap/bootstrap.cjs
var bootstraps embed.FS

const (
	probeTimeout = 20 * time.Second
	probePrefix  = "greengate-probe:"
)

// pythonProbe tells the real interpreter (a shim starts another one) and whether awslambdaric works in it: a vendored copy
// built for another Python version is found but cannot be imported.
const pythonProbe = `import os, sys
sys.path.insert(0, sys.argv[1])
try:
    import awslambdaric.bootstrap
    ric = "awslambdaric"
except BaseException:
    ric = "own"
os.write(1, ("\ngreengate-probe:%s\ngreengate-probe:%s\n" % (sys.executable, ric)).encode())
`

// ricStart runs awslambdaric. What it logs is one line an event, ended at once, as on Lambda, where it has a channel of its
// own for that: on a plain stdout it leaves the last line of a traceback open until something else is printed.
const ricStart = `import sys
import awslambdaric.bootstrap as bootstrap
def log(self, msg, *args, **kwargs):
    sys.stdout.write(msg.rstrip("\n").replace("\n", "\r") + "\n")
if hasattr(bootstrap, "StandardLogSink"):
    bootstrap.StandardLogSink.log = log
from awslambdaric.__main__ import main
main(["awslambdaric", sys.argv[1]])
`

const nodeProbe = `process.stdout.write("\ngreengate-probe:" + process.execPath + "\ngreengate-probe:own\n")`

// errEntrypoint marks a function that cannot be started as it is.
var errEntrypoint = errors.New("no entry point")

// entry is how a function's process is started.
type entry struct {
	command []string
	binDir  string // of the interpreter, goes first on PATH as /var/lang/bin does on Lambda
	marks   bool   // our bootstrap, which marks the end of an invocation's output
}

// resolver finds out how to start functions.
type resolver struct {
	searchPath string
	runtimeDir string
}

// installBootstraps writes them under dir, in a folder named by their digest: a sandbox of an older version keeps its own.
func installBootstraps(dir string) (string, error) {
	files := []string{"bootstrap.py", "bootstrap.cjs"}
	digest := sha256.New()
	contents := map[string][]byte{}
	for _, name := range files {
		data, err := fs.ReadFile(bootstraps, "bootstrap/"+name)
		if err != nil {
			return "", fmt.Errorf("read bootstrap: %w", err)
		}
		contents[name] = data
		_, _ = digest.Write(data) // never fails
	}
	out := filepath.Join(dir, hex.EncodeToString(digest.Sum(nil))[:16])
	if err := os.MkdirAll(out, 0o755); err != nil { //nolint:gosec // functions may run as somebody else
		return "", fmt.Errorf("make runtime folder: %w", err)
	}
	for _, name := range files {
		path := filepath.Join(out, name)
		if err := durable.WriteFile(path, contents[name], 0o644); err != nil { // functions may run as somebody else
			return "", fmt.Errorf("install bootstrap: %w", err)
		}
	}
	return out, nil
}

func (r resolver) resolve(ctx context.Context, f Function) (entry, error) {
	if info, err := os.Stat(f.CodeDir); err != nil || !info.IsDir() {
		return entry{}, fmt.Errorf("%w: code folder %s of function %s is not there", errEntrypoint, f.CodeDir, f.Name)
	}
	switch {
	case strings.HasPrefix(f.Runtime, "python"):
		return r.python(ctx, f)
	case strings.HasPrefix(f.Runtime, "nodejs"):
		return r.node(ctx, f)
	}
	return provided(f)
}

func provided(f Function) (entry, error) {
	path := filepath.Join(f.CodeDir, "bootstrap")
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() {
		return entry{}, fmt.Errorf("%w: couldn't find valid bootstrap(s): [%s]", errEntrypoint, path)
	}
	if info.Mode().Perm()&0o111 == 0 {
		return entry{}, fmt.Errorf("%w: %s is not executable (chmod +x it)", errEntrypoint, path)
	}
	return entry{command: []string{path}}, nil
}

func (r resolver) python(ctx context.Context, f Function) (entry, error) {
	found, err := r.find(ctx, f, []string{f.Runtime, "python3"}, "-c", pythonProbe, f.CodeDir)
	if err != nil {
		return entry{}, err
	}
	e := entry{binDir: filepath.Dir(found.path)}
	if found.ric == "awslambdaric" {
		e.command = []string{found.path, "-c", ricStart, f.Handler}
		return e, nil
	}
	e.command, e.marks = []string{found.path, filepath.Join(r.runtimeDir, "bootstrap.py"), f.Handler}, true
	return e, nil
}

func (r resolver) node(ctx context.Context, f Function) (entry, error) {
	names := []string{"node", "nodejs"}
	if major, ok := strings.CutSuffix(strings.TrimPrefix(f.Runtime, "nodejs"), ".x"); ok {
		names = append([]string{"node" + major, "node-" + major}, names...)
	}
	found, err := r.find(ctx, f, names, "-e", nodeProbe)
	if err != nil {
		return entry{}, err
	}
	return entry{
		command: []string{found.path, filepath.Join(r.runtimeDir, "bootstrap.cjs"), f.Handler},
		binDir:  filepath.Dir(found.path), marks: true,
	}, nil
}

type interpreter struct{ path, ric string }

// find runs the first program of these names on the search path that answers the probe; the error says what was tried.
func (r resolver) find(ctx context.Context, f Function, names []string, probe ...string) (interpreter, error) {
	var tried []string
	seen := map[string]bool{}
	for _, name := range names {
		for _, dir := range filepath.SplitList(r.searchPath) {
			path := filepath.Join(dir, name)
			if !filepath.IsAbs(path) || seen[path] || !executable(path) {
				continue
			}
			seen[path] = true
			found, err := r.probe(ctx, f, path, probe)
			if err == nil {
				return found, nil
			}
			tried = append(tried, fmt.Sprintf("%s: %v", path, err))
		}
	}
	reason := "none is there"
	if len(tried) > 0 {
		reason = strings.Join(tried, "; ")
	}
	return interpreter{}, fmt.Errorf("%w: function %s wants %s, looked for %s on %s: %s (install it, or put it on PATH of greengate)",
		errEntrypoint, f.Name, f.Runtime, strings.Join(names, ", "), r.searchPath, reason)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

func (r resolver) probe(ctx context.Context, f Function, path string, args []string) (interpreter, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // found on the operator's search path
	cmd.Dir = f.CodeDir
	cmd.Env = []string{"PATH=" + r.searchPath, "HOME=/nonexistent", "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"}
	for _, name := range []string{"PYTHONPATH", "NODE_OPTIONS"} {
		if v, ok := f.Env[name]; ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.WaitDelay = time.Second
	var errText bytes.Buffer
	cmd.Stderr = &errText
	out, err := cmd.Output()
	if err != nil {
		if text := lastLine(errText.String()); text != "" {
			return interpreter{}, errors.New(text)
		}
		return interpreter{}, err
	}
	var answers []string
	for line := range strings.Lines(string(out)) {
		if a, ok := strings.CutPrefix(strings.TrimRight(line, "\r\n"), probePrefix); ok {
			answers = append(answers, a)
		}
	}
	if len(answers) != 2 || !filepath.IsAbs(answers[0]) {
		return interpreter{}, errors.New("did not say where it is")
	}
	return interpreter{path: answers[0], ric: answers[1]}, nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
