package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestPython_returns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python(`
import logging, sys, decimal
log = logging.getLogger()
log.setLevel(logging.INFO)
print("importing")
def handler(event, context):
    print("printed")
    log.info("two\nlines %s", event["n"])
    logging.getLogger("other").debug("never")
    print("to stderr", file=sys.stderr)
    sys.stdout.write("no newline")
    c = context
    return {"event": event, "id": c.aws_request_id, "arn": c.invoked_function_arn, "left": c.get_remaining_time_in_millis(),
            "mem": c.memory_limit_in_mb, "name": c.function_name, "version": c.function_version, "group": c.log_group_name,
            "stream": c.log_stream_name, "identity": c.identity.cognito_identity_id, "client": c.client_context,
            "n": decimal.Decimal("1.5"), "i": decimal.Decimal("7"), "text": "grün"}
`)
	r := w.run(f, `{"n": 42}`)
	want(t, r, StateSucceeded, "", "")
	var got map[string]any
	if err := json.Unmarshal(r.Payload, &got); err != nil {
		t.Fatalf("%v: %s", err, r.Payload)
	}
	left, _ := got["left"].(float64)
	if left <= 20_000 || left > 30_000 {
		t.Errorf("remaining time %v", got["left"])
	}
	delete(got, "left")
	wanted := map[string]any{
		"event": map[string]any{"n": 42.0}, "id": r.ID, "arn": f.ARN(), "mem": "256", "name": "hook", "version": "$LATEST",
		"group": "/aws/lambda/hook", "stream": r.LogStream, "identity": nil, "client": nil, "n": 1.5, "i": 7.0, "text": "grün",
	}
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Errorf("got  %v\nwant %v", got, wanted)
	}
	log := w.logOf(r)
	wantOrder(t, log, "importing\n", "START RequestId: "+r.ID+" Version: $LATEST\n", "printed\n", "END RequestId: "+r.ID+"\n", "REPORT RequestId: "+r.ID)
	wantOrder(t, log, "START", "to stderr\n", "END")
	wantOrder(t, log, "START", "no newline\n", "END")
	if !regexp.MustCompile(`\[INFO\]\t\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\t` + r.ID + `\ttwo\nlines 42\n`).MatchString(log) {
		t.Errorf("logging looks different:\n%s", log)
	}
	report := `REPORT RequestId: ` + r.ID + `\tDuration: [0-9.]+ ms\tBilled Duration: [0-9]+ ms\tMemory Size: 256 MB\tMax Memory Used: [1-9][0-9]* MB\tInit Duration: [0-9.]+ ms\t\n`
	if !regexp.MustCompile(report).MatchString(log) || strings.Contains(log, "greengate:end") || strings.Contains(log, "never") {
		t.Errorf("the log looks different:\n%q", log)
	}
	if !strings.HasSuffix(log, string(r.LogTail)) || !strings.HasPrefix(string(r.LogTail), "START") {
		t.Errorf("log tail: %q", r.LogTail)
	}
}

func TestPython_failures(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	tests := []struct{ name, code, errorType, message, log string }{
		{"raises", "def handler(e, c):\n    raise ValueError('bad thing')\n", "ValueError", "bad thing", "[ERROR] ValueError: bad thing\nTraceback (most recent call last):\n  File"},
		{"exits", "import sys\ndef handler(e, c):\n    sys.exit(3)\n", ErrorTypeExit, "exit status 3", "Error: Runtime exited with error: exit status 3\nRuntime.ExitError"},
		{"exits 0", "import sys\ndef handler(e, c):\n    sys.exit(0)\n", ErrorTypeExit, "without providing a reason", "END"},
		{"killed", "import os\ndef handler(e, c):\n    print('last words', flush=True)\n    os.kill(os.getpid(), 9)\n", ErrorTypeExit, "signal: killed", "last words"},
		{"cannot import", "import no_such_module\n", "Runtime.ImportModuleError", "No module named 'no_such_module'", "[ERROR] Runtime.ImportModuleError: Unable to import module 'handler"},
		{"syntax", "def handler(:\n", "Runtime.UserCodeSyntaxError", "Syntax error in module", "Status: error\tError Type: Runtime.UserCodeSyntaxError"},
		{"no handler", "x = 1\n", "Runtime.HandlerNotFound", "missing on module", "END"},
		{"raises at import", "raise KeyError('setting')\n", "KeyError", "setting", "END"},
		{"exits at import", "import sys\nprint('going')\nsys.exit(7)\n", ErrorTypeExit, "exit status 7", "going"},
		{"not JSON", "def handler(e, c):\n    return object()\n", "Runtime.MarshalError", "Unable to marshal response", "END"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := w.run(w.python(tt.code), "{}")
			want(t, r, StateFailed, tt.errorType, tt.message)
			wantOrder(t, w.logOf(r), "START RequestId: "+r.ID, "END RequestId: "+r.ID, "REPORT RequestId: "+r.ID)
			wantOrder(t, w.logOf(r), tt.log)
			if tt.name == "raises" && (len(r.StackTrace) != 1 || !strings.Contains(r.StackTrace[0], "line 2, in handler")) {
				t.Errorf("stack trace: %q", r.StackTrace)
			}
		})
	}
	f := w.python("")
	f.Handler = "nodot"
	want(t, w.run(f, "{}"), StateFailed, "Runtime.MalformedHandlerName", "Bad handler 'nodot'")
}

