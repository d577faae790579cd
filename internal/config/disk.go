package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"greengate/internal/deploy"
)

// checkDisk makes sure that what the service names exists on this machine, and computes the digests of functions.
func (d *decoder) checkDisk(s *deploy.Service) {
	w := s.Workload
	searchPath := w.Env["PATH"]
	if fault := folderFault(w.Dir); fault != "" {
		d.fault("dir", "%s", fault)
	}
	if w.EnvFile != "" && !d.blamed("env_file") {
		if env := d.envFile(w.EnvFile); searchPath == "" {
			searchPath = env["PATH"]
		}
	}
	if w.Image == "" {
		d.program("command", w.Command, w.Dir, searchPath)
	}
	eachHook(s, func(h *deploy.Hook, field string) {
		dir, own := h.Dir, h.Env["PATH"]
		if dir != "" && dir != w.Dir {
			if fault := folderFault(dir); fault != "" {
				d.fault(field+".dir", "%s", fault)
			}
		}
		switch h.Kind {
		case deploy.HookFunction:
			d.functionCode(field+".function", h.Function)
		case deploy.HookTask:
			if dir == "" {
				dir = w.Dir
			}
			if own == "" {
				own = searchPath
			}
			d.program(field+".task", h.Command, dir, own)
		case deploy.HookCommand:
			d.program(field+".command", h.Command, dir, own)
		case deploy.HookScenario:
			d.scenarioFile(field, h)
		case deploy.HookShadow: // names no files
		}
	})
}

// folderFault says why path is no folder, or "".
func folderFault(path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("the folder %s does not exist", path)
	case err != nil:
		return fmt.Sprintf("the folder %s cannot be read: %s", path, cause(err))
	case !info.IsDir():
		return fmt.Sprintf("%s is not a folder", path)
	}
	return ""
}

// cause is the operating system's own words, without the path that the message holds already.
func cause(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

func (d *decoder) envFile(path string) map[string]string {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		d.fault("env_file", "%s is not a file", path)
		return nil
	}
	content, err := readBounded(path, maxEnvFile)
	if err != nil {
		d.fault("env_file", "%s cannot be read: %s", path, cause(err))
		return nil
	}
	env, faults := ParseEnvFile(content)
	for _, f := range faults {
		d.fault("env_file", "%s:%d: %s", path, f.Line, f.Message)
	}
	return env
}

// program makes sure that the first word of a command can be run. A relative word with a slash is meant from dir; a
// word without one is searched in searchPath, or in this process's PATH.
func (d *decoder) program(field string, command []string, dir, searchPath string) {
	if len(command) == 0 || command[0] == "" || d.blamed(field) || folderFault(dir) != "" {
		return // has a fault already
	}
	at, name := field+"[0]", command[0]
	if _, ok := d.at[at]; !ok {
		at = field // one text
	}
	if strings.Contains(name, "/") {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if fault := executableFault(path); fault != "" {
			d.fault(at, "%s", fault)
		}
		return
	}
	if searchPath == "" {
		if _, err := exec.LookPath(name); err != nil && !errors.Is(err, exec.ErrDot) {
			d.fault(at, "the program %q is not found in PATH; write ./%s for one in the service's folder", name, name)
		}
		return
	}
	for _, folder := range filepath.SplitList(searchPath) {
		if filepath.IsAbs(folder) && executableFault(filepath.Join(folder, name)) == "" {
			return
		}
	}
	d.fault(at, "the program %q is not found in the PATH that the environment gives (%s)", name, searchPath)
}

// executableFault says why path is no program, or "".
func executableFault(path string) string {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("the program %s does not exist", path)
	case err != nil:
		return fmt.Sprintf("the program %s cannot be read: %s", path, cause(err))
	case !info.Mode().IsRegular():
		return fmt.Sprintf("%s is not a program", path)
	case info.Mode().Perm()&0o111 == 0:
		return fmt.Sprintf("%s is not executable; run chmod +x %s", path, path)
	}
	return ""
}

func (d *decoder) functionCode(field string, f *deploy.Function) {
	if f == nil || f.CodeDir == "" || d.blamed(field+".code") {
		return
	}
	if fault := folderFault(f.CodeDir); fault != "" {
		d.fault(field+".code", "%s", fault)
		return
	}
	d.handlerFile(field, f)
	digest, err := functionDigest(*f)
	if err != nil {
		d.fault(field+".code", "%s", err)
		return
	}
	f.Digest = digest
}

// handlerFile makes sure that the code folder holds the file that the handler names.
func (d *decoder) handlerFile(field string, f *deploy.Function) {
	if strings.HasPrefix(f.Runtime, "provided") {
		if fault := executableFault(filepath.Join(f.CodeDir, "bootstrap")); fault != "" {
			d.fault(field+".code", "%s; the runtime %q starts it", fault, f.Runtime)
		}
		return
	}
	files := handlerFiles(*f)
	for _, file := range files {
		if info, err := os.Stat(filepath.Join(f.CodeDir, file)); err == nil && info.Mode().IsRegular() {
			return
		}
	}
	if len(files) > 0 {
		d.fault(field+".handler", "%q means the file %s, which is not in %s", f.Handler, files[0], f.CodeDir)
	}
}

// handlerFiles are the files in which a handler can be, by the rules of its runtime; none where the handler or the
// runtime is one that the domain refuses.
func handlerFiles(f deploy.Function) []string {
	folder, base := filepath.Split(f.Handler)
	switch {
	case strings.HasPrefix(f.Runtime, "python3"):
		i := strings.LastIndex(base, ".") // the last dot parts the function, the others are packages
		if i <= 0 {
			return nil
		}
		module := folder + strings.ReplaceAll(base[:i], ".", "/")
		return []string{module + ".py", module + "/__init__.py"}
	case strings.HasPrefix(f.Runtime, "nodejs"):
		module, _, ok := strings.Cut(base, ".") // the first dot parts the export
		if !ok || module == "" {
			return nil
		}
		return []string{folder + module + ".js", folder + module + ".mjs", folder + module + ".cjs"}
	}
	return nil
}
