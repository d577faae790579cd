package sandbox

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

func haltOutcome(byDeadline bool) outcome {
	out := outcome{State: StateFailed, ErrorType: ErrorTypeCancelled, ErrorMessage: "the invocation was cancelled", Ended: time.Now()}
	if byDeadline {
		out.ErrorType, out.TimedOut, out.ErrorMessage = ErrorTypeTimedOut, true, "the invocation did not end by its deadline"
	}
	return out
}

func unknownOutcome(reason string) outcome {
	return outcome{
		State: StateUnknown, ErrorType: ErrorTypeUnknown, Ended: time.Now(),
		ErrorMessage: "it is not known whether the handler ran to its end: " + reason,
	}
}

// exitOutcome is that of a program which ended without an answer; the words are those of Lambda.
func exitOutcome(id string, e Exit) outcome {
	text := "Error: Runtime exited with error: " + describe(e)
	kind := ErrorTypeExit
	switch {
	case e.OOM:
		kind = ErrorTypeOutOfMemory
	case e.Known && e.Code == 0 && e.Signal == "":
		text = "Error: Runtime exited without providing a reason"
	}
	return outcome{
		State: StateFailed, ErrorType: kind, ErrorMessage: "RequestId: " + id + " " + text, Ended: time.Now(),
		logLine: "RequestId: " + id + " " + text + "\n" + kind,
	}
}

func describe(e Exit) string {
	switch {
	case !e.Known:
		return "exit status not known"
	case e.OOM:
		return "signal: killed (out of memory)"
	case e.Signal != "":
		if n := unix.SignalNum(e.Signal); n != 0 { // "SIGKILL" is "killed" in Lambda's words
			return "signal: " + n.String()
		}
		return "signal: " + e.Signal
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

func timeoutOutcome(id string, limit time.Duration) outcome {
	text := fmt.Sprintf("Task timed out after %.2f seconds", limit.Seconds())
	now := time.Now()
	return outcome{
		State: StateFailed, ErrorType: ErrorTypeTimedOut, ErrorMessage: "RequestId: " + id + " Error: " + text, Ended: now, TimedOut: true,
		logLine: now.UTC().Format("2006-01-02T15:04:05.000Z") + " " + id + " " + text,
	}
}

func initTimeoutOutcome(limit time.Duration) outcome {
	text := fmt.Sprintf("the function did not finish its initialization in %.2f seconds", limit.Seconds())
	return outcome{State: StateFailed, ErrorType: ErrorTypeTimedOut, ErrorMessage: text, Ended: time.Now(), TimedOut: true, logLine: text}
}

func startOutcome(err error) outcome {
	kind := ErrorTypeStart
	if errors.Is(err, errEntrypoint) {
		kind = ErrorTypeEntrypoint
	}
	return outcome{State: StateFailed, ErrorType: kind, ErrorMessage: err.Error(), Ended: time.Now(), logLine: err.Error()}
}

// reportLines are END and REPORT as Lambda writes them, after a line that says why where the function could not say it.
func reportLines(rec record, out outcome, init time.Duration) []string {
	took := max(out.Ended.Sub(rec.Handed), 0)
	line := fmt.Sprintf("REPORT RequestId: %s\tDuration: %s ms\tBilled Duration: %d ms\tMemory Size: %d MB\tMax Memory Used: %d MB\t",
		rec.ID, millis(took), billed(took).Milliseconds(), rec.Invocation.Function.MemoryMB, out.MaxMemoryMB)
	if init > 0 {
		line += "Init Duration: " + millis(init) + " ms\t"
	}
	switch {
	case out.TimedOut:
		line += "Status: timeout"
	case out.State == StateFailed:
		line += "Status: error\tError Type: " + out.ErrorType
	case out.State == StateUnknown:
		line += "Status: unknown"
	}
	var lines []string
	if out.logLine != "" {
		lines = append(lines, out.logLine)
	}
	return append(lines, "END RequestId: "+rec.ID, line)
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f", float64(d.Microseconds())/1000)
}
