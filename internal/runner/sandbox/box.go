package sandbox

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

const (
	busyTick  = 20 * time.Millisecond
	idleTick  = 250 * time.Millisecond
	killLimit = 10 * time.Second
	// lateGrace is what an adopted handler gets beyond its deadline to post an answer that it could not post before.
	lateGrace = 2 * time.Second
)

// box is one sandbox: a program, its Runtime API listener and its log stream. One goroutine (run) owns it; everybody else
// speaks to it through channels.
type box struct {
	m       *Manager
	log     *slog.Logger
	rec     boxRecord
	launch  Invocation // what a new one is started for
	adopted bool       // it was running before this manager

	assign chan *invocation // holds one; sent by the manager while the sandbox is free
	nexts  chan nextRequest
	posts  chan post
	quit   chan struct{} // closed by retire
	gone   chan struct{} // closed when run has returned
	once   sync.Once

	// owned by run
	exits    chan Exit
	ended    bool // the program has
	server   *http.Server
	stream   *logStream
	out      *tail
	offered  *invocation  // given to us, not handed to the runtime yet
	cur      *invocation  // handed, not answered
	waiting  *nextRequest // the runtime asks for work
	listed   bool         // the manager knows that we are free
	served   int
	lastID   string // the last invocation answered, whose answer may come twice over a broken connection
	since    time.Time
	initTook time.Duration
}

func newBox(m *Manager, rec boxRecord) *box {
	return &box{
		m: m, rec: rec, log: m.log.With("sandbox", rec.ID, "function", rec.Function),
		assign: make(chan *invocation, 1), nexts: make(chan nextRequest), posts: make(chan post),
		quit: make(chan struct{}), gone: make(chan struct{}), exits: make(chan Exit, 1),
	}
}

// retire ends the sandbox now, whatever it does.
func (b *box) retire() { b.once.Do(func() { close(b.quit) }) }

// usable reports whether an invocation that ends by t may run here.
func (b *box) usable(t time.Time) bool {
	select {
	case <-b.quit:
		return false
	default:
		return b.rec.Expires.IsZero() || b.rec.Expires.After(t)
	}
}

// run is the sandbox's life. When ctx ends, the program is left running for the next manager.
func (b *box) run(ctx context.Context) {
	defer close(b.gone)
	defer b.closeFiles()
	if !b.adopted {
		b.offered = <-b.assign
	}
	if err := b.open(ctx); err != nil {
		b.startFailed(ctx, err)
		b.remove(ctx)
		return
	}
	b.since = time.Now()
	if b.cur != nil && b.cur.rec.Phase == phaseAnswered {
		if !b.conclude(ctx, *b.cur.rec.Outcome) {
			b.remove(ctx)
			return
		}
	}
	for b.step(ctx) {
	}
	b.remove(ctx)
}

// step waits for one thing to happen and deals with it. False: the sandbox ends.
func (b *box) step(ctx context.Context) bool {
	if b.offered != nil && b.waiting != nil && !b.handOver(ctx) {
		return false
	}
	tick := time.NewTimer(b.tick())
	defer tick.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-b.quit:
		return b.abort(ctx)
	case inv := <-b.assign:
		b.offered, b.listed, b.since = inv, false, time.Now()
		return true
	case n := <-b.nexts:
		return b.onNext(ctx, n)
	case <-b.abandoned():
		b.waiting, b.since = nil, time.Now()
		return true
	case p := <-b.posts:
		return b.onPost(ctx, p)
	case e := <-b.exits:
		return b.onExit(ctx, e)
	case <-b.halted():
		return b.onHalt(ctx)
	case <-tick.C:
		return b.onTick(ctx)
	}
}

func (b *box) tick() time.Duration {
	if b.cur != nil || b.offered != nil {
		return busyTick
	}
	return idleTick
}

func (b *box) abandoned() <-chan struct{} {
	if b.waiting == nil {
		return nil
	}
	return b.waiting.gone
}

func (b *box) halted() <-chan struct{} {
	switch {
	case b.cur != nil:
		return b.cur.stop
	case b.offered != nil:
		return b.offered.stop
	}
	return nil
}

