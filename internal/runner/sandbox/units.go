package sandbox

import "context"

// Units starts and stops the programs of sandboxes. The programs outlive the manager and the process it runs in.
//
// An implementation may also offer [UnitForgetter] and [MemoryMeter].
type Units interface {
	// Start runs a program. It is durable and idempotent by Program.ID: a second call for an ID that runs or ran does nothing.
	Start(ctx context.Context, p Program) error
	// Stop kills the program with all its descendants (SIGKILL) and returns once that has begun. Unknown IDs are no error.
	Stop(ctx context.Context, id string) error
	// Wait blocks until the program has ended. An ID that was never started is an error.
	Wait(ctx context.Context, id string) (Exit, error)
}

// UnitForgetter is an optional power of [Units]: it drops the record of an ended program.
type UnitForgetter interface {
	Forget(ctx context.Context, id string) error
}

// MemoryMeter is an optional power of [Units]: it tells the most memory that a program and its descendants have held,
// in bytes. Without it the peak resident size of the largest process is taken from /proc.
type MemoryMeter interface {
	MemoryPeak(ctx context.Context, id string) (int64, error)
}

// Program is one program to run. Env is its whole environment.
type Program struct {
	ID          string            `json:"id"` // unique for ever
	Command     []string          `json:"command"`
	Dir         string            `json:"dir"`
	Env         map[string]string `json:"env"`
	MemoryBytes int64             `json:"memory_bytes"` // limit, 0 = none
	// Output is the file that receives stdout and stderr, one line each: "<RFC3339Nano> stdout|stderr F|P text".
	Output string `json:"output"`
}

// Exit says how a program ended.
type Exit struct {
	Known  bool   `json:"known"`  // false: it ended while nobody watched, the rest means nothing
	Code   int    `json:"code"`   // exit code where Signal is empty
	Signal string `json:"signal"` // "SIGKILL" or "killed"
	OOM    bool   `json:"oom"`    // killed for its memory
}
