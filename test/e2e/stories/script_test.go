package stories

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// patience is how long a condition is awaited. It is generous: the machine may be busy.
const patience = 90 * time.Second

func TestStories(t *testing.T) {
	lookAtSources(t)
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			tell(t, file)
		})
	}
}

// lookAtSources tells go test of what the binaries are made, so that it takes no result of older ones from its cache.
func lookAtSources(t *testing.T) {
	t.Helper()
	for _, root := range []string{"../../../cmd", "../../../internal", "shop"} {
		err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// story is one script as it runs.
type story struct {
	*testing.T
	dir            string
	env            []string
	stdout, stderr string
	server         *background
	jobs           map[string]*background
	load           *load
	sockets        map[string]*socket
	mounts         []string
}

// command runs one line of a script.
type command func(s *story, not bool, args []string)

// commands is the language.
func commands() map[string]command {
	return map[string]command{
		"greengate": func(s *story, _ bool, args []string) { s.exec(0, append([]string{"greengate"}, args...)) },
		"exec":      func(s *story, _ bool, args []string) { s.exec(0, args) },
		"code":      func(s *story, _ bool, args []string) { s.exec(s.number(args[0]), args[1:]) },
		"await":     (*story).await,
		"stdout":    func(s *story, not bool, args []string) { s.match("stdout", s.stdout, not, args[0]) },
		"stderr":    func(s *story, not bool, args []string) { s.match("stderr", s.stderr, not, args[0]) },
		"grep":      func(s *story, not bool, args []string) { s.match(args[1], s.read(args[1]), not, args[0]) },
		"set":       (*story).setVariable,
		"cmp":       (*story).compare,
		"exists":    (*story).exists,
		"cp":        func(s *story, _ bool, args []string) { s.write(args[1], s.read(args[0])) },
		"rm":        func(s *story, _ bool, args []string) { s.must(os.RemoveAll(s.path(args[0]))) },
		"mkdir":     func(s *story, _ bool, args []string) { s.must(os.MkdirAll(s.path(args[0]), 0o755)) },
		"sub":       (*story).substitute,
		"env":       func(s *story, _ bool, args []string) { s.env = append(s.env, args...) },
		"needs":     (*story).needs,
		"append": func(s *story, _ bool, args []string) {
			old := ""
			if _, err := os.Stat(s.path(args[0])); err == nil {
				old = s.read(args[0])
			}
			s.write(args[0], old+args[1]+"\n")
		},
		"add": func(s *story, _ bool, args []string) { s.write(args[0], s.read(args[0])+s.read(args[1])) },
		"await-file": func(s *story, _ bool, args []string) {
			s.until("file "+args[1]+" matches "+args[0], func() bool {
				content, err := os.ReadFile(s.path(args[1]))
				return err == nil && pattern(args[0]).Match(content)
			})
		},

		"serve":        (*story).serve,
		"bg":           (*story).background,
		"waitbg":       (*story).waitBackground,
		"signal":       (*story).signal,
		"memory-below": (*story).memoryBelow,
		"gone":         func(s *story, _ bool, _ []string) { s.gone() },

		"json":      func(s *story, _ bool, _ []string) { s.document() },
		"jsonlines": (*story).jsonLines,
		"field":     (*story).field,

		"http":         (*story).http,
		"api":          (*story).api,
		"websocket":    (*story).websocket,
		"ws-say":       (*story).say,
		"ws-await-end": (*story).awaitEnd,
		"ws-close":     (*story).closeSocket,
		"load":         (*story).startLoad,
		"load-mark":    func(s *story, _ bool, _ []string) { s.load.mark() },
		"load-await":   func(s *story, _ bool, args []string) { s.load.await(s, s.number(args[0])) },
		"load-share":   (*story).share,
		"load-end":     (*story).endLoad,
		"tmpfs":        (*story).tmpfs,
		"fill":         (*story).fill,
		"disturb":      (*story).disturb,
	}
}

// shopFile is the greengate.yaml of each story that brings none of its own.
//
//go:embed testdata/shop.yaml
var shopFile string

// stories counts the stories of this process: the number makes the addresses of a story.
var stories atomic.Int32

// freePort is a port that nobody listened on a moment ago, on any address.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func tell(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "gg") //nolint:usetesting // short: the paths of unix sockets are
	if err != nil {
		t.Fatal(err)
	}
	n, pid := stories.Add(1), os.Getpid()
	address := fmt.Sprintf("127.%d.%d.%d", 64+pid%64, pid/64%256, n)
	s := &story{T: t, dir: dir, jobs: map[string]*background{}, sockets: map[string]*socket{}, env: []string{
		"WORK=" + dir, "HOME=" + dir, "TZ=UTC", "GREENGATE_DATA=" + filepath.Join(dir, "data"), "DATA=" + filepath.Join(dir, "data"),
		"PATH=" + strings.Join([]string{binDir, dir, os.Getenv("PATH")}, ":"), "BIN=" + binDir, //nolint:forbidigo // programs are found where this test finds them
		"ADDRESS=" + address, "PROD=" + address + ":8080", "TEST=" + address + ":8081", "FREE=" + freePort(t),
	}}
	t.Cleanup(s.end)
	s.unpack("-- greengate.yaml --\n" + shopFile)
	script := s.unpack(string(content))
	known := commands()
	for i, line := range strings.Split(script, "\n") {
		words := s.words(line)
		if len(words) == 0 {
			continue
		}
		where := fmt.Sprintf("%s:%d: %s", file, i+1, strings.TrimSpace(line))
		t.Log(where)
		not := words[0] == "!"
		if not {
			words = words[1:]
		}
		run, ok := known[words[0]]
		if !ok {
			t.Fatalf("%s: unknown command", where)
		}
		if run(s, not, words[1:]); t.Failed() {
			t.FailNow()
		}
	}
}

var fileMark = regexp.MustCompile(`(?m)^-- (\S+) --\n`)

// unpack writes the files of an archive and returns what stands before them.
func (s *story) unpack(content string) string {
	marks := fileMark.FindAllStringSubmatchIndex(content, -1)
	script := content
	for i, m := range marks {
		end := len(content)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		if i == 0 {
			script = content[:m[0]]
		}
		name, body := content[m[2]:m[3]], content[m[1]:end]
		if ext := filepath.Ext(name); ext == ".yaml" || ext == ".json" {
			body = strings.NewReplacer("${PROD}", s.getenv("PROD"), "${TEST}", s.getenv("TEST"), "${WORK}", s.dir, "${ADDRESS}", s.getenv("ADDRESS"), "${BIN}", binDir).Replace(body)
		}
		s.write(name, body)
	}
	return script
}

func (s *story) write(name, body string) {
	s.Helper()
	mode := os.FileMode(0o644)
	if strings.HasPrefix(body, "#!") {
		mode = 0o755
	}
	s.must(os.MkdirAll(filepath.Dir(s.path(name)), 0o755))
	s.must(os.WriteFile(s.path(name), []byte(body), mode))
}

func (s *story) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *story) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.dir, name)
}

