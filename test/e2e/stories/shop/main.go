// Command shop is the service of the stories, and what their hooks run. Its faults are switched by its environment.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/websocket"
)

// getenv is this program's only way to its settings.
var getenv = os.Getenv //nolint:forbidigo // a program of its own

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1) //nolint:forbidigo // main
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return serve()
	}
	switch {
	case args[0] == "get" && len(args) == 3:
		return get(args[1], args[2])
	case args[0] == "flood" && len(args) == 2:
		return flood(args[1])
	case args[0] == "lambda" && len(args) == 1:
		return lambda()
	case args[0] == "linger" && len(args) == 2:
		return linger(args[1])
	}
	return fmt.Errorf("unknown arguments %q", args)
}

// get is a check: the body of a URL matches a pattern.
func get(url, pattern string) error {
	res, err := http.Get(url) //nolint:gosec,noctx // a check of a URL that its caller names
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK || !regexp.MustCompile(pattern).Match(body) {
		return fmt.Errorf("GET %s: %s %q is not 200 with %q", url, res.Status, body, pattern)
	}
	fmt.Printf("GET %s: %s", url, body) //nolint:forbidigo // a program's output
	return nil
}

// flood prints megabytes.
func flood(megabytes string) error {
	n, err := strconv.Atoi(megabytes)
	if err != nil {
		return err
	}
	line := strings.Repeat("0123456789abcdef", 63) + "0123456789abcde\n" // 1 KiB
	for range n << 10 {
		if _, err := os.Stdout.WriteString(line); err != nil {
			return err
		}
	}
	return nil
}

// linger leaves a process behind that has a session of its own and no environment, but holds our output open.
func linger(pidFile string) error {
	cmd := exec.Command("sleep", "600") //nolint:noctx // it is to outlive everything
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env, cmd.Stdout = []string{"PATH=" + getenv("PATH")}, os.Stdout
	if err := cmd.Start(); err != nil {
		return err
	}
	return os.WriteFile(pidFile, []byte(strconv.Itoa(cmd.Process.Pid)), 0o600) //nolint:gosec // its caller names the file
}

// lambda is a bootstrap of the provided runtimes: it asks for events, tests what TEST_URL names and reports.
func lambda() error {
	api := "http://" + getenv("AWS_LAMBDA_RUNTIME_API") + "/2018-06-01/runtime/invocation/"
	for {
		res, err := http.Get(api + "next") //nolint:noctx // it waits for the next event
		if err != nil {
			return err
		}
		var event struct{ DeploymentId, LifecycleEventHookExecutionId string }
		err = json.NewDecoder(res.Body).Decode(&event)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			return err
		}
		status := "Succeeded"
		if err := get(getenv("TEST_URL"), "^v2"); err != nil {
			fmt.Println(err) //nolint:forbidigo // the log of a function
			status = "Failed"
		}
		report := exec.Command("greengate", "hook", "report", "--deployment", event.DeploymentId, //nolint:gosec,noctx // as a script would
			"--execution", event.LifecycleEventHookExecutionId, "--status", status)
		if out, err := report.CombinedOutput(); err != nil {
			return fmt.Errorf("report: %w: %s", err, out)
		}
		done, err := http.Post(api+res.Header.Get("Lambda-Runtime-Aws-Request-Id")+"/response", "application/json", strings.NewReader("{}")) //nolint:noctx // to the runtime
		if err != nil {
			return err
		}
		_ = done.Body.Close()
	}
}

func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	host := getenv("HOST")
	if getenv("BIND") == "all" {
		host = "" // as programs do that nobody told of $HOST
	}
	if wait, err := time.ParseDuration(getenv("BEGIN_AFTER")); err == nil {
		<-time.After(wait)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, getenv("PORT"))) //nolint:noctx // it ends with the program
	if err != nil {
		return err
	}
	server := &http.Server{Handler: routes(), ReadHeaderTimeout: 10 * time.Second, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(getenv("H2C") == "")
	server.Protocols.SetUnencryptedHTTP2(getenv("H2C") != "")
	defer context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(grace)
	})()
	fmt.Println("shop", getenv("VERSION"), "listens on", l.Addr()) //nolint:forbidigo // a program's output
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func routes() http.Handler {
	version := getenv("VERSION")
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Version", version)
		if fails(r) {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = fmt.Fprintf(w, "%s %s\n", version, r.Proto) //nolint:gosec // its owner names the version
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if sick := getenv("SICK_IF"); sick != "" && (sick == "always" || exists(sick) || exists(sick+"."+getenv("HOST"))) {
			http.Error(w, "sick", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/host", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, getenv("HOST")) })
	mux.HandleFunc("/env", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Join(os.Environ(), "\n"))
	})
	mux.HandleFunc("/exit", func(http.ResponseWriter, *http.Request) { os.Exit(3) }) //nolint:forbidigo // as a crash
	mux.HandleFunc("/eat", func(http.ResponseWriter, *http.Request) { eat() })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		wait, _ := time.ParseDuration(r.URL.Query().Get("for"))
		<-time.After(wait)
		_, _ = fmt.Fprintln(w, version)
	})
	mux.Handle("/ws", websocket.Server{Handler: func(c *websocket.Conn) {
		var text string
		for websocket.Message.Receive(c, &text) == nil {
			if websocket.Message.Send(c, version+" "+text) != nil {
				return
			}
		}
	}})
	return mux
}

// fails reports whether this version answers a request with 500: FAIL=all, or production, which is seen by the address.
func fails(r *http.Request) bool {
	switch getenv("FAIL") {
	case "all":
		return true
	case "production":
		return r.Host == getenv("PRODUCTION")
	}
	file := getenv("FAIL_IF")
	return file != "" && exists(file)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// eat takes memory until it is killed.
func eat() {
	var all [][]byte
	for {
		piece := make([]byte, 1<<20)
		for i := range piece {
			piece[i] = 1
		}
		all = append(all, piece)
		_ = all
	}
}
