package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"greengate/internal/durable"
)

func (b *box) outputPath() string { return filepath.Join(b.m.cfg.Dir, "output", b.rec.ID+".log") }

func (b *box) scratchPath() string { return filepath.Join(b.m.cfg.Dir, "scratch", b.rec.ID) }

// open makes listener, log stream and, for a new sandbox, its program. The journal knows the sandbox before it is started.
func (b *box) open(ctx context.Context) error {
	if b.adopted {
		b.watch(ctx)
	}
	stream, err := openLogStream(b.m.cfg.Dir, b.rec.Function, b.rec.Stream, b.m.cfg.MaxOutput)
	if err != nil {
		return err
	}
	b.stream = stream
	b.out = newTail(b.outputPath(), stream.last, stream.line)
	if b.adopted {
		return b.listen(ctx)
	}
	entry, err := b.m.entry(ctx, b.launch.Function, b.rec.Key)
	if err != nil {
		return err
	}
	b.rec.Marks = entry.marks
	if err := b.listen(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(b.scratchPath(), 0o700); err != nil {
		return fmt.Errorf("make scratch folder: %w", err)
	}
	if err := b.m.journal.saveBox(b.rec); err != nil {
		return err
	}
	b.m.cfg.Fault("starting")
	err = b.m.cfg.Units.Start(ctx, b.program(entry))
	b.watch(ctx) // also where the start failed: nobody knows how far it came
	if err != nil {
		b.m.forgetEntry(b.rec.Key) // the interpreter may have moved
		return fmt.Errorf("start sandbox: %w", err)
	}
	b.m.cfg.Fault("started")
	return nil
}

func (b *box) program(e entry) Program {
	f := b.launch.Function
	path := b.m.cfg.SearchPath
	if e.binDir != "" && !slices.Contains(filepath.SplitList(path), e.binDir) {
		path = e.binDir + string(filepath.ListSeparator) + path
	}
	l := launch{
		function: f, credentials: b.launch.Credentials, endpoint: b.launch.EndpointURL, api: b.rec.Address, stream: b.rec.Stream,
		scratch: b.scratchPath(), runtimeDir: b.m.resolve.runtimeDir, path: path,
	}
	return Program{
		ID: b.rec.Unit, Command: e.command, Dir: f.CodeDir, Env: l.environment(), MemoryBytes: int64(f.MemoryMB) << 20, Output: b.outputPath(),
	}
}

// listen serves the sandbox's Runtime API: at the kept listener, at its address bound anew, or at a new one.
func (b *box) listen(ctx context.Context) error {
	l := b.m.inherited(b.rec.Unit)
	if l == nil {
		t, err := b.m.cfg.Listen(ctx, b.rec.Address)
		if err != nil {
			return err
		}
		if err := b.m.cfg.Keep(b.rec.Unit, t); err != nil {
			_ = t.Close()
			return fmt.Errorf("keep listener: %w", err)
		}
		l = t
	}
	b.rec.Address = l.Addr().String()
	b.server = &http.Server{
		Handler: b.runtimeAPI(), ReadHeaderTimeout: 10 * time.Second, MaxHeaderBytes: 64 << 10,
		ErrorLog:    slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	b.m.wg.Go(func() {
		if err := b.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			b.log.ErrorContext(ctx, "Runtime API stopped", "err", err)
		}
	})
	return nil
}

// watch passes the program's end to run.
func (b *box) watch(ctx context.Context) {
	b.m.wg.Go(func() {
		e, err := b.m.cfg.Units.Wait(ctx, b.rec.Unit)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			b.log.WarnContext(ctx, "sandbox cannot be watched, taking it as ended", "err", err)
			e = Exit{}
			if err := b.m.cfg.Units.Stop(ctx, b.rec.Unit); err != nil {
				b.log.ErrorContext(ctx, "cannot stop sandbox", "err", err)
			}
		}
		b.exits <- e
	})
}

// kill ends the program with all its descendants and waits for that. False: it is not certain that it has ended.
func (b *box) kill(ctx context.Context) bool {
	if b.ended {
		return true
	}
	if err := b.m.cfg.Units.Stop(ctx, b.rec.Unit); err != nil {
		b.log.ErrorContext(ctx, "cannot stop sandbox", "err", err)
	}
	limit := time.NewTimer(killLimit)
	defer limit.Stop()
	for {
		select {
		case <-b.exits:
			b.ended = true
			return true
		case <-ctx.Done():
			return false
		case <-limit.C:
			b.log.ErrorContext(ctx, "sandbox does not end", "waited", killLimit.String())
			b.ended = true // results are not held back by that
			return true
		case n := <-b.nexts:
			n.refuse()
		case p := <-b.posts:
			p.reply <- false
		}
	}
}

func (b *box) pollOutput() int {
	n := b.out.poll()
	b.stream.flush()
	if err := b.stream.takeFailure(); err != nil {
		b.log.Error("cannot write the function's log, lines are lost", "err", err)
	}
	return n
}

// drain takes over the program's output until it is complete: our bootstrap's end mark was read on both streams, or the
// output file has not grown for Config.Quiet; but for Config.DrainLimit at most, for a program that never stops printing.
func (b *box) drain(ctx context.Context, id string) {
	end := time.Now().Add(b.m.cfg.DrainLimit)
	quiet := b.m.cfg.Quiet
	if b.rec.Marks && id != "" && !b.ended {
		quiet = b.m.cfg.DrainLimit / 2 // the marks come, save where the handler has closed or redirected its output
	}
	last := time.Now()
	for {
		grew := b.pollOutput() > 0
		now := time.Now()
		if grew {
			last = now
		}
		if id != "" && b.out.marked(id) || now.Sub(last) >= quiet || (now.After(end) && !b.behind(grew, now, end)) {
			break
		}
		if grew {
			continue
		}
		if pause(ctx, 2*time.Millisecond) != nil {
			break
		}
	}
	if b.ended {
		b.out.flushPartial()
	}
	b.stream.flush()
}