func (s *story) read(name string) string {
	s.Helper()
	switch name {
	case "stdout":
		return s.stdout
	case "stderr":
		return s.stderr
	}
	content, err := os.ReadFile(s.path(name))
	s.must(err)
	return string(content)
}

func (s *story) getenv(name string) string {
	for _, e := range slices.Backward(s.env) {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// words splits a line; single quotes protect, two of them are one.
func (s *story) words(line string) []string {
	s.Helper()
	var words []string
	for line = strings.TrimSpace(line); line != "" && line[0] != '#'; line = strings.TrimLeft(line, " ") {
		if line[0] != '\'' {
			word, rest, _ := strings.Cut(line, " ")
			words, line = append(words, os.Expand(word, s.getenv)), rest
			continue
		}
		var word strings.Builder
		for line = line[1:]; ; {
			part, rest, ok := strings.Cut(line, "'")
			if !ok {
				s.Fatalf("a quote is not closed: %s", line)
			}
			word.WriteString(part)
			line = rest
			if !strings.HasPrefix(line, "'") {
				break
			}
			line = line[1:]
			word.WriteByte('\'')
		}
		words = append(words, word.String())
	}
	return words
}

func pattern(re string) *regexp.Regexp { return regexp.MustCompile("(?m)" + re) }

func (s *story) number(text string) int {
	s.Helper()
	n, err := strconv.Atoi(text)
	s.must(err)
	return n
}

func (s *story) match(what, content string, not bool, re string) {
	s.Helper()
	re = os.Expand(re, func(name string) string {
		if v := s.getenv(name); v != "" {
			return v
		}
		return "$" + name
	})
	if found := pattern(re).MatchString(content); found == not {
		s.Errorf("%q found: %v in %s:\n%s", re, found, what, clip(content))
	}
}

// clip keeps a failure readable.
func clip(text string) string {
	const most = 16 << 10
	if len(text) > most {
		return "... " + text[len(text)-most:]
	}
	return text
}

// prepare makes a command of the story's.
func (s *story) prepare(words []string) *exec.Cmd {
	s.Helper()
	program := words[0]
	for dir := range strings.SplitSeq(s.getenv("PATH"), ":") {
		if path := filepath.Join(dir, program); !strings.Contains(program, "/") && executable(path) {
			program = path
		}
	}
	cmd := exec.Command(program, words[1:]...) // what runs in the background outlives the context of the test
	cmd.Dir, cmd.Env = s.dir, s.env
	return cmd
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

func (s *story) exec(want int, words []string) {
	s.Helper()
	if got := s.try(words); got != want {
		s.Errorf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", got, want, clip(s.stdout), clip(s.stderr))
	}
}

// try runs a command to its end and keeps what it printed.
func (s *story) try(words []string) int {
	s.Helper()
	cmd := s.prepare(words)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 5 * time.Second
	stop := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	err := cmd.Run()
	if !stop.Stop() {
		s.Errorf("%q did not end within %s", words, patience)
	}
	s.stdout, s.stderr = stdout.String(), stderr.String()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		s.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

// until polls a condition.
func (s *story) until(what string, holds func() bool) {
	s.Helper()
	for limit := time.Now().Add(patience); !holds(); {
		if time.Now().After(limit) {
			s.Fatalf("not within %s: %s\nstdout:\n%s\nstderr:\n%s", patience, what, clip(s.stdout), clip(s.stderr))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *story) await(_ bool, args []string) {
	s.Helper()
	re := pattern(args[0])
	s.until(fmt.Sprintf("%q matches %q", args[1:], args[0]), func() bool {
		s.try(args[1:])
		return re.MatchString(s.stdout) || re.MatchString(s.stderr)
	})
}

func (s *story) setVariable(_ bool, args []string) {
	s.Helper()
	found := pattern(args[1]).FindStringSubmatch(s.stdout)
	if len(found) < 2 {
		s.Fatalf("%q has no group in:\n%s", args[1], clip(s.stdout))
	}
	s.env = append(s.env, args[0]+"="+found[1])
}

func (s *story) compare(_ bool, args []string) {
	s.Helper()
	if got, want := s.read(args[0]), s.read(args[1]); got != want {
		s.Errorf("%s is\n%s\nand not\n%s", args[0], clip(got), clip(want))
	}
}

func (s *story) exists(not bool, args []string) {
	s.Helper()
	if _, err := os.Lstat(s.path(args[0])); (err == nil) == not {
		s.Errorf("%s: %v", args[0], err)
	}
}

func (s *story) substitute(_ bool, args []string) {
	s.Helper()
	old := s.read(args[0])
	if !strings.Contains(old, args[1]) {
		s.Fatalf("%s does not hold %q", args[0], args[1])
	}
	s.write(args[0], strings.ReplaceAll(old, args[1], args[2]))
}

// needs skips the story where a program, a Python module or the rights of root are absent.
func (s *story) needs(_ bool, args []string) {
	s.Helper()
	for _, what := range args {
		module, isModule := strings.CutPrefix(what, "python:")
		switch {
		case what == "root":
			if os.Geteuid() != 0 {
				s.Skip("it needs root, for mounts and network namespaces")
			}
		case isModule:
			if err := exec.CommandContext(s.Context(), "python3", "-c", "import "+module).Run(); err != nil {
				s.Skipf("it needs python3 with %s", module)
			}
		default:
			if _, err := exec.LookPath(what); err != nil {
				s.Skipf("it needs %s", what)
			}
		}
	}
}
