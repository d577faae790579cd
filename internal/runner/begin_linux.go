package runner

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errUncertain is a start of which it is not known whether the program ran.
var errUncertain = errors.New("program may have run")

// begin starts the unit's program: launcher, durable record, word to go on.
func (u *unit) begin(ctx context.Context) (*process, error) {
	r := u.record()
	// What a crash has left of an earlier attempt, or a main process behind, must not run beside the new one.
	u.killAll(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	req, err := u.prepare(&r)
	if err != nil {
		return nil, err
	}
	if err := u.openOutput(); err != nil {
		return nil, err
	}
	u.output().forget()
	set, err := makeCgroups(u.s.cgroups, fileName(u.id), r.Spec.Limits)
	if err != nil {
		return nil, err
	}
	enforced, notEnforced := set.limit(r.Spec.Limits)
	if len(notEnforced) > 0 && r.Spec.Limits.MemoryBytes > 0 && set.Memory == "" {
		req.DataBytes = dataLimit(r.Spec.Limits.MemoryBytes)
		notEnforced = append(notEnforced, fmt.Sprintf("memory: each process has RLIMIT_DATA %d instead, a coarse bound", req.DataBytes))
	}
	l, err := u.launch(&r, req)
	if err != nil {
		return nil, err
	}
	u.s.fault("start.forked")
	p, err := u.commit(l, set, func(r *record) { r.Enforced, r.NotEnforced = enforced, notEnforced })
	if err != nil {
		l.abandon()
		return nil, err
	}
	u.s.fault("start.recorded")
	if err := l.release(); err != nil {
		return nil, u.unreleased(l, p, err)
	}
	u.s.fault("start.released")
	u.started()
	return p, nil
}

// launch starts the launcher with its ends of the FIFOs.
func (u *unit) launch(r *record, req launchRequest) (*launching, error) {
	ends, err := programEnds(u.s.journal.base(u.id))
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = ends[0].Close()
		_ = ends[1].Close()
	}()
	l, err := beginLaunch(launchInput{
		launcher:  u.s.cfg.Launcher,
		marks:     u.marks(),
		stdout:    ends[0],
		stderr:    ends[1],
		namespace: r.Spec.Network == NetworkNamespace,
		request:   req,
		reaper:    u.s.reaper,
	})
	if se, ok := errors.AsType[*startError](err); ok {
		return nil, u.refused(se)
	}
	return l, err
}

func (u *unit) marks() []string {
	return []string{markUnit + "=" + u.id, markInstallation + "=" + u.s.installation}
}

