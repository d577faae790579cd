package rehearse

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"greengate/internal/deploy"
	"greengate/internal/scenario"
	"greengate/internal/trial"
)

// probePace bounds how far apart health checks are in a rehearsal. It is about the order of things, not about waiting.
const probePace = 500 * time.Millisecond

// marker is the variable that makes a new revision of the same version.
const marker = "GREENGATE_REHEARSAL"

// prepare makes the service of the rehearsal out of the one of the file: on addresses of its own.
func (s *stage) prepare(ctx context.Context) error {
	svc := s.o.Service
	w := &svc.Workload
	r := relocation{}
	var err error
	if svc.Production, err = r.move(ctx, svc.Production); err != nil {
		return err
	}
	if svc.Test != "" {
		if svc.Test, err = r.move(ctx, svc.Test); err != nil {
			return err
		}
	}
	w.Command, w.Env = r.words(w.Command), r.values(w.Env)
	maps.Copy(w.Env, s.o.Env)
	if w.EnvFile, err = r.envFile(w.EnvFile, filepath.Join(s.in.Dir, "env")); err != nil {
		return err
	}
	if w.Health != nil {
		h := *w.Health
		h.Interval = min(h.Interval, probePace)
		w.Health = &h
	}
	hooks := map[deploy.Phase][]deploy.Hook{}
	for phase, list := range svc.Hooks {
		if hooks[phase], err = r.hooks(list, s.o.Env); err != nil {
			return err
		}
	}
	svc.Hooks = hooks
	if svc.Smoke, err = r.hooks(svc.Smoke, s.o.Env); err != nil {
		return err
	}
	svc.Bake, svc.Traffic.Interval = s.shorten(svc.Bake), s.shorten(svc.Traffic.Interval)
	s.service = svc
	return nil
}

// shorten scales a wait by how long a minute lasts here.
func (s *stage) shorten(d time.Duration) time.Duration {
	if d == 0 {
		return 0
	}
	return max(time.Duration(float64(d)*s.o.Minute.Minutes()), time.Millisecond)
}

// version is the service of one deployment: the same version, changed by a variable, with the fault in it.
func (s *stage) version(f fault) deploy.Service {
	svc := s.service
	svc.Workload.Env = maps.Clone(svc.Workload.Env)
	svc.Workload.Env[marker] = f.name
	svc.Hooks = maps.Clone(svc.Hooks)
	for phase, list := range svc.Hooks {
		svc.Hooks[phase] = slices.Clone(list)
	}
	svc.Smoke = slices.Clone(svc.Smoke)
	if f.alter != nil {
		f.alter(s, &svc)
	}
	return svc
}

// relocation replaces the addresses of listeners by those of the rehearsal, also where commands and environments name them.
type relocation []struct {
	was *regexp.Regexp
	is  string
}

// move finds a free address for a listener and remembers by which names it may be meant.
func (r *relocation) move(ctx context.Context, address string) (string, error) {
	free, err := trial.FreeAddress(ctx)
	if err != nil {
		return "", err
	}
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return "", fmt.Errorf("read address of listener: %w", err)
	}
	port := ":" + strconv.Itoa(int(at.Port()))
	names := []string{regexp.QuoteMeta(at.String()), `\blocalhost` + port}
	if at.Addr().IsUnspecified() {
		names = append(names, `\b127\.0\.0\.1`+port)
	}
	for _, name := range names {
		*r = append(*r, struct {
			was *regexp.Regexp
			is  string
		}{regexp.MustCompile(name + `\b`), free})
	}
	return free, nil
}

func (r *relocation) text(s string) string {
	for _, m := range *r {
		s = m.was.ReplaceAllLiteralString(s, m.is)
	}
	return s
}

func (r *relocation) words(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = r.text(s)
	}
	return out
}

func (r *relocation) values(env map[string]string) map[string]string {
	out := make(map[string]string, len(env)+1)
	for name, v := range env {
		out[name] = r.text(v)
	}
	return out
}

// envFile copies an environment file to a place of ours; without one there is nothing to copy.
func (r *relocation) envFile(path, to string) (string, error) {
	if path == "" {
		return "", nil
	}
	content, err := os.ReadFile(path) //nolint:gosec // the service names it
	if err != nil {
		return "", fmt.Errorf("read env_file: %w", err)
	}
	if err := os.WriteFile(to, []byte(r.text(string(content))), 0o600); err != nil { //nolint:gosec // a file in our own folder
		return "", fmt.Errorf("write env_file: %w", err)
	}
	return to, nil
}

// hooks are those of a list with their addresses replaced, and env over the environment that they have.
func (r *relocation) hooks(list []deploy.Hook, env map[string]string) ([]deploy.Hook, error) {
	out := slices.Clone(list)
	for i := range out {
		h := &out[i]
		h.Command = r.words(h.Command)
		h.Env = overlay(r.values(h.Env), env)
		if h.Function != nil {
			f := *h.Function
			f.Env = overlay(r.values(f.Env), env)
			h.Function, h.Env = &f, nil
		}
		if h.Scenario != nil {
			s, err := r.scenario(*h.Scenario)
			if err != nil {
				return nil, fmt.Errorf("take scenario of hook %s: %w", h.Name, err)
			}
			h.Scenario = &s
		}
	}
	return out, nil
}

// overlay sets only what is there already: a hook is not told more than its file says.
func overlay(env, over map[string]string) map[string]string {
	for name, v := range over {
		if _, ok := env[name]; ok {
			env[name] = v
		}
	}
	return env
}

// scenario replaces addresses in the files of a scenario. What names none stays as it is, with its digest.
func (r *relocation) scenario(s deploy.Scenario) (deploy.Scenario, error) {
	s.Vars = r.values(s.Vars)
	files, err := scenario.Unpack(s.Bundle)
	if err != nil {
		return s, err
	}
	changed := false
	for name, content := range files {
		if moved := r.text(string(content)); moved != string(content) {
			files[name], changed = []byte(moved), true
		}
	}
	if !changed {
		return s, nil
	}
	loaded, err := scenario.LoadFiles(s.File, files)
	if err != nil {
		return s, err
	}
	s.Digest = loaded.Digest
	s.Bundle, err = scenario.Pack(files)
	return s, err
}
