package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greengate/internal/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestScripts runs testdata/script: txtar archives, a script and the files that it finds beside itself. The language is a
// part of testscript's, whose module cannot be built here, and a few commands of ours:
//
//	greengate ARGS...   must succeed; its output is what stdout, stderr and cmp mean next
//	code N CMD ARGS...  runs a command that must end with exit code N
//	exec CMD ARGS...    runs a program that must succeed
//	[!] stdout RE       stderr, exists FILE, cmp FILE FILE, env NAME=VALUE, stdin FILE, rm FILE
//	controller FILE     starts a controller that answers what FILE says, known to .greengate
//	calls               prints what the controller was asked
//	json FILE           FILE must be one JSON document; jsonlines FILE: JSON lines
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			runScript(t, file)
		})
	}
}

type script struct {
	*testing.T
	dir            string
	env            []string
	stdin          string
	stdout, stderr string
	fake           *fakeController
	// archive is what the file holds, and order its files, for -update.
	text    string
	order   []string
	archive map[string]string
	changed bool
}

func runScript(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &script{T: t, dir: dir, archive: map[string]string{}, env: []string{
		asGreengate + "=1", "GREENGATE_TEST_NOW=2026-11-22T12:10:00Z", "TZ=UTC", "PATH=" + dir + "/bin:/usr/local/bin:/usr/bin:/bin",
		"HOME=" + dir, "WORK=" + dir,
		"GORACE=atexit_sleep_ms=0", // else every command of a test with -race takes a second longer
	}}
	s.unpack(string(content))
	s.must(os.MkdirAll(filepath.Join(dir, "bin"), 0o755))
	s.must(os.Symlink(self, filepath.Join(dir, "bin", "greengate")))
	for i, line := range strings.Split(s.text, "\n") {
		if words := s.words(line); len(words) > 0 {
			t.Logf("%s:%d: %s", file, i+1, line)
			s.run(words)
		}
		if t.Failed() {
			return
		}
	}
	if s.changed {
		s.must(os.WriteFile(file, []byte(s.pack()), 0o644))
	}
}

var fileMark = regexp.MustCompile(`(?m)^-- (\S+) --\n`)

func (s *script) unpack(content string) {
	marks := fileMark.FindAllStringSubmatchIndex(content, -1)
	s.text = content
	for i, m := range marks {
		end := len(content)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		if i == 0 {
			s.text = content[:m[0]]
		}
		name, body := content[m[2]:m[3]], content[m[1]:end]
		s.order = append(s.order, name)
		s.archive[name] = body
		path := s.path(name)
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") || !strings.Contains(filepath.Base(name), ".") {
			mode = 0o755
		}
		s.must(os.MkdirAll(filepath.Dir(path), 0o755))
		s.must(os.WriteFile(path, []byte(body), mode))
	}
}

func (s *script) pack() string {
	var b strings.Builder
	b.WriteString(s.text)
	for _, name := range s.order {
		b.WriteString("-- " + name + " --\n" + s.archive[name])
	}
	return b.String()
}

func (s *script) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *script) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.dir, name)
}

func (s *script) getenv(name string) string {
	for _, e := range slices.Backward(s.env) {
		if value, ok := strings.CutPrefix(e, name+"="); ok {
			return value
		}
	}
	return ""
}

// words splits a line; single quotes protect, two of them are one.
func (s *script) words(line string) []string {
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
			word.WriteByte('\'')
			line = line[1:]
		}
		words = append(words, word.String())
	}
	return words
}

func (s *script) run(words []string) {
	s.Helper()
	not := words[0] == "!"
	if not {
		words = words[1:]
	}
	args := words[1:]
	switch words[0] {
	case "greengate":
		s.exec(0, words)
	case "exec":
		s.exec(0, args)
	case "code":
		code, err := strconv.Atoi(args[0])
		s.must(err)
		s.exec(code, args[1:])
	case "stdout", "stderr":
		if found := regexp.MustCompile("(?m)" + args[0]).MatchString(s.read(words[0])); found == not {
			s.Errorf("%q found: %v in %s:\n%s", args[0], found, words[0], s.read(words[0]))
		}
	case "exists":
		if _, err := os.Lstat(s.path(args[0])); (err == nil) == not {
			s.Errorf("%s: %v", args[0], err)
		}
	case "cmp":
		s.compare(args[0], args[1])
	case "env":
		s.env = append(s.env, args...)
	case "stdin":
		s.stdin = s.read(args[0])
	case "rm":
		s.must(os.RemoveAll(s.path(args[0])))
	default:
		s.own(words[0], args)
	}
}

func (s *script) own(command string, args []string) {
	s.Helper()
	switch command {
	case "controller":
		s.controller(args[0])
	case "calls":
		s.stdout = s.fake.seen()
	case "json":
		s.checkJSON(s.read(args[0]))
	case "jsonlines":
		for line := range strings.Lines(s.read(args[0])) {
			s.checkJSON(line)
		}
	default:
		s.Fatalf("unknown command %q", command)
	}
}

func (s *script) exec(want int, words []string) {
	s.Helper()
	program := words[0]
	if program == "greengate" {
		program = filepath.Join(s.dir, "bin", "greengate")
	}
	cmd := exec.CommandContext(s.Context(), program, words[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = s.dir, s.env, strings.NewReader(s.stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	s.stdout, s.stderr, s.stdin = stdout.String(), stderr.String(), ""
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		s.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != want {
		s.Errorf("exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", got, want, s.stdout, s.stderr)
	}
}

func (s *script) read(name string) string {
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

func (s *script) compare(got, want string) {
	s.Helper()
	text := strings.ReplaceAll(s.read(got), s.dir, "WORK")
	if text == s.read(want) {
		return
	}
	if _, ok := s.archive[want]; ok && *update {
		s.archive[want], s.changed = text, true
		return
	}
	s.Errorf("%s is not %s (-want +got):\n%s", got, want, cmp.Diff(s.read(want), text))
}

func (s *script) controller(file string) {
	s.Helper()
	s.fake = &fakeController{}
	s.must(json.Unmarshal([]byte(s.read(file)), &s.fake.script))
	server := httptest.NewServer(s.fake)
	s.Cleanup(server.Close)
	c := testKeys
	c.Endpoint = server.URL
	s.must(writeKeys(s.path(".greengate"), c))
}

// writeKeys writes keys with blanks and quotes, which a controller never makes, as the quoting must take any.
func writeKeys(dir string, c config.Credentials) error {
	content := "[default]\naws_access_key_id = " + c.AccessKeyID + "\naws_secret_access_key = " + c.SecretAccessKey +
		"\nregion = " + c.Region + "\nendpoint_url = " + c.Endpoint + "\n"
	return errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "credentials"), []byte(content), 0o600))
}

// checkJSON wants one document whose keys are lower camel case, save for the names of variables.
func (s *script) checkJSON(content string) {
	s.Helper()
	d := json.NewDecoder(strings.NewReader(content))
	var v any
	s.must(d.Decode(&v))
	if d.More() {
		s.Errorf("more than one document:\n%s", content)
	}
	s.checkKeys(v)
}

func (s *script) checkKeys(v any) {
	s.Helper()
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			s.checkKeys(item)
		}
	case map[string]any:
		for key, value := range v {
			if !regexp.MustCompile(`^([a-z][A-Za-z0-9]*|AWS_[A-Z_]+)$`).MatchString(key) {
				s.Errorf("the key %q is not lower camel case", key)
			}
			s.checkKeys(value)
		}
	}
}
