package awsapitest

import (
	"os"
	"os/exec"
	"testing"
)

// Python runs a script that speaks to the server as root with boto3, and fails the test with what it printed. Where there
// is no boto3 the test is skipped.
func (s *Server) Python(t *testing.T, script string, args ...string) string {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "python3", "-c", "import boto3").CombinedOutput(); err != nil {
		t.Skipf("python3 with boto3 is not installed: %v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "python3", append([]string{script}, args...)...) //nolint:gosec // a script of the test
	cmd.Env = append(os.Environ(), s.Env()...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}