func TestPython_errorKeepsSandbox(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python("n = 0\ndef handler(e, c):\n    global n\n    n += 1\n    if n == 1: raise RuntimeError('first')\n    return n\n")
	want(t, w.run(f, "{}"), StateFailed, "RuntimeError", "first")
	if r := w.run(f, "{}"); string(r.Payload) != "2" || r.ColdStart {
		t.Errorf("got %s, cold %t: state is kept over an exception, as on Lambda", r.Payload, r.ColdStart)
	}
}

func alive(pid int) bool {
	state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(state), ") Z ") && syscall.Kill(pid, 0) == nil
}

// pids reads the process ids that a handler wrote to $F.
func (w *world) pids() []int {
	var out []int
	for s := range strings.FieldsSeq(w.file()) {
		pid, err := strconv.Atoi(s)
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, pid)
	}
	return out
}

const lingerer = `
import os, subprocess, sys
def linger():
    p = subprocess.Popen(["sleep", "600"], start_new_session=True)
    open('$F', 'a').write("%d %d " % (os.getpid(), p.pid))
`

func TestPython_timeoutKillsEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python(lingerer + "import time\ndef handler(e, c):\n    linger()\n    print('working', flush=True)\n    time.sleep(600)\n")
	f.Timeout = 1500 * time.Millisecond
	r := w.run(f, "{}")
	want(t, r, StateFailed, ErrorTypeTimedOut, "Task timed out after 1.50 seconds")
	if !r.TimedOut || r.Billed < f.Timeout || r.Billed > f.Timeout+10*time.Second || r.MaxMemoryMB == 0 {
		t.Errorf("got %+v", r)
	}
	pids := w.pids()
	if len(pids) != 2 {
		t.Fatalf("the handler did not fork: %v", pids)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is alive after the result", pid)
		}
	}
	wantOrder(t, w.logOf(r), "working", r.ID+" Task timed out after 1.50 seconds", "END", "REPORT", "Status: timeout")
}

func TestPython_initTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.InitTimeout = 300 * time.Millisecond })
	f := w.python("import time\ntime.sleep(600)\n")
	f.Timeout = 500 * time.Millisecond
	want(t, w.run(f, "{}"), StateFailed, ErrorTypeTimedOut, "did not finish its initialization in 0.50 seconds")
}

// A slow start is no failure while the function's own limit is not over: Lambda would start it again within that.
func TestPython_slowInit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.InitTimeout = 300 * time.Millisecond })
	f := w.python("import time\ntime.sleep(1)\ndef handler(e, c): return 'late'\n")
	f.Timeout = time.Minute
	r := w.run(f, "{}")
	want(t, r, StateSucceeded, "", "")
	if string(r.Payload) != `"late"` {
		t.Errorf("it answered %s", r.Payload)
	}
}

// A handler that leaves a process behind, which keeps its output open and prints, is done when it has answered.
func TestPython_lingererBlocksNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python(lingerer + `
def handler(e, c):
    linger()
    if os.fork() == 0:
        os.setsid()
        os.execvp("sh", ["sh", "-c", "while :; do echo noise; sleep 0.01; done"])
    return "done"
`)
	start := time.Now()
	r := w.run(f, "{}")
	want(t, r, StateSucceeded, "", "")
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("took %s", took)
	}
	pids := w.pids()
	if !alive(pids[1]) {
		t.Error("the lingering process went without reason")
	}
	if err := w.StopAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d outlived its sandbox", pid)
		}
	}
	w.start()
}

