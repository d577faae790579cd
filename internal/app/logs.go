package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/deploy"
	"greengate/internal/hook"
	"greengate/internal/runner"
	"greengate/internal/runner/sandbox"
	"greengate/internal/store"
)

const (
	// logPiece bounds what one answer holds.
	logPiece = 256 << 10
	// logPoll is how often a waiting answer looks for more.
	logPoll = 100 * time.Millisecond
)

// logs answers Logs: the output of tasks and hooks.
type logs struct {
	db        *store.DB
	runner    *runner.Client
	functions *sandbox.Client
}

// read is Logs: lines after a cursor, waited for where there are none yet.
func (l *logs) read(ctx context.Context, _ awsapi.Principal, in deploy.LogsInput) (deploy.LogsOutput, error) {
	piece, err := l.source(ctx, in)
	if err != nil {
		return deploy.LogsOutput{}, err
	}
	until := time.NewTimer(min(in.Wait, maxWait))
	defer until.Stop()
	for {
		out, err := piece(ctx)
		if err != nil || len(out.Lines) > 0 || out.Ended || in.Wait <= 0 {
			return out, err
		}
		select {
		case <-ctx.Done():
			return out, context.Cause(ctx)
		case <-until.C:
			return out, nil
		case <-time.After(logPoll):
		}
	}
}

type logSource func(ctx context.Context) (deploy.LogsOutput, error)

func (l *logs) source(ctx context.Context, in deploy.LogsInput) (logSource, error) {
	switch {
	case in.Task != "":
		return func(ctx context.Context) (deploy.LogsOutput, error) { return l.unit(ctx, in.Task, in) }, nil
	case in.Deployment == "" || in.Hook == "":
		return nil, &deploy.Error{Code: deploy.CodeInvalid, Message: "name a task, or a deployment and one of its hooks"}
	}
	d, err := l.db.Deployment(ctx, in.Deployment)
	if err != nil {
		return nil, err
	}
	h, seq, err := findHook(d, in.Hook)
	if err != nil {
		return nil, err
	}
	id := deploy.Effect{Deployment: d.ID, Seq: seq}.ID()
	if h.Kind == deploy.HookFunction {
		return func(ctx context.Context) (deploy.LogsOutput, error) { return l.function(ctx, id, h.Function.Name, in) }, nil
	}
	return func(ctx context.Context) (deploy.LogsOutput, error) { return l.unit(ctx, hook.UnitID(id), in) }, nil
}

// findHook finds the newest run of a hook by its name.
func findHook(d deploy.Deployment, name string) (deploy.Hook, int64, error) {
	if d.Run != nil {
		if h := d.Hooks(d.Run.List)[d.Run.Index]; h.Name == name {
			return h, d.Run.Seq, nil
		}
	}
	var names []string
	for _, v := range slices.Backward(d.Verdicts) {
		names = append(names, v.Hook)
		if v.Hook != name {
			continue
		}
		for _, h := range d.Hooks(v.Event) {
			if h.Name == name {
				return h, v.Seq, nil
			}
		}
	}
	return deploy.Hook{}, 0, deploy.Errorf(deploy.CodeNotFound,
		"hook '%s' has not run in deployment %s; those that have: %s", name, d.ID, strings.Join(names, ", "))
}

// unit reads a unit's log file. The cursor is a place in the current file; after a rotation it starts anew.
func (l *logs) unit(ctx context.Context, id string, in deploy.LogsInput) (deploy.LogsOutput, error) {
	st, err := l.runner.Get(ctx, id)
	if errors.Is(err, runner.ErrNotFound) {
		return deploy.LogsOutput{}, deploy.Errorf(deploy.CodeNotFound, "task '%s' does not exist; `greengate status SERVICE` shows those that do", id)
	}
	if err != nil {
		return deploy.LogsOutput{}, fmt.Errorf("look at %s: %w", id, err)
	}
	out := deploy.LogsOutput{Lines: []string{}, Next: in.After, Ended: st.State.Ended()}
	f, err := os.Open(st.LogFile)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, fmt.Errorf("open log of %s: %w", id, err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return out, fmt.Errorf("look at log of %s: %w", id, err)
	}
	if in.After > info.Size() {
		in.After = 0 // the file was rotated
	}
	start := in.After
	if in.After == 0 && in.Tail > 0 {
		if start, err = lastLinesAt(f, info.Size(), in.Tail); err != nil {
			return out, fmt.Errorf("read log of %s: %w", id, err)
		}
	}
	data, err := io.ReadAll(io.NewSectionReader(f, start, logPiece))
	if err != nil {
		return out, fmt.Errorf("read log of %s: %w", id, err)
	}
	whole := bytes.LastIndexByte(data, '\n') + 1
	out.Next = start + int64(whole)
	out.Ended = out.Ended && out.Next >= info.Size()
	out.Lines = written(splitLines(string(data[:whole])))
	return out, nil
}

// lastLinesAt is where the last n lines of a log file begin; 0 where it has fewer. A line that the log holds in parts counts
// once: only its last part bears the tag F. The lines may be more than one answer holds.
func lastLinesAt(f io.ReaderAt, size int64, n int) (int64, error) {
	var rest []byte // the line whose beginning is not read yet
	for end := size; end > 0; {
		begin := max(0, end-logPiece)
		data := make([]byte, end-begin)
		if _, err := f.ReadAt(data, begin); err != nil {
			return 0, err
		}
		data = append(data, rest...)
		for {
			// The newline that ends the line before the last one that is left.
			at := bytes.LastIndexByte(bytes.TrimSuffix(data, []byte("\n")), '\n')
			if at < 0 {
				break
			}
			if endsLine(data[at+1:]) {
				n--
			}
			if n < 0 {
				return begin + int64(len(data)), nil
			}
			data = data[:at+1]
		}
		rest, end = data, begin
	}
	if n == 0 && endsLine(rest) {
		return int64(len(rest)), nil
	}
	return 0, nil
}

