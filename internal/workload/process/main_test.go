package process_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"greengate/internal/runner"
)

// programEnv makes this test binary be one of the programs that tasks run.
const programEnv = "GG_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == runner.LaunchArg {
		os.Exit(runner.Launch()) //nolint:forbidigo // this is main here
	}
	if name := os.Getenv(programEnv); name != "" { //nolint:forbidigo // this is main here
		os.Exit(program(name)) //nolint:forbidigo // this is main here
	}
	goleak.VerifyTestMain(m)
}

// program is what tasks run.
func program(name string) int {
	switch name {
	case "healthy":
		l, err := net.Listen("tcp", net.JoinHostPort(os.Getenv("HOST"), os.Getenv("PORT"))) //nolint:forbidigo // a program
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) }))
	case "deaf":
		time.Sleep(time.Hour)
	}
	fmt.Fprintln(os.Stderr, "last words")
	return 1
}