func TestPython_printsTooMuch(t *testing.T) {
	t.Parallel()
	megabytes := 100
	if testing.Short() {
		megabytes = 20
	}
	w := newWorld(t, func(c *Config) { c.MaxOutput = 2 << 20 })
	f := w.python(fmt.Sprintf("def handler(e, c):\n    line = 'x' * 1023\n    for i in range(%d * 1024): print(line)\n    print('y' * 3000000)\n    return 'fine'\n", megabytes))
	f.Timeout = 120 * time.Second
	r := w.run(f, "{}")
	want(t, r, StateSucceeded, "", "")
	log := w.logOf(r)
	wantOrder(t, log, "START", "xxxx", "greengate: output limit of 2097152 bytes reached", "END", "REPORT")
	if len(log) < 2<<20 || len(log) > 3<<20 {
		t.Errorf("%d bytes of log kept", len(log))
	}
	if r := w.run(f, "{}"); !r.ColdStart {
		t.Error("a full log stream is used again")
	}
}

func TestPython_responseTooBig(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python("def handler(e, c):\n    return 'x' * e\n")
	want(t, w.run(f, fmt.Sprint(MaxPayload+200)), StateFailed, ErrorTypeResponseTooBig, "6291556 bytes")
	r := w.run(f, fmt.Sprint(MaxPayload))
	want(t, r, StateSucceeded, "", "")
	if len(r.Payload) != MaxPayload+2 || r.ColdStart {
		t.Errorf("%d bytes, cold %t", len(r.Payload), r.ColdStart)
	}
}

func TestPython_environment(t *testing.T) { //nolint:paralleltest // changes the environment
	t.Setenv("GREENGATE_TEST_SECRET", "do not leak")
	t.Setenv("AWS_PROFILE", "operator")
	w := newWorld(t, nil)
	f := w.python("import os\ndef handler(e, c):\n    return dict(os.environ)\n")
	f.Env = map[string]string{"STAGE": "test"}
	creds := &Credentials{AccessKeyID: "AKIA", SecretAccessKey: "sec", SessionToken: "tok", Expires: time.Now().Add(time.Hour)}
	if err := w.Invoke(t.Context(), Invocation{ID: "env", Function: f, Credentials: creds, EndpointURL: "http://127.0.0.1:4566"}); err != nil {
		t.Fatal(err)
	}
	r := w.await("env")
	var got map[string]string
	if err := json.Unmarshal(r.Payload, &got); err != nil {
		t.Fatal(err)
	}
	wanted := map[string]string{
		"_HANDLER": f.Handler, "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "sec", "AWS_SESSION_TOKEN": "tok", "AWS_REGION": "us-east-1",
		"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566", "AWS_EXECUTION_ENV": "AWS_Lambda_python3",
		"AWS_LAMBDA_FUNCTION_NAME": "hook", "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
		"AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/hook", "AWS_LAMBDA_LOG_STREAM_NAME": r.LogStream, "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
		"LAMBDA_TASK_ROOT": w.code, "TZ": ":UTC", "LANG": "en_US.UTF-8", "STAGE": "test", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
	}
	for k, v := range wanted {
		if got[k] != v {
			t.Errorf("%s = %q, want %q", k, got[k], v)
		}
		delete(got, k)
	}
	for _, k := range []string{"AWS_LAMBDA_RUNTIME_API", "LAMBDA_RUNTIME_DIR", "PATH", "HOME", "TMPDIR", "_X_AMZN_TRACE_ID"} {
		if got[k] == "" {
			t.Errorf("%s is not set", k)
		}
		delete(got, k)
	}
	delete(got, "LC_CTYPE") // Python sets it itself where the locale is not installed
	if len(got) > 0 {
		t.Errorf("more than Lambda gives: %v", got)
	}
}

