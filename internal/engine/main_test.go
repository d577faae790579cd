package engine_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain lets this binary be the process whose memory the scale test measures.
func TestMain(m *testing.M) {
	if os.Getenv(scaleEnv) != "" { //nolint:forbidigo // this is main here
		os.Exit(scaleMain()) //nolint:forbidigo // this is main here
	}
	goleak.VerifyTestMain(m)
}