// commit puts the waiting launcher where the program will be and makes its pid durable.
func (u *unit) commit(l *launching, set cgroupSet, more func(*record)) (*process, error) {
	if err := set.join(l.pid); err != nil {
		return nil, err
	}
	if r := u.record(); r.Spec.Network == NetworkNamespace {
		if err := connectNamespace(u.s.installation, u.id, r.Address, l.pid); err != nil {
			return nil, err
		}
	}
	p, err := openProcess(l.pid, l.start, true)
	if err != nil {
		return nil, fmt.Errorf("watch launcher: %w", err)
	}
	kills := set.oomKills()
	err = u.change(func(r *record) {
		r.Boot, r.PID, r.Start, r.Session = u.s.boot, l.pid, l.start, l.pid
		r.Cgroups, r.OOMKills = set, kills
		r.Ending, r.Exit, r.Health = "", nil, ""
		r.State, r.Reason = StateStarting, ""
		r.StartedAt, r.EndedAt = time.Now().UTC(), time.Time{}
		r.Starts++
		more(r)
	})
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// unreleased clears up after a launcher that did not become the program.
func (u *unit) unreleased(l *launching, p *process, cause error) error {
	p.close()
	l.abandon()
	se, certain := errors.AsType[*startError](cause)
	u.note(func(r *record) {
		r.PID = 0
		if certain {
			r.Starts-- // nothing of the unit ran
			r.StartedAt = time.Time{}
		}
	})
	if !certain {
		return fmt.Errorf("start unit %s: %w: %w", u.id, errUncertain, cause)
	}
	return u.refused(se)
}

// refused is the fault of a start that the kernel has refused.
func (u *unit) refused(e *startError) error {
	if e.permanent() {
		return permanent("unit %s: %s: %s", u.id, u.record().Spec.Command[0], explainStart(e))
	}
	return fmt.Errorf("start unit %s: %w", u.id, e)
}

func explainStart(e *startError) string {
	switch {
	case errors.Is(e, unix.ENOEXEC):
		return "not a program for this machine; a script needs a first line such as #!/bin/sh"
	case errors.Is(e, unix.ENOENT):
		return "its interpreter (first line, or dynamic loader) does not exist"
	default:
		return e.Error()
	}
}

// started publishes a running program.
func (u *unit) started() {
	u.setAdopted(false)
	_ = u.alter(func(r *record) {
		if r.State == StateStarting { // not told to stop meanwhile
			r.State = StateRunning
		}
	}, false)
	u.setHealth(HealthStarting, "")
	u.firstDone(nil)
}

// dataLimit is the coarse bound for a process where no cgroup can bound the memory of all. RLIMIT_AS is no choice: Go,
// Java and others reserve far more than they use. RLIMIT_DATA counts writable private memory, thread stacks too, so
// there is room above the limit asked for.
func dataLimit(memory int64) uint64 { return 2*uint64(memory) + 256<<20 } //nolint:gosec // validated as positive

// prepare resolves command, folder and environment.
func (u *unit) prepare(r *record) (launchRequest, error) {
	spec := &r.Spec
	if info, err := os.Stat(spec.Dir); err != nil || !info.IsDir() { //nolint:gosec // the caller chooses what runs
		return launchRequest{}, permanent("unit %s: working folder %s does not exist", u.id, spec.Dir)
	}
	env := map[string]string{}
	if spec.EnvFile != "" {
		var err error
		if env, err = readEnvFile(spec.EnvFile); err != nil {
			return launchRequest{}, permanent("unit %s: %v", u.id, err)
		}
		delete(env, markUnit)
		delete(env, markInstallation)
	}
	maps.Copy(env, spec.Env)
	env["HOST"] = r.Address
	if r.Port != 0 {
		env["PORT"] = strconv.Itoa(r.Port)
	}
	setDefault(env, "PATH", u.s.cfg.SearchPath)
	setDefault(env, "HOME", u.s.home)
	path, err := findCommand(spec.Command[0], env["PATH"], spec.Dir)
	if err != nil {
		return launchRequest{}, permanent("unit %s: %v", u.id, err)
	}
	list := u.marks()
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	slices.Sort(list)
	return launchRequest{Path: path, Args: spec.Command, Env: list, Dir: spec.Dir}, nil
}

func setDefault(env map[string]string, key, value string) {
	if _, ok := env[key]; !ok {
		env[key] = value
	}
}

// findCommand resolves a command as a shell would in that folder with that PATH.
func findCommand(name, path, dir string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			name = filepath.Join(dir, name)
		}
		if err := executable(name); err != nil {
			return "", fmt.Errorf("command %s: %w", name, err)
		}
		return name, nil
	}
	for _, d := range filepath.SplitList(path) {
		if d == "" {
			continue
		}
		if !filepath.IsAbs(d) {
			d = filepath.Join(dir, d)
		}
		if full := filepath.Join(d, name); executable(full) == nil {
			return full, nil
		}
	}
	return "", fmt.Errorf("command not found: %s; give its path, or a PATH in env (now %s)", name, path)
}

func executable(path string) error {
	info, err := os.Stat(path) //nolint:gosec // the caller chooses what runs
	switch {
	case errors.Is(err, os.ErrNotExist):
		return errors.New("no such file")
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("not a regular file")
	case info.Mode()&0o111 == 0 || unix.Access(path, unix.X_OK) != nil:
		return errors.New("not executable; try chmod +x")
	}
	return nil
}
