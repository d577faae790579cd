package config

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func environ(pairs ...string) func(string) string {
	return func(name string) string {
		for _, p := range pairs {
			if k, v, _ := strings.Cut(p, "="); k == name {
				return v
			}
		}
		return ""
	}
}

func TestCredentials_roundTrip(t *testing.T) {
	dir := t.TempDir()
	want := Credentials{
		AccessKeyID: "AKIAEXAMPLE", SecretAccessKey: "abc/def+ghi=", Region: "eu-west-1", Endpoint: "http://127.0.0.1:4566",
	}
	if _, err := ReadCredentials(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty folder gives %v", err)
	}
	for range 2 { // the second time over the first
		if err := WriteCredentials(dir, want); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ReadCredentials(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	info, err := os.Stat(filepath.Join(dir, "credentials"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v", entries)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "credentials", want)
	if shown := fmt.Sprintf("%v %+v %#v %s", want, want, want, log.String()); strings.Contains(shown, want.SecretAccessKey) {
		t.Errorf("the secret is shown: %s", shown)
	}
	// A controller that started on another port says so in the endpoint file.
	if err := os.WriteFile(filepath.Join(dir, "endpoint"), []byte("http://127.0.0.1:9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadCredentials(dir); err != nil || got.Endpoint != "http://127.0.0.1:9" {
		t.Errorf("endpoint %q, %v", got.Endpoint, err)
	}
	want.SecretAccessKey = "two\nlines"
	if err := WriteCredentials(dir, want); err == nil {
		t.Error("a secret with a line break is written")
	}
}

func TestParseCredentials_refuses(t *testing.T) {
	for content, message := range map[string]string{
		"":              "has no aws_access_key_id",
		"[default\n":    "line 1: a [ is not closed",
		"[default]\nx":  "line 2 is not KEY = VALUE",
		"[a]\nx = y\n ": "has no aws_access_key_id",
		"[other]\naws_access_key_id = A\naws_secret_access_key = B\n": "has no aws_access_key_id",
	} {
		if _, err := parseCredentials([]byte(content)); err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("%q gives %v, want %q", content, err, message)
		}
	}
}

func TestFindController(t *testing.T) {
	dir, none := t.TempDir(), t.TempDir()
	stored := Credentials{AccessKeyID: "FILE", SecretAccessKey: "s", Region: "eu-west-1", Endpoint: "http://127.0.0.1:1"}
	if err := WriteCredentials(dir, stored); err != nil {
		t.Fatal(err)
	}
	aws := []string{"AWS_ENDPOINT_URL=http://127.0.0.1:2", "AWS_ACCESS_KEY_ID=ENV", "AWS_SECRET_ACCESS_KEY=t", "AWS_SESSION_TOKEN=tok"}
	inHook := append([]string{"GREENGATE_DEPLOYMENT_ID=d-1"}, aws...)
	tests := []struct {
		name     string
		flags    ClientFlags
		env      []string
		key, url string
		fails    bool
	}{
		{name: "flag", flags: ClientFlags{Data: dir}, env: inHook, key: "FILE", url: "http://127.0.0.1:1"},
		{name: "environment names the folder", env: []string{"GREENGATE_DATA=" + dir}, key: "FILE", url: "http://127.0.0.1:1"},
		{name: "endpoint flag", flags: ClientFlags{Data: dir, Endpoint: "http://127.0.0.1:3"}, key: "FILE", url: "http://127.0.0.1:3"},
		{name: "endpoint in the environment", env: []string{"GREENGATE_DATA=" + dir, "GREENGATE_ENDPOINT=http://h:4"}, key: "FILE", url: "http://h:4"},
		{name: "hook", env: append([]string{"GREENGATE_DATA=" + dir}, inHook...), key: "ENV", url: "http://127.0.0.1:2"},
		{name: "folder before AWS", env: append([]string{"GREENGATE_DATA=" + dir}, aws...), key: "FILE", url: "http://127.0.0.1:1"},
		{name: "AWS where there is no folder", env: append([]string{"GREENGATE_DATA=" + none}, aws...), key: "ENV", url: "http://127.0.0.1:2"},
		{name: "nothing", env: []string{"GREENGATE_DATA=" + none}, fails: true},
		{name: "flag without credentials", flags: ClientFlags{Data: none}, env: aws, fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := FindController(tt.flags, environ(tt.env...))
			if tt.fails {
				if !errors.Is(err, ErrNoController) {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil || got.AccessKeyID != tt.key || got.Endpoint != tt.url || got.Region == "" {
				t.Errorf("%v with %q, %v", got, got.Region, err)
			}
			if token := got.SessionToken; (token == "tok") != (tt.key == "ENV") {
				t.Errorf("token %q", token)
			}
		})
	}
	if _, err := FindController(ClientFlags{Data: dir, Endpoint: "localhost:4566"}, environ()); err == nil || errors.Is(err, ErrNoController) {
		t.Errorf("an endpoint without a scheme gives %v", err)
	}
}

func TestServe(t *testing.T) {
	s, err := ServeDefaults(environ())
	if err != nil {
		t.Fatal(err)
	}
	s, err = s.Validate()
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := Serve{
		Data: filepath.Join(wd, ".greengate"), Listen: "127.0.0.1:4566", Region: "us-east-1",
		AccountID: "000000000000", Minute: time.Minute, LoadBalancers: "127.77.0.0/16",
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Error(diff)
	}
	s, err = ServeDefaults(environ("GREENGATE_DATA=/d", "GREENGATE_LISTEN=127.0.0.1:0", "GREENGATE_REGION=eu-west-1",
		"GREENGATE_ACCOUNT_ID=123456789012", "GREENGATE_MINUTE=1s", "GREENGATE_COMPAT=aws", "GREENGATE_EPHEMERAL=1",
		"GREENGATE_LOAD_BALANCERS=127.9.0.0/24"))
	want = Serve{
		Data: "/d", Listen: "127.0.0.1:0", Region: "eu-west-1", AccountID: "123456789012", Minute: time.Second, Compat: CompatAWS,
		Ephemeral: true, LoadBalancers: "127.9.0.0/24",
	}
	if diff := cmp.Diff(want, s); diff != "" || err != nil {
		t.Error(diff, err)
	}
	_, err = ServeDefaults(environ("GREENGATE_MINUTE=soon", "GREENGATE_EPHEMERAL=perhaps"))
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("bad variables give %v", err)
	}
	_, err = Serve{Listen: "4566", Region: "EU", AccountID: "1", Minute: time.Hour, Compat: "gcp", LoadBalancers: "127.0.0.1"}.Validate()
	if err == nil || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("bad settings give %v", err)
	}
}

func TestSplitCommand(t *testing.T) {
	tests := []struct {
		line string
		want []string
		err  string
	}{
		{line: "./server --port 80", want: []string{"./server", "--port", "80"}},
		{line: "  a\t b\n", want: []string{"a", "b"}},
		{line: `a 'b c' "d e" f\ g ''`, want: []string{"a", "b c", "d e", "f g", ""}},
		{line: `a"b"'c'd`, want: []string{"abcd"}},
		{line: `"\"\\\$\x"`, want: []string{`"\$\x`}},
		{line: "a\\\nb", want: []string{"ab"}},
		{line: `'$HOME' \$x`, want: []string{"$HOME", "$x"}},
		{line: "", err: "is empty"},
		{line: "a $HOME", err: "means something to a shell"},
		{line: `a "$HOME"`, err: "means something to a shell"},
		{line: "a && b", err: "means something to a shell"},
		{line: "a > b", err: "means something to a shell"},
		{line: "a 'b", err: "not closed"},
		{line: `a "b`, err: "not closed"},
		{line: `a \`, err: "backslash"},
	}
	for _, tt := range tests {
		got, err := SplitCommand(tt.line)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q gives %q, %v; want %q", tt.line, got, err, tt.err)
			}
			continue
		}
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%q: %v %s", tt.line, err, diff)
		}
	}
}

func TestParseEnvFile(t *testing.T) {
	env, faults := ParseEnvFile([]byte("# c\n\nexport A=1\nB='two # $x'\nC=\"x\\ny\\$\" # tail\nD=bare # tail\nE=\nA=2\r\nF=a=b\n"))
	want := map[string]string{"A": "2", "B": "two # $x", "C": "x\ny$", "D": "bare", "E": "", "F": "a=b"}
	if diff := cmp.Diff(want, env); diff != "" || len(faults) > 0 {
		t.Errorf("%s %v", diff, faults)
	}
	_, faults = ParseEnvFile([]byte("A\n=x\nB='x\nC='x' y\nD E=1\n\x00=1\nF=1"))
	if len(faults) != 6 || faults[5].Line != 6 {
		t.Errorf("faults %v", faults)
	}
}
