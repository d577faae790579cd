package proxy

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" { //nolint:forbidigo // the test binary is its own child, see restart_test.go
		os.Exit(childMain(dir)) //nolint:forbidigo // the same
	}
	goleak.VerifyTestMain(m)
}
