package sandbox

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Limits of AWS Lambda.
const (
	// MaxPayload is the most bytes an event or a response may have (a response gets 100 bytes more, as on Lambda).
	MaxPayload     = 6 << 20
	maxResponse    = MaxPayload + 100
	maxEnv         = 1 << 20
	maxTimeout     = 24 * time.Hour // Lambda itself stops at 15 minutes; the caller keeps that rule
	defaultTimeout = 3 * time.Second
	defaultMemory  = 128 // MB
)

// Function describes what to run. Version must change whenever code or configuration do.
type Function struct {
	Name      string            `json:"name"`     // [A-Za-z0-9_-]{1,140}
	Runtime   string            `json:"runtime"`  // python3, python3.11, nodejs, nodejs20.x, provided, provided.al2023 …
	Handler   string            `json:"handler"`  // module.function (Python), file.function (Node), free (provided)
	CodeDir   string            `json:"code_dir"` // absolute; the unpacked code, the working directory of the handler
	Timeout   time.Duration     `json:"timeout"`  // of one invocation; 0 = 3 s, as on Lambda
	MemoryMB  int               `json:"memory_mb"`
	Env       map[string]string `json:"env"`
	Version   string            `json:"version"` // digest of code and configuration: a sandbox is reused only for the same
	AccountID string            `json:"account_id"`
	Region    string            `json:"region"`
}

// ARN is the name of the function as the handler sees it.
func (f Function) ARN() string {
	return "arn:aws:lambda:" + f.Region + ":" + f.AccountID + ":function:" + f.Name
}

// LogGroup is the name of the log group that holds the function's output.
func (f Function) LogGroup() string { return "/aws/lambda/" + f.Name }

// Credentials are what the handler's AWS clients sign with.
type Credentials struct {
	AccessKeyID     string    `json:"access_key_id"`
	SecretAccessKey string    `json:"secret_access_key"`
	SessionToken    string    `json:"session_token"`
	Expires         time.Time `json:"expires"` // zero: never; a sandbox is not reused where its own would end within an invocation
}

// Invocation is one call of a function.
type Invocation struct {
	ID          string       `json:"id"` // unique for ever, chosen by the caller, UUID-like; it is the request id
	Function    Function     `json:"function"`
	Payload     []byte       `json:"payload"` // JSON, MaxPayload bytes at most; empty = {}
	Credentials *Credentials `json:"credentials,omitempty"`
	EndpointURL string       `json:"endpoint_url"` // AWS_ENDPOINT_URL of the handler
	// Deadline is the latest moment the invocation may end, waiting for a free sandbox included. Zero: only the timeout counts.
	Deadline time.Time `json:"deadline"`
}

// State of an invocation.
type State string

// The states of an invocation; the last three are final.
const (
	StatePending   State = "pending"   // accepted, not handed to a process yet
	StateRunning   State = "running"   // handed to a process
	StateSucceeded State = "succeeded" // the handler returned
	StateFailed    State = "failed"    // the handler raised, crashed, timed out, could not start, or was cancelled
	StateUnknown   State = "unknown"   // it may have run; its end was not seen
)

// Final reports whether nothing follows this state.
func (s State) Final() bool {
	return s == StateSucceeded || s == StateFailed || s == StateUnknown
}

// Result is what is known of an invocation.
type Result struct {
	ID           string        `json:"id"`
	State        State         `json:"state"`
	ErrorType    string        `json:"error_type,omitempty"`
	ErrorMessage string        `json:"error_message,omitempty"`
	StackTrace   []string      `json:"stack_trace,omitempty"`
	Payload      []byte        `json:"payload,omitempty"` // what the handler returned
	LogStream    string        `json:"log_stream,omitempty"`
	Started      time.Time     `json:"started"`
	Ended        time.Time     `json:"ended"`
	Billed       time.Duration `json:"billed"` // duration rounded up to a millisecond
	MaxMemoryMB  int           `json:"max_memory_mb"`
	ColdStart    bool          `json:"cold_start"`
	LogTail      []byte        `json:"log_tail,omitempty"` // the last 4 KB of the invocation's log
	TimedOut     bool          `json:"timed_out"`
}

