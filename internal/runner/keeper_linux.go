package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// keep is the keeper of a unit that has no process: it starts one, watches it, settles its end, and so on until the
// unit has ended or the runner ends.
func (u *unit) keep(ctx context.Context) {
	defer u.closeOutput() // at the end of the runner; else it is closed already
	u.cycle(ctx, nil)
}

// takeOver finds out what became of a unit of the journal, before anybody can ask. It returns the unit's process, if
// that lives.
func (u *unit) takeOver() *process {
	r := u.record()
	if err := u.openOutput(); err != nil {
		u.s.logger.Error("output not collected", "unit", u.id, "err", err)
	}
	p, child := u.reopen(&r)
	if p == nil {
		if r.PID != 0 {
			u.lost(&r)
		}
		return nil
	}
	if child {
		u.s.reaper.own(p.pid)
	}
	u.adopt()
	return p
}

// resume is the keeper of a unit of the journal.
func (u *unit) resume(ctx context.Context, p *process) {
	defer u.closeOutput()
	if r := u.record(); p == nil && (r.Exit != nil || r.Wish == wishStop) && u.conclude(ctx) {
		return
	}
	u.cycle(ctx, p)
}

// reopen takes hold of the process of an earlier runner, if it lives.
func (u *unit) reopen(r *record) (p *process, child bool) {
	if r.PID == 0 || r.Boot != u.s.boot {
		return nil, false
	}
	ps, err := readStat(r.PID)
	child = err == nil && ps.parent == os.Getpid()
	p, err = openProcess(r.PID, r.Start, child)
	if err != nil {
		if !errors.Is(err, errGone) {
			u.s.logger.Error("process not watched", "unit", u.id, "pid", r.PID, "err", err)
		}
		return nil, false
	}
	// A launcher is not the program yet: it becomes it, or ends since its runner is dead. Its exit status must not be
	// taken for the program's.
	for deadline := time.Now().Add(launchTimeout); isLauncher(p.pid, u.s.cfg.Launcher); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			_ = p.signalGroup(unix.SIGKILL)
		}
	}
	if !p.alive() && !child {
		p.close()
		return nil, false
	}
	return p, child
}

func (u *unit) adopt() {
	u.setAdopted(true)
	state := StateRunning
	r := u.record()
	if r.Ending != "" || r.Wish == wishStop {
		state = StateStopping
	}
	_ = u.alter(func(r *record) { r.State = state }, false)
	if r.Health == "" {
		u.setHealth(HealthStarting, "")
		return
	}
	u.setHealth(r.Health, "as seen by the previous runner")
}

// lost notes the end of a process that no runner has seen.
func (u *unit) lost(r *record) {
	reason := "ended while no runner was alive; its exit status is not known"
	if r.Boot != u.s.boot {
		reason = "ended by a restart of the host; its exit status is not known"
	}
	timedOut := r.Ending == endTimeout
	u.note(func(r *record) {
		r.PID = 0
		r.Exit = &Exit{Known: false, Code: -1, TimedOut: timedOut}
		r.EndedAt = time.Now().UTC()
		r.Reason = reason
		r.Health = ""
		r.State = StateBackoff
		if r.Spec.Mode == ModeOnce {
			r.State = StateStopping
		}
	})
}

// cycle runs processes until the unit has ended or the runner ends.
func (u *unit) cycle(ctx context.Context, p *process) {
	for {
		if p == nil {
			if p = u.next(ctx); p == nil {
				return
			}
		}
		if !u.attend(ctx, p) {
			p.close()
			return
		}
		u.settle(p)
		if u.conclude(ctx) || !u.pause(ctx) {
			return
		}
		p = nil
	}
}

// next starts a process, as often as it takes; nil when the unit or the runner has ended instead.
func (u *unit) next(ctx context.Context) *process {
	for {
		if u.record().Wish == wishStop {
			u.conclude(ctx)
			return nil
		}
		p, err := u.begin(ctx)
		if err == nil {
			return p
		}
		if u.giveUp(ctx, err) || !u.pause(ctx) {
			return nil
		}
	}
}

