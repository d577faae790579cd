package runner

import "time"

// Mode says what the end of a unit's main process means.
type Mode string

const (
	// ModeService is started again whenever it ends, with capped back-off, until it is stopped.
	ModeService Mode = "service"
	// ModeOnce runs at most once; its exit status is kept.
	ModeOnce Mode = "once"
)

// Networks of a unit.
const (
	// NetworkHost shares the host's network; the unit has a loopback address of its own.
	NetworkHost = "host"
	// NetworkNamespace gives the unit a network namespace of its own (root on Linux only).
	NetworkNamespace = "namespace"
)

// Spec describes one supervised program ("unit").
type Spec struct {
	// ID is unique for ever and chosen by the caller: 1 to 200 of [A-Za-z0-9._:/-]. Ensure is idempotent by ID.
	ID string `json:"id"`
	// Group is a label to list by, such as a task set id; may be empty, same alphabet as ID.
	Group string `json:"group,omitempty"`
	// Mode is required.
	Mode Mode `json:"mode"`

	// Command is the program and its arguments. A name without a slash is looked up in the unit's PATH, a relative
	// path is relative to Dir. No shell is involved.
	Command []string `json:"command"`
	// Dir is the absolute working folder; "" is "/".
	Dir string `json:"dir,omitempty"`
	// Env is the program's environment; it wins over EnvFile.
	Env map[string]string `json:"env,omitempty"`
	// EnvFile holds KEY=VALUE lines and is read at each start; errors name file and line. A relative path is
	// relative to Dir.
	EnvFile string `json:"env_file,omitempty"`

	// Address is the IP address the program should listen on, given to it as HOST. "" lets the runner pick a loopback
	// address that no other unit of this installation has; it stays the unit's over restarts of program and runner.
	Address string `json:"address,omitempty"`
	// Port is given to the program as PORT. 0 with NeedPort lets the runner pick a free one.
	Port int `json:"port,omitempty"`
	// NeedPort asks for a port that no other unit of this installation has, where Port is 0.
	NeedPort bool `json:"need_port,omitempty"`
	// Network is NetworkHost ("" too) or NetworkNamespace.
	Network string `json:"network,omitempty"`

	// Health is how a service is probed; nil means that running is healthy.
	Health *HealthCheck `json:"health,omitempty"`
	// Limits bound what the unit and its descendants may use together.
	Limits Limits `json:"limits,omitzero"`
	// Grace is the time between SIGTERM and SIGKILL; 0 is 30 s, negative means SIGKILL at once.
	Grace time.Duration `json:"grace,omitempty"`
	// Timeout ends a unit of mode once (SIGTERM, Grace, SIGKILL) and marks its exit TimedOut; 0 is no limit.
	Timeout time.Duration `json:"timeout,omitempty"`

	// LogFile is the absolute path of the rotated log (CRI format, see doc); "" is Dir/logs/<id>.log of the runner.
	LogFile string `json:"log_file,omitempty"`
	// LogMaxBytes rotates the log; 0 is 10 MiB.
	LogMaxBytes int64 `json:"log_max_bytes,omitempty"`
	// LogKeep is the number of rotated files kept beside the current one (file.1 is the youngest); 0 is 3, negative none.
	LogKeep int `json:"log_keep,omitempty"`

	// Digest says what this spec means to the caller. Ensure of a known ID with another Digest is ErrConflict. "" is
	// replaced by a digest of the whole spec.
	Digest string `json:"digest,omitempty"`
}

// HealthCheck says how a unit is probed at its address and port. Health is reported only: the runner does not restart
// an unhealthy unit, the caller decides.
type HealthCheck struct {
	// Type is "http" or "tcp".
	Type string `json:"type"`
	// Path is the request target of an http check; "" is "/".
	Path string `json:"path,omitempty"`
	// Statuses that pass, as a load balancer's matcher: "200", "200,204", "200-299"; "" is "200".
	Statuses string `json:"statuses,omitempty"`
	// Protocol of an http check is "" or "http1", or "h2c": HTTP/2 with prior knowledge, for servers that speak nothing else.
	Protocol string `json:"protocol,omitempty"`
	// Host is the Host header of an http check; "" is address:port.
	Host string `json:"host,omitempty"`
	// Interval between probes; 0 is 5 s. A unit that has not answered yet is probed at least every 200 ms, but only
	// one failure an interval counts.
	Interval time.Duration `json:"interval,omitempty"`
	// Timeout of one probe; 0 is 2 s.
	Timeout time.Duration `json:"timeout,omitempty"`
	// HealthyThreshold is the number of successes in a row that make it healthy; 0 is 1.
	HealthyThreshold int `json:"healthy_threshold,omitempty"`
	// UnhealthyThreshold is the number of failures in a row that make it unhealthy; 0 is 3.
	UnhealthyThreshold int `json:"unhealthy_threshold,omitempty"`
	// StartPeriod is the time after a start during which failures do not count.
	StartPeriod time.Duration `json:"start_period,omitempty"`
}