// endsLine tells whether a line of a log file is the last part of what the program wrote as one line.
func endsLine(line []byte) bool {
	fields := bytes.SplitN(line, []byte(" "), 4)
	return len(fields) < 4 || string(fields[2]) == "F"
}

// written is what the program wrote: without the runner's time, stream and tag before each line, and with
// a long line, which the log holds in parts, in one piece.
func written(lines []string) []string {
	texts, part := []string{}, ""
	for _, line := range lines {
		fields := strings.SplitN(line, " ", 4) // time, stream, tag, text
		if len(fields) < 4 {
			fields = []string{"", "", "F", line}
		}
		part += fields[3]
		if fields[2] == "F" {
			texts, part = append(texts, part), ""
		}
	}
	if part != "" {
		texts = append(texts, part)
	}
	return texts
}

func splitLines(s string) []string {
	s = strings.TrimSuffix(s, "\n")
	if s == "" {
		return []string{}
	}
	return strings.Split(s, "\n")
}

// function reads the log stream of a function's invocation.
func (l *logs) function(ctx context.Context, effect, name string, in deploy.LogsInput) (deploy.LogsOutput, error) {
	out := deploy.LogsOutput{Lines: []string{}, Next: in.After}
	request := hook.InvocationID(effect)
	res, err := l.functions.Result(ctx, request)
	if errors.Is(err, sandbox.ErrNotFound) {
		return out, deploy.Errorf(deploy.CodeNotFound, "the log of function %s is not kept any more", name)
	}
	if err != nil {
		return out, fmt.Errorf("look at function %s: %w", name, err)
	}
	if res.LogStream == "" {
		out.Ended = res.State.Final()
		return out, nil
	}
	page, err := l.functions.ReadLog(ctx, name, res.LogStream, in.After)
	if err != nil {
		return out, fmt.Errorf("read log of function %s: %w", name, err)
	}
	for _, ev := range page.Events {
		at := time.UnixMilli(ev.Timestamp).UTC().Format("2006-01-02T15:04:05.000Z")
		out.Lines = append(out.Lines, at+" "+strings.TrimSuffix(ev.Message, "\n"))
	}
	out.Next = page.Next
	out.Ended = res.State.Final() && len(page.Events) == 0
	if in.After == 0 && in.Tail > 0 && len(out.Lines) > in.Tail {
		out.Lines = out.Lines[len(out.Lines)-in.Tail:]
	}
	return out, nil
}

const (
	// lastLines bounds what of a function's log goes into its verdict; lastWait is how long a report
	// that says Failed may wait for it.
	lastLines = 6
	lastWait  = 200 * time.Millisecond
)

// lastWords is what the function that runs now has printed last: a callback can say that something
// failed, but not what. Nothing of it is worth failing the callback for.
func (l *logs) lastWords(ctx context.Context, d deploy.Deployment) string {
	if d.Run == nil || d.Hooks(d.Run.List)[d.Run.Index].Kind != deploy.HookFunction {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, lastWait)
	defer cancel()
	name := d.Hooks(d.Run.List)[d.Run.Index].Function.Name
	request := hook.InvocationID(deploy.Effect{Deployment: d.ID, Seq: d.Run.Seq}.ID())
	res, err := l.functions.Result(ctx, request)
	if err != nil || res.LogStream == "" {
		return ""
	}
	return hook.Mask(strings.Join(l.settled(ctx, name, res.LogStream, request), "\n"), runningCall(d))
}

// settled are the last lines of an invocation once nothing more comes: what a handler printed just before
// its callback may arrive after it.
func (l *logs) settled(ctx context.Context, function, stream, request string) []string {
	const pause = 20 * time.Millisecond
	var before []string
	for {
		now := l.linesOf(ctx, function, stream, request)
		if ctx.Err() != nil {
			return before
		}
		if len(now) > 0 && slices.Equal(now, before) {
			return now
		}
		before = now
		select {
		case <-ctx.Done():
			return before
		case <-time.After(pause):
		}
	}
}

// runningCall is the hook call that runs now.
func runningCall(d deploy.Deployment) deploy.HookCall {
	for _, e := range d.Open {
		if e.Seq == d.Run.Seq && e.Hook != nil {
			return *e.Hook
		}
	}
	return deploy.HookCall{}
}

// linesOf are the last lines that one invocation has printed so far.
func (l *logs) linesOf(ctx context.Context, function, stream, request string) []string {
	var lines []string
	for since := int64(0); ; {
		page, err := l.functions.ReadLog(ctx, function, stream, since)
		if err != nil || len(page.Events) == 0 {
			return lines
		}
		for _, ev := range page.Events {
			line := strings.TrimSpace(ev.Message)
			if strings.HasPrefix(line, "START RequestId: "+request) {
				lines = nil
				continue
			}
			lines = append(lines, line)
		}
		lines = lines[max(0, len(lines)-lastLines):]
		since = page.Next
	}
}
