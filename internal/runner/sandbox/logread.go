package sandbox

// LogEvent is one line of a function's log.
type LogEvent struct {
	Timestamp int64  `json:"timestamp"` // milliseconds since 1970
	Message   string `json:"message"`   // ends with a newline, as on CloudWatch Logs
}

// LogPage is a piece of a log stream.
type LogPage struct {
	Events []LogEvent `json:"events"`
	Next   int64      `json:"next"` // where to read on
}