// drainInit takes over what the initialization printed, so that it stands before START. Only our own bootstraps mark its
// end; what others have not written by now follows START.
func (b *box) drainInit(ctx context.Context) {
	end := time.Now().Add(b.m.cfg.Quiet)
	for b.pollOutput(); b.rec.Marks && !b.out.marked(initMark) && time.Now().Before(end); b.pollOutput() {
		if pause(ctx, time.Millisecond) != nil {
			return
		}
	}
}

// behind grants more time, up to five times the limit, while a program that has ended, or that marks its end, still has output to be read.
func (b *box) behind(grew bool, now, end time.Time) bool {
	return grew && (b.ended || b.rec.Marks) && now.Before(end.Add(4*b.m.cfg.DrainLimit))
}

// memoryMB is the most memory the sandbox has held so far; 0 where nobody can tell.
func (b *box) memoryMB(ctx context.Context) int {
	if meter, ok := b.m.cfg.Units.(MemoryMeter); ok {
		if peak, err := meter.MemoryPeak(ctx, b.rec.Unit); err == nil {
			return int((peak + 1<<20 - 1) >> 20)
		}
	}
	return int((procMemoryPeak(b.rec.Address) + 1<<20 - 1) >> 20)
}

// report writes the lines that end an invocation in the log.
func (b *box) report(rec record, out outcome) {
	init := time.Duration(0)
	if rec.Result.ColdStart {
		init = b.initTook
	}
	for _, line := range reportLines(rec, out, init) {
		b.stream.platform(out.Ended, line)
	}
}

func (b *box) startFailed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	b.log.ErrorContext(ctx, "cannot start sandbox", "err", err)
	out := startOutcome(err)
	switch {
	case b.cur != nil: // adopted, and its address is lost: no answer can come
		b.kill(ctx)
		if b.stream != nil {
			b.conclude(ctx, unknownOutcome(err.Error()))
			return
		}
		b.m.finish(b.cur, unknownOutcome(err.Error()))
		b.cur = nil
	case b.offered != nil:
		b.failOffered(ctx, out)
	}
}

// remove ends what is left of the sandbox and forgets it; while closing everything stays for the next manager.
func (b *box) remove(ctx context.Context) {
	if b.server != nil {
		defer b.closeServer()
	}
	if ctx.Err() != nil || !b.stopProgram(ctx) {
		return
	}
	if err := b.m.cfg.Unkeep(b.rec.Unit); err != nil {
		b.log.WarnContext(ctx, "cannot release listener", "err", err)
	}
	b.clean(ctx)
	// The record last: where the manager is killed before that, the next one finds it and removes the rest.
	if err := durable.Remove(b.m.journal.boxPath(b.rec.ID)); err != nil {
		b.log.ErrorContext(ctx, "cannot forget sandbox", "err", err)
	}
	b.m.removed(b, b.offered)
	b.offered = nil
}

// stopProgram kills what was started, if anything was.
func (b *box) stopProgram(ctx context.Context) bool {
	if _, err := os.Stat(b.m.journal.boxPath(b.rec.ID)); err != nil {
		return true
	}
	return b.kill(ctx)
}

func (b *box) clean(ctx context.Context) {
	if f, ok := b.m.cfg.Units.(UnitForgetter); ok {
		if err := f.Forget(ctx, b.rec.Unit); err != nil {
			b.log.WarnContext(ctx, "cannot forget program", "err", err)
		}
	}
	files, _ := filepath.Glob(globQuote(b.outputPath()) + "*") // the pattern is well-formed
	for _, f := range append(files, b.scratchPath()) {
		if err := os.RemoveAll(f); err != nil {
			b.log.WarnContext(ctx, "cannot remove sandbox files", "err", err)
		}
	}
}

func (b *box) closeServer() {
	_ = b.server.Close() // open requests are answered by their broken connection
}

func (b *box) closeFiles() {
	if b.out != nil {
		b.out.close()
	}
	if b.stream != nil {
		b.stream.close()
	}
}

// entry resolves how a function starts, once for each key.
func (m *Manager) entry(ctx context.Context, f Function, key string) (entry, error) {
	m.mu.Lock()
	e, ok := m.entries[key]
	m.mu.Unlock()
	if ok {
		return e, nil
	}
	e, err := m.resolve.resolve(ctx, f)
	if err != nil {
		return e, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.entries) > 1000 { // versions come and go
		clear(m.entries)
	}
	m.entries[key] = e
	return e, nil
}

func (m *Manager) forgetEntry(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, key)
}

// inherited takes a kept listener.
func (m *Manager) inherited(name string) net.Listener {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.kept[name]
	delete(m.kept, name)
	return l
}

// releaseKept closes kept listeners that no sandbox needs.
func (m *Manager) releaseKept(unneeded func(name string) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, l := range m.kept {
		if !unneeded(name) {
			continue
		}
		_ = l.Close()
		delete(m.kept, name)
		if err := m.cfg.Unkeep(name); err != nil {
			m.log.Warn("cannot release listener", "listener", name, "err", err)
		}
	}
}