var (
	idPattern       = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	functionPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,140}$`)
	runtimePattern  = regexp.MustCompile(`^(python3(\.[0-9]{1,2})?|nodejs([0-9]{1,3}\.x)?|provided(\.[a-z0-9]{1,16})?)$`)
	accountPattern  = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern   = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	envNamePattern  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)
)

// reservedEnv are the variables that a function may not set itself (AWS Lambda, "Defined runtime environment variables").
var reservedEnv = map[string]bool{
	"_HANDLER": true, "_X_AMZN_TRACE_ID": true, "AWS_DEFAULT_REGION": true, "AWS_REGION": true, "AWS_EXECUTION_ENV": true,
	"AWS_LAMBDA_FUNCTION_NAME": true, "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": true, "AWS_LAMBDA_FUNCTION_VERSION": true,
	"AWS_LAMBDA_INITIALIZATION_TYPE": true, "AWS_LAMBDA_LOG_GROUP_NAME": true, "AWS_LAMBDA_LOG_STREAM_NAME": true,
	"AWS_ACCESS_KEY": true, "AWS_ACCESS_KEY_ID": true, "AWS_SECRET_ACCESS_KEY": true, "AWS_SESSION_TOKEN": true,
	"AWS_LAMBDA_RUNTIME_API": true, "LAMBDA_TASK_ROOT": true, "LAMBDA_RUNTIME_DIR": true,
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
}

// check refuses what could never run and what would leave the folders it belongs in.
func (i Invocation) check() error {
	switch {
	case !idPattern.MatchString(i.ID):
		return invalid("invocation id %q: want 1 to 128 of A-Z a-z 0-9 . _ -", i.ID)
	case len(i.Payload) > MaxPayload:
		return invalid("payload of %d bytes: the limit is %d", len(i.Payload), MaxPayload)
	case len(i.Payload) > 0 && !json.Valid(i.Payload):
		return invalid("payload is not JSON")
	}
	return i.Function.check()
}

func (f Function) check() error {
	switch {
	case !functionPattern.MatchString(f.Name):
		return invalid("function name %q: want 1 to 140 of A-Z a-z 0-9 _ -", f.Name)
	case !runtimePattern.MatchString(f.Runtime):
		return invalid("function %s: runtime %q: want python3[.N], nodejs[N.x] or provided[.NAME]", f.Name, f.Runtime)
	case f.Handler == "" && !strings.HasPrefix(f.Runtime, "provided"):
		return invalid("function %s: handler is empty: want module.function", f.Name)
	case len(f.Handler) > 128 || strings.ContainsAny(f.Handler, "\x00\n"):
		return invalid("function %s: handler %q is too long or holds control characters", f.Name, f.Handler)
	case !filepath.IsAbs(f.CodeDir):
		return invalid("function %s: code folder %q is not an absolute path", f.Name, f.CodeDir)
	case f.Timeout < 0 || f.Timeout > maxTimeout:
		return invalid("function %s: timeout %s: want 0 to %s", f.Name, f.Timeout, maxTimeout)
	case f.MemoryMB < 0 || f.MemoryMB > 1<<20:
		return invalid("function %s: memory %d MB", f.Name, f.MemoryMB)
	case !accountPattern.MatchString(f.AccountID):
		return invalid("function %s: account id %q: want 12 digits", f.Name, f.AccountID)
	case !regionPattern.MatchString(f.Region):
		return invalid("function %s: region %q", f.Name, f.Region)
	}
	return f.checkEnv()
}

func (f Function) checkEnv() error {
	size := 0
	for name, value := range f.Env {
		switch {
		case !envNamePattern.MatchString(name):
			return invalid("function %s: environment variable name %q", f.Name, name)
		case reservedEnv[name]:
			return invalid("function %s: environment variable %s is reserved by Lambda", f.Name, name)
		case strings.ContainsRune(value, 0):
			return invalid("function %s: environment variable %s holds a NUL byte", f.Name, name)
		}
		size += len(name) + len(value) + 2
	}
	if size > maxEnv {
		return invalid("function %s: environment of %d bytes: the limit is %d", f.Name, size, maxEnv)
	}
	return nil
}

// withDefaults fills in what Lambda fills in.
func (f Function) withDefaults() Function {
	if f.Timeout == 0 {
		f.Timeout = defaultTimeout
	}
	if f.MemoryMB == 0 {
		f.MemoryMB = defaultMemory
	}
	return f
}