// giveUp decides what a start that went wrong means; it reports whether the unit has ended thereby, or the runner ends.
func (u *unit) giveUp(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return true
	}
	r := u.record()
	switch {
	case errors.Is(err, errUncertain):
		u.note(func(r *record) { r.Exit, r.EndedAt = &Exit{Code: -1}, time.Now().UTC() })
		u.firstDone(nil)
		if r.Spec.Mode == ModeOnce {
			return u.conclude(ctx)
		}
	case r.Spec.Mode == ModeOnce || (errors.Is(err, ErrPermanent) && r.Starts == 0):
		u.finish(StateFailed, err.Error())
		u.firstDone(err)
		return true
	}
	u.note(func(r *record) {
		r.Failures++
		r.State, r.Ending = StateBackoff, ""
		r.Reason = fmt.Sprintf("not started: %v; tried again in %s", err, u.backoff(r.Failures))
	})
	u.firstDone(nil)
	return false
}

// attend watches a running process until it has ended; it reports false when the runner ends first.
func (u *unit) attend(ctx context.Context, p *process) bool {
	watchCtx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { p.watch(watchCtx) })
	wg.Go(func() { u.watchHealth(watchCtx, p) })

	r := u.record()
	timeout := newTimer(r.Spec.Timeout > 0, time.Until(r.StartedAt.Add(r.Spec.Timeout)))
	defer timeout.Stop()
	stable := newTimer(r.Failures > 0, u.s.cfg.BackoffReset)
	defer stable.Stop()
	kill := newTimer(false, 0)
	defer kill.Stop()
	ending := false
	end := func(why string) {
		if !ending {
			ending = true
			kill.Reset(u.beginEnd(p, why))
		}
	}
	u.nudge() // the wish may have changed before
	for {
		select {
		case <-ctx.Done():
			return false
		case <-p.ended:
			return true
		case <-timeout.C:
			end(endTimeout)
		case <-u.wake:
			if why := u.endWanted(); why != "" {
				end(why)
			}
		case <-kill.C:
			wg.Go(func() { u.killAll(watchCtx) })
		case <-stable.C:
			u.calm(stable)
		}
	}
}

// newTimer returns a timer that runs only if on.
func newTimer(on bool, d time.Duration) *time.Timer {
	t := time.NewTimer(max(d, 0))
	if !on {
		t.Stop()
	}
	return t
}

// calm forgets earlier failures after a time of healthy running.
func (u *unit) calm(again *time.Timer) {
	u.mu.Lock()
	healthy := u.health == HealthHealthy
	u.mu.Unlock()
	if !healthy {
		again.Reset(u.s.cfg.BackoffReset)
		return
	}
	_ = u.alter(func(r *record) { r.Failures, r.Reason = 0, "" }, false)
}

// endWanted says why the present process should end, "" if it should not.
func (u *unit) endWanted() string {
	r := u.record()
	if r.Wish == wishStop {
		return endStop
	}
	return r.Ending
}

// beginEnd asks a process to end and returns how long it may take.
func (u *unit) beginEnd(p *process, why string) time.Duration {
	u.note(func(r *record) {
		r.Ending = why
		r.State = StateStopping
	})
	u.s.fault("stop.recorded")
	grace := u.record().Spec.Grace
	if grace < 0 {
		return 0
	}
	if err := p.signalGroup(unix.SIGTERM); err != nil {
		u.s.logger.Warn("process not signalled", "unit", u.id, "pid", p.pid, "err", err)
	}
	u.s.fault("stop.signalled")
	return grace
}

