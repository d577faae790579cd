package shadow

import (
	"time"

	"greengate/internal/scenario"
)

// Arg is the first argument with which the program is run for a job; the second is the path of the job.
const Arg = "hook-shadow"

// Job is one comparison that was asked for by another process.
type Job struct {
	// ID is of the shadow in the data plane, and of the result.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Blue and Green are the task sets. First says that there is no blue.
	Blue  string `json:"blue,omitempty"`
	Green string `json:"green"`
	First bool   `json:"first,omitempty"`
	// Percent is the share of requests that is copied, 1 to 100, and For is how long.
	Percent int           `json:"percent"`
	For     time.Duration `json:"for"`
	// Minimum is how many requests must have been compared.
	Minimum int      `json:"minimum"`
	Headers []string `json:"headers,omitempty"`
	Ignore  []string `json:"ignore,omitempty"`
	// MaxDiffering is the share of compared requests, 0 to 1, that may be answered otherwise.
	MaxDiffering float64 `json:"maxDiffering,omitempty"`
	// MaxLatencyRatio is how many times slower than blue green may be; 0 judges no latency.
	MaxLatencyRatio float64 `json:"maxLatencyRatio,omitempty"`
	// Socket is the control socket of the data plane, Result the path of the file that gets the result.
	Socket string `json:"socket"`
	Result string `json:"result"`
}

// WriteJob writes a job for ReadJob, in one step.
func WriteJob(path string, j Job) error { return scenario.WriteFile(path, j) }

// ReadJob reads what WriteJob wrote.
func ReadJob(path string) (Job, error) { return scenario.ReadFile[Job](path) }