// handOver gives the offered invocation to the runtime that waits: journal first. False: the sandbox ends.
func (b *box) handOver(ctx context.Context) bool {
	inv, to := b.offered, b.waiting
	select {
	case <-inv.stop:
		return true // onHalt follows
	case <-to.gone:
		b.waiting, b.since = nil, time.Now()
		return true
	default:
	}
	if b.served == 0 && !b.adopted {
		b.drainInit(ctx)
	}
	payload := inv.rec.Invocation.Payload
	b.markHanded(inv)
	b.m.cfg.Fault("handing")
	if err := b.m.persist(inv); err != nil {
		return false // closing; it stays accepted
	}
	b.m.cfg.Fault("handed")
	b.offered, b.waiting, b.cur = nil, nil, inv
	b.served++
	b.stream.platform(inv.rec.Handed, "START RequestId: "+inv.rec.ID+" Version: $LATEST")
	b.m.running(inv)
	select {
	case to.reply <- delivery{rec: inv.rec, payload: payload}:
		return true
	case <-to.gone:
		return b.lost(ctx, "the connection broke while the event was handed over")
	}
}

func (b *box) markHanded(inv *invocation) {
	now := time.Now()
	rec := &inv.rec
	rec.Phase, rec.Sandbox, rec.Handed = phaseHanded, b.rec.ID, now
	rec.Deadline = now.Add(rec.Invocation.Function.Timeout)
	if d := rec.Invocation.Deadline; !d.IsZero() && d.Before(rec.Deadline) {
		rec.Deadline = d
	}
	rec.Result.LogStream = b.rec.Stream
	rec.Result.ColdStart = b.served == 0 && !b.adopted
	rec.strip()
}

func (b *box) onNext(ctx context.Context, n nextRequest) bool {
	if b.cur != nil {
		n.refuse()
		return b.lost(ctx, "the runtime asked for the next event without answering this one")
	}
	if b.waiting != nil {
		b.waiting.refuse()
	}
	b.waiting = &n
	if b.served == 0 && b.initTook == 0 {
		b.initTook = time.Since(b.since)
	}
	if b.offered == nil && !b.listed {
		return b.release()
	}
	return true
}

// release tells the manager that we are free. False: we are not wanted any more.
func (b *box) release() bool {
	b.listed, b.since = true, time.Now()
	return b.m.free(b)
}

func (b *box) onPost(ctx context.Context, p post) bool {
	if p.kind == postInitError {
		return b.onInitError(ctx, p)
	}
	if b.cur == nil || p.id != b.cur.rec.ID {
		p.reply <- (p.id == b.lastID && p.kind != postLost)
		return true
	}
	if p.kind == postLost {
		p.reply <- true
		return b.lost(ctx, "the connection broke while the event was handed over")
	}
	out := p.outcome
	out.MaxMemoryMB = b.memoryMB(ctx)
	b.cur.rec.Phase, b.cur.rec.Outcome = phaseAnswered, &out
	b.m.cfg.Fault("answering")
	if err := b.m.persist(b.cur); err != nil {
		return false // closing; the runtime posts again to the next manager
	}
	b.m.cfg.Fault("answered")
	p.reply <- true
	return b.conclude(ctx, out)
}

func (b *box) onInitError(ctx context.Context, p post) bool {
	if b.served > 0 || b.cur != nil || b.waiting != nil {
		p.reply <- false
		return true
	}
	p.reply <- true
	b.drain(ctx, "")
	if b.offered != nil && !b.adopted {
		b.failOffered(ctx, p.outcome)
	}
	return false
}

// onExit deals with a program that has ended by itself.
func (b *box) onExit(ctx context.Context, e Exit) bool {
	b.ended = true
	switch {
	case b.cur != nil && b.adopted && b.served == 0:
		b.conclude(ctx, unknownOutcome("its sandbox ended while or after no manager was there to take the answer ("+describe(e)+")"))
	case b.cur != nil:
		b.conclude(ctx, exitOutcome(b.cur.rec.ID, e))
	case b.offered != nil && !b.adopted && b.served == 0:
		b.drain(ctx, "")
		b.failOffered(ctx, exitOutcome(b.offered.rec.ID, e))
	}
	return false
}

