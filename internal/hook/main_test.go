package hook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"greengate/internal/deploy"
	"greengate/internal/runner"
	"greengate/internal/scenario"
	"greengate/internal/shadow"
)

// programEnv makes this test binary be one of the programs that hooks run; it holds "kind:program".
const programEnv = "GG_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == runner.LaunchArg {
		os.Exit(runner.Launch()) //nolint:forbidigo // this is main here
	}
	if len(os.Args) == 4 && os.Args[1] == "verify" && os.Args[2] == "--hook" {
		os.Exit(verifyMain(os.Args[3], scenario.RunJob)) //nolint:forbidigo // this is main here
	}
	if len(os.Args) == 4 && os.Args[1] == "verify" && os.Args[2] == "--hook-cleanup" {
		os.Exit(verifyMain(os.Args[3], scenario.RunCleanup)) //nolint:forbidigo // this is main here
	}
	if len(os.Args) == 3 && os.Args[1] == shadow.Arg {
		os.Exit(0) //nolint:forbidigo // this is main here: a comparison that leaves no result
	}
	if name := os.Getenv(programEnv); name != "" { //nolint:forbidigo // this is main here
		os.Exit(programMain(name)) //nolint:forbidigo // this is main here
	}
	goleak.VerifyTestMain(m)
}

// verifyMain is what greengate verify --hook and --hook-cleanup do.
func verifyMain(job string, run func(context.Context, string, func(string) string, io.Writer) (scenario.Result, error)) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := run(ctx, job, os.Getenv, os.Stdout) //nolint:forbidigo // this is main here
	switch {
	case err == nil && r.Verdict == scenario.Pass:
		return 0
	case err == nil && r.Verdict == scenario.Fail:
		return 4
	}
	return 5
}

func programMain(name string) int {
	kind, program, _ := strings.Cut(name, ":")
	if kind == "function" {
		return functionMain(program)
	}
	if kind != "child" {
		started(os.Getenv("GREENGATE_HOOK_EXECUTION_ID")) //nolint:forbidigo // a program
	}
	return programDoes(program)
}

// started writes one line for each start of an effect's program.
func started(execution string) {
	path := filepath.Join(os.Getenv("GG_TEST_DIR"), "starts-"+execution) //nolint:forbidigo // a program
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(f, os.Getpid())
	_ = f.Close()
}

func programDoes(program string) int {
	switch program {
	case "fails":
		fmt.Fprintln(os.Stdout, "on stdout")
		fmt.Fprintln(os.Stderr, "the home page has no title; token is "+os.Getenv("API_TOKEN")) //nolint:forbidigo // a program
		return 7
	case "sleeps": // with a descendant in a session of its own
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), programEnv+"=child:deaf")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		time.Sleep(time.Hour)
	case "polite":
		ch := make(chan os.Signal, 1)
		signal.Notify(ch, syscall.SIGTERM)
		<-ch
	case "deaf":
		signal.Ignore(syscall.SIGTERM)
		time.Sleep(time.Hour)
	case "environment":
		data, err := json.Marshal(os.Environ())
		if err == nil {
			err = os.WriteFile(filepath.Join(os.Getenv("GG_TEST_DIR"), "environment"), data, 0o600) //nolint:forbidigo // a program
		}
		if err != nil {
			return 4
		}
	}
	if results := os.Getenv("GG_TEST_RESULTS"); results != "" { //nolint:forbidigo // a program
		path := os.Getenv("GREENGATE_RESULTS") //nolint:forbidigo // a program
		if results == "fifo" {
			_ = syscall.Mkfifo(path, 0o600)
		} else if err := os.WriteFile(path, []byte(results), 0o600); err != nil {
			return 4
		}
	}
	return 0
}

// functionMain is a function of runtime "provided".
func functionMain(program string) int {
	base := "http://" + os.Getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/" //nolint:forbidigo // a function
	for {
		res, err := http.Get(base + "next")
		if err != nil {
			return 1
		}
		event, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			return 1
		}
		var e struct {
			LifecycleEventHookExecutionId string
		}
		if json.Unmarshal(event, &e) != nil {
			return 1
		}
		started(e.LifecycleEventHookExecutionId)
		own, answer := base+res.Header.Get("Lambda-Runtime-Aws-Request-Id"), "/response"
		body := string(event)
		switch program {
		case "fails":
			answer, body = "/error", `{"errorType":"AssertionError","errorMessage":"the home page has no title"}`
		case "exits":
			return 3
		default:
			programDoes(program)
		}
		if res, err = http.Post(own+answer, "application/json", strings.NewReader(body)); err != nil {
			return 1
		}
		_ = res.Body.Close()
	}
}

func isPermanent(err error) bool { return errors.Is(err, deploy.ErrPermanent) }