// killAll ends all processes of the unit, and complains while it cannot.
func (u *unit) killAll(ctx context.Context) {
	r := u.record()
	t := u.tree(&r)
	for ctx.Err() == nil {
		try, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := t.kill(try)
		cancel()
		if err == nil {
			return
		}
		if ctx.Err() == nil {
			u.s.logger.ErrorContext(ctx, "unit not killed", "unit", u.id, "err", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

// settle notes how a process has ended. It does not end early with the runner: an exit status that was taken from the
// kernel must be written down.
func (u *unit) settle(p *process) {
	patience := 100 * time.Millisecond
	if u.record().Spec.Mode == ModeOnce {
		patience = 2 * time.Second // nothing waits for a restart, and the status is what is wanted
	}
	exit := p.exit(patience)
	u.s.reaper.done(p.pid)
	u.s.fault("exit.seen")
	r := u.record()
	exit.TimedOut = r.Ending == endTimeout
	exit.OOM = r.Cgroups.oomKills() > r.OOMKills
	last := ""
	if out := u.output(); out != nil {
		out.drain()
		last = out.lastLines()
	}
	now := time.Now().UTC()
	failures := r.Failures + 1
	if r.Ending == endRestart {
		failures = r.Failures
	}
	reason := u.describe(&r, exit, now, last)
	lastEnd := r.LastEnd
	if r.Ending == "" {
		lastEnd = reason
	}
	if r.Spec.Mode == ModeService && r.Ending == "" {
		reason += "; started again in " + u.backoff(failures).String()
	}
	u.note(func(r *record) {
		r.PID, r.Exit, r.EndedAt, r.Health = 0, &exit, now, ""
		r.Failures, r.Reason, r.LastEnd = failures, reason, lastEnd
		r.State = StateBackoff
		if r.Spec.Mode == ModeOnce || r.Wish == wishStop {
			r.State = StateStopping
		}
	})
	u.setHealth(HealthUnknown, "")
	u.s.fault("exit.recorded")
}

// describe says for people how a process has ended, and why as far as can be seen.
func (u *unit) describe(r *record, exit Exit, now time.Time, last string) string {
	var b strings.Builder
	ran := now.Sub(r.StartedAt).Round(time.Millisecond)
	switch {
	case exit.OOM:
		fmt.Fprintf(&b, "killed at its memory limit of %d bytes after %s", r.Spec.Limits.MemoryBytes, ran)
	case exit.TimedOut:
		fmt.Fprintf(&b, "ended by the runner at its time limit of %s", r.Spec.Timeout)
	case !exit.Known:
		fmt.Fprintf(&b, "ended after %s; its exit status is not known", ran)
	case exit.Signal != "":
		fmt.Fprintf(&b, "ended by %s after %s", exit.Signal, ran)
	default:
		fmt.Fprintf(&b, "exited with code %d after %s", exit.Code, ran)
	}
	if r.Ending == endStop || r.Ending == endRestart {
		fmt.Fprintf(&b, " (%s was asked for)", r.Ending)
		return b.String()
	}
	if who := u.portTaken(r); who != "" && !exit.Success() {
		fmt.Fprintf(&b, "; %s", who)
	}
	if last != "" && !exit.Success() {
		fmt.Fprintf(&b, "; last output: %s", last)
	}
	return b.String()
}

// conclude ends what a main process has left behind and decides whether the unit has ended. It reports true also when
// the runner ends before that is done.
func (u *unit) conclude(ctx context.Context) bool {
	u.killAll(ctx)
	if ctx.Err() != nil {
		return true
	}
	if out := u.output(); out != nil {
		out.drain()
	}
	r := u.record()
	switch {
	case r.Spec.Mode == ModeOnce && r.Exit != nil && r.Ending != endStop:
		u.finish(StateExited, r.Reason)
	case r.Wish == wishStop:
		reason := r.Reason
		if r.Starts == 0 {
			reason = "stopped before it was started"
		}
		u.finish(StateStopped, reason)
	case r.Spec.Mode == ModeOnce && r.Exit != nil:
		u.finish(StateStopped, r.Reason)
	default:
		return false
	}
	u.firstDone(nil)
	return true
}

// finish makes the state final and gives back what the unit had.
func (u *unit) finish(state State, reason string) {
	u.closeOutput()
	u.forgetOutput()
	r := u.record()
	u.book(u.s.book.release)
	r.Cgroups.remove()
	if r.Spec.Network == NetworkNamespace {
		removeLink(u.s.installation, u.id)
	}
	for _, path := range fifoPaths(u.s.journal.base(u.id)) {
		_ = os.Remove(path)
	}
	u.note(func(r *record) {
		r.State, r.Reason, r.PID, r.Ending, r.Cgroups = state, reason, 0, "", cgroupSet{}
	})
	u.setHealth(HealthUnknown, "")
	u.s.fault("finish.recorded")
	u.mu.Lock()
	defer u.mu.Unlock()
	close(u.ended)
}

// pause waits before a service is started again; it reports false when the runner ends first. A wake-up ends it early.
func (u *unit) pause(ctx context.Context) bool {
	r := u.record()
	if r.Ending == endRestart || r.Failures == 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(u.backoff(r.Failures))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-u.wake:
	case <-t.C:
	}
	return true
}
