package runner

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"
)

// lookAfter is when a unit without a health check is looked at for listening on every address.
const lookAfter = 2 * time.Second

// watchHealth publishes the health of a running process until ctx ends.
func (u *unit) watchHealth(ctx context.Context, p *process) {
	r := u.record()
	if r.Spec.Health == nil {
		u.setHealth(HealthHealthy, "")
		if r.Port != 0 && wait(ctx, lookAfter) {
			u.setHealth(HealthHealthy, u.oddity(&r))
		}
		return
	}
	pr, err := newProber(*r.Spec.Health, hostPort(r.Address, r.Port))
	if err != nil {
		u.setHealth(HealthUnhealthy, err.Error())
		return
	}
	defer pr.client.CloseIdleConnections()
	v := verdicts{check: *r.Spec.Health, started: r.StartedAt, health: HealthStarting}
	if r.Health != "" { // adopted
		v.health = r.Health
	}
	proven, odd := false, ""
	for {
		err := pr.probe(ctx)
		if ctx.Err() != nil || !p.alive() {
			return
		}
		if err == nil && !proven {
			// Somebody who listens on every address answers in place of a task that does not listen yet.
			odd, err = u.proveMine(&r)
			proven = err == nil
		}
		reason := odd
		if err != nil {
			reason = err.Error()
		}
		u.setHealth(v.add(err == nil, time.Now()), reason)
		if !wait(ctx, v.pause()) {
			return
		}
	}
}

// wait reports false when ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// view looks who listens where the unit should; ok is false when that cannot be seen or does not apply.
func (u *unit) view(r *record) (v portView, ok bool) {
	addr, err := netip.ParseAddr(r.Address)
	if err != nil || r.Port == 0 || r.Spec.Network == NetworkNamespace {
		return portView{}, false
	}
	members, err := u.tree(r).members()
	if err != nil {
		return portView{}, false
	}
	v, err = viewPort(members, os.Getpid(), addr, r.Port)
	return v, err == nil
}

// proveMine makes sure that the answer came from the unit itself. odd says what is strange about it.
func (u *unit) proveMine(r *record) (odd string, err error) {
	v, ok := u.view(r)
	switch {
	case !ok || (!v.mine && v.foreign.inode == ""):
		return "", nil // cannot be seen, such as a socket that somebody hands over
	case !v.mine:
		return "", errors.New(u.blame(r, v))
	case v.everywhere:
		return everywhereNote(r), nil
	}
	return "", nil
}

// oddity names a program that listens on every address.
func (u *unit) oddity(r *record) string {
	if v, ok := u.view(r); ok && v.mine && v.everywhere {
		return everywhereNote(r)
	}
	return ""
}

func everywhereNote(r *record) string {
	return fmt.Sprintf("listens on every address at port %d, not only on HOST %s: a second unit with this port cannot start; "+
		"let it listen on $HOST, or set network: namespace", r.Port, r.Address)
}

// portTaken says who has the unit's port, after the unit could not start; "" when nobody has.
func (u *unit) portTaken(r *record) string {
	gone := *r
	gone.PID = 0
	v, ok := u.view(&gone)
	if !ok || v.mine || v.foreign.inode == "" {
		return ""
	}
	return u.blame(r, v)
}

// blame names the program that takes the unit's place.
func (u *unit) blame(r *record, v portView) string {
	who := "a program that this runner may not look at"
	if v.pid != 0 {
		who = fmt.Sprintf("%s (pid %d)", programName(v.pid), v.pid)
		if id := u.s.unitOf(v.pid); id != "" {
			who = fmt.Sprintf("unit %s, %s", id, who)
		}
	}
	if v.foreign.everywhere() {
		return fmt.Sprintf("port %d of %s is taken by %s, which listens on every address; let it listen on $HOST only, or set network: namespace",
			r.Port, r.Address, who)
	}
	return fmt.Sprintf("port %d of %s is taken by %s; end it or use another port", r.Port, r.Address, who)
}