// Limits of a unit with all its descendants; zero is no limit.
type Limits struct {
	// CPU is a number of cores, such as 0.25.
	CPU float64 `json:"cpu,omitempty"`
	// MemoryBytes is the memory limit.
	MemoryBytes int64 `json:"memory_bytes,omitempty"`
	// PIDs is the number of processes and threads.
	PIDs int64 `json:"pids,omitempty"`
}

// State of a unit.
type State string

// States of a unit. Stopped, exited and failed are final: the unit has ended.
const (
	StateStarting State = "starting" // recorded, the program does not run yet
	StateRunning  State = "running"  // the main process lives
	StateBackoff  State = "backoff"  // a service ended or could not be started; it is started again after a pause
	StateStopping State = "stopping" // told to end
	StateStopped  State = "stopped"  // ended because of Stop
	StateExited   State = "exited"   // a once unit ended by itself or by its Timeout; see Exit
	StateFailed   State = "failed"   // never ran: it could not be started; Ensure may try again
)

// Ended reports whether the state is final.
func (s State) Ended() bool {
	return s == StateStopped || s == StateExited || s == StateFailed
}

// Health values of Status.
const (
	HealthUnknown   = "unknown"   // not running
	HealthStarting  = "starting"  // running, not yet decided
	HealthHealthy   = "healthy"   // passed its thresholds, or running without a check
	HealthUnhealthy = "unhealthy" // failed its thresholds
)

// Status is what is known of a unit at one moment.
type Status struct {
	ID    string `json:"id"`
	Group string `json:"group,omitempty"`
	Mode  Mode   `json:"mode"`
	// Digest is the Spec's.
	Digest string `json:"digest"`
	State  State  `json:"state"`
	// Health is one of the Health constants; HealthReason says what was seen.
	Health       string `json:"health"`
	HealthReason string `json:"health_reason,omitempty"`
	// PID of the main process, 0 when there is none.
	PID     int    `json:"pid,omitempty"`
	Address string `json:"address,omitempty"`
	Port    int    `json:"port,omitempty"`
	// Restarts counts the starts of a service after its first.
	Restarts int `json:"restarts,omitempty"`
	// StartedAt is the start of the present or last main process, EndedAt its end as seen by a runner.
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	// Exit is how the last main process ended; nil while one runs and before the first has ended.
	Exit *Exit `json:"exit,omitempty"`
	// Reason is for people: why it is in backoff, failed, stopped, or what is odd about it.
	Reason string `json:"reason,omitempty"`
	// LastEnd says how a process of a service ended that was not told to, also after it was started again.
	LastEnd string `json:"last_end,omitempty"`
	// Enforced and NotEnforced name the limits asked for ("cpu", "memory", "pids") and how, or why not.
	Enforced    []string `json:"enforced,omitempty"`
	NotEnforced []string `json:"not_enforced,omitempty"`
	// Adopted is set when the process was started by an earlier runner.
	Adopted bool `json:"adopted,omitempty"`
	// LogFile is the path of the current log file.
	LogFile string `json:"log_file,omitempty"`
	// LogLost is the number of output bytes that could not be written (disk full) since this runner began.
	LogLost int64 `json:"log_lost,omitempty"`
}

// Exit is how a main process ended.
type Exit struct {
	// Known is false when the status was lost, since no runner was alive or the kernel gives it to the parent only.
	Known bool `json:"known"`
	// Code is the exit code; -1 when it was ended by a signal or is not known.
	Code int `json:"code"`
	// Signal is the name of the signal that ended it, such as "SIGKILL".
	Signal string `json:"signal,omitempty"`
	// TimedOut is set when the runner ended it because of Spec.Timeout.
	TimedOut bool `json:"timed_out,omitempty"`
	// OOM is set when the kernel killed a process of the unit at its memory limit.
	OOM bool `json:"oom,omitempty"`
}

// Success reports an exit that is known to be clean: code 0, no signal, no timeout.
func (e *Exit) Success() bool {
	return e != nil && e.Known && e.Code == 0 && e.Signal == "" && !e.TimedOut
}

// LogQuery says which part of a unit's log to read.
type LogQuery struct {
	// Tail is the number of last lines, over rotated files too; 0 means all that is kept, negative none (follow only).
	Tail int
	// Offset, if positive, starts at that byte of the current file instead; Tail is then ignored.
	Offset int64
	// Follow keeps the stream open until the unit has ended and everything was sent.
	Follow bool
}