// lost ends an invocation of which nobody can tell whether it ran.
func (b *box) lost(ctx context.Context, reason string) bool {
	if ctx.Err() == nil && b.kill(ctx) {
		b.conclude(ctx, unknownOutcome(reason))
	}
	return false
}

func (b *box) onHalt(ctx context.Context) bool {
	if b.cur == nil {
		inv := b.offered
		b.offered = nil
		b.m.finish(inv, b.m.haltedBy(inv))
		return b.release()
	}
	out := b.m.haltedBy(b.cur)
	out.MaxMemoryMB = b.memoryMB(ctx)
	if b.kill(ctx) {
		b.conclude(ctx, out)
	}
	return false
}

// abort ends the sandbox on the manager's wish.
func (b *box) abort(ctx context.Context) bool {
	if b.cur != nil && b.kill(ctx) {
		b.conclude(ctx, haltOutcome(false))
	}
	return false
}

func (b *box) onTick(ctx context.Context) bool {
	b.pollOutput()
	now := time.Now()
	switch {
	case b.cur != nil:
		if now.After(b.deadline()) {
			return b.timedOut(ctx)
		}
	case b.waiting == nil && now.Sub(b.since) > b.initLimit():
		b.log.WarnContext(ctx, "sandbox does not ask for work, ending it", "offered", b.offered != nil)
		if b.offered != nil && !b.adopted && b.served == 0 && b.kill(ctx) {
			b.drain(ctx, "")
			b.failOffered(ctx, initTimeoutOutcome(b.initLimit()))
		}
		return false
	case b.offered == nil && b.waiting != nil && now.Sub(b.since) > b.m.cfg.IdleTimeout:
		return !b.m.unlist(b)
	}
	return true
}

// initLimit is how long the sandbox may take to ask for work. Lambda ends an initialization after 10 s and starts it once
// more within the time limit of the invocation; here a slow one goes on instead, so that a busy machine is not blamed on the
// function.
func (b *box) initLimit() time.Duration {
	if b.offered == nil {
		return b.m.cfg.InitTimeout
	}
	return max(b.m.cfg.InitTimeout, b.offered.rec.Invocation.Function.Timeout)
}

func (b *box) deadline() time.Time {
	d := b.cur.rec.Deadline
	if late := b.since.Add(lateGrace); b.adopted && b.served == 0 && d.Before(late) {
		return late
	}
	return d
}

func (b *box) timedOut(ctx context.Context) bool {
	rec := b.cur.rec
	out := timeoutOutcome(rec.ID, rec.Deadline.Sub(rec.Handed))
	out.MaxMemoryMB = b.memoryMB(ctx)
	if b.kill(ctx) {
		b.conclude(ctx, out)
	}
	return false
}

// conclude completes the log of the invocation that was handed to us, then makes its result final. False: the sandbox ends.
func (b *box) conclude(ctx context.Context, out outcome) bool {
	inv := b.cur
	if out.MaxMemoryMB == 0 {
		out.MaxMemoryMB = b.memoryMB(ctx)
	}
	b.drain(ctx, inv.rec.ID)
	if ctx.Err() != nil {
		return false // closing: what is durable decides, the next manager goes on
	}
	if !b.stream.ended(inv.rec.ID) {
		b.report(inv.rec, out)
	}
	inv.rec.Result.LogTail = b.stream.tail()
	b.m.finish(inv, out)
	b.cur, b.lastID = nil, inv.rec.ID
	if b.ended || b.stream.full {
		return false
	}
	return b.release()
}

// failOffered ends an invocation whose sandbox did not get as far as asking for it.
func (b *box) failOffered(ctx context.Context, out outcome) {
	if ctx.Err() != nil {
		return
	}
	inv := b.offered
	b.offered = nil
	rec := &inv.rec
	rec.Handed, rec.Result.ColdStart = b.rec.Started, true
	out.MaxMemoryMB = b.memoryMB(ctx)
	if b.stream != nil {
		b.stream.platform(b.rec.Started, "START RequestId: "+rec.ID+" Version: $LATEST")
		b.report(*rec, out)
		rec.Result.LogStream, rec.Result.LogTail = b.rec.Stream, b.stream.tail()
	}
	b.m.finish(inv, out)
}