// The client that people write hooks with works as it is where it is installed.
func TestPython_boto3(t *testing.T) {
	t.Parallel()
	if err := exec.Command("python3", "-c", "import boto3").Run(); err != nil {
		t.Skip("boto3 is not installed for python3 (pip install boto3): hooks with an AWS client are not tested")
	}
	var mu sync.Mutex
	var calls []string
	stub := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		calls = append(calls, r.Header.Get("X-Amz-Target")+" "+string(body))
		mu.Unlock()
		if !strings.Contains(r.Header.Get("Authorization"), "Credential=AKIAHOOK/") || r.Header.Get("X-Amz-Security-Token") != "tok" {
			rw.WriteHeader(http.StatusForbidden)
		}
		rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(rw, `{"lifecycleEventHookExecutionId":"exec"}`)
	}))
	defer stub.Close()
	w := newWorld(t, nil)
	f := w.python(`
import boto3
client = boto3.client("codedeploy")
def handler(event, context):
    status = "Succeeded"
    try:
        assert event["ok"], "not ok"
    except Exception:
        status = "Failed"
    r = client.put_lifecycle_event_hook_execution_status(deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"], status=status)
    return r["lifecycleEventHookExecutionId"]
`)
	for i, ok := range []string{"true", "false"} {
		in := Invocation{
			ID: fmt.Sprint("boto-", i), Function: f, EndpointURL: stub.URL,
			Payload:     []byte(`{"DeploymentId":"d-ABC","LifecycleEventHookExecutionId":"exec","ok":` + ok + `}`),
			Credentials: &Credentials{AccessKeyID: "AKIAHOOK", SecretAccessKey: "s", SessionToken: "tok"},
		}
		if err := w.Invoke(t.Context(), in); err != nil {
			t.Fatal(err)
		}
		r := w.await(in.ID)
		want(t, r, StateSucceeded, "", "")
		if string(r.Payload) != `"exec"` {
			t.Errorf("payload %s", r.Payload)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(calls) != 2 || !strings.Contains(calls[0], `"Succeeded"`) || !strings.Contains(calls[1], `"Failed"`) ||
		!strings.HasPrefix(calls[0], "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus") {
		t.Errorf("calls: %q", calls)
	}
}

// Lambda's own client is used where it is importable.
func TestPython_awslambdaric(t *testing.T) {
	t.Parallel()
	if err := exec.Command("python3", "-c", "import awslambdaric.bootstrap").Run(); err != nil {
		t.Skip("awslambdaric is not installed for python3 (pip install awslambdaric): our own bootstrap is tested alone")
	}
	w := newWorld(t, nil)
	f := w.python("import sys\nn = 0\ndef handler(e, c):\n    global n\n    n += 1\n    print('in handler')\n    if e: raise ValueError(e)\n    return [n, 'awslambdaric' in sys.modules, c.aws_request_id]\n")
	visible := func(f Function) Function {
		if err := os.Remove(filepath.Join(w.code, "awslambdaric.py")); err != nil {
			t.Fatal(err)
		}
		return f
	}
	f = visible(f)
	r := w.run(f, `""`)
	want(t, r, StateSucceeded, "", "")
	if string(r.Payload) != `[1, true, "`+r.ID+`"]` {
		t.Errorf("payload %s", r.Payload)
	}
	wantOrder(t, w.logOf(r), "START", "in handler", "END", "REPORT")
	want(t, w.run(f, `"bad"`), StateFailed, "ValueError", "bad")
	if r := w.run(f, `""`); r.ColdStart || !strings.HasPrefix(string(r.Payload), "[3") {
		t.Errorf("payload %s, cold %t", r.Payload, r.ColdStart)
	}
	r = w.run(visible(w.python("import logging\ndef handler(e, c):\n    try: raise ValueError('why')\n    except ValueError: logging.exception('went wrong')\n    print('next')\n")), "{}")
	wantOrder(t, w.logOf(r), "went wrong\nTraceback", "\nValueError: why\n", "next\n")
	want(t, w.run(visible(w.python("import no_such_module")), "{}"), StateFailed, "Runtime.ImportModuleError", "no_such_module")
	want(t, w.run(visible(w.python("import os\ndef handler(e, c): os._exit(4)")), "{}"), StateFailed, ErrorTypeExit, "exit status 4")
}

func TestPython_privateFolders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	f := w.python("import os, tempfile\ndef handler(e, c):\n    fd, p = tempfile.mkstemp()\n    return [p, os.path.expanduser('~'), os.getcwd()]\n")
	r := w.run(f, "{}")
	var got []string
	if err := json.Unmarshal(r.Payload, &got); err != nil {
		t.Fatal(err)
	}
	scratch := filepath.Join(w.cfg.Dir, "scratch")
	if !strings.HasPrefix(got[0], scratch) || !strings.HasPrefix(got[1], scratch) || got[2] != w.code {
		t.Errorf("got %q", got)
	}
}
