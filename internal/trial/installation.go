package trial

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// startLimit bounds the start of the installation, and its end.
const startLimit = 20 * time.Second

// Options of a scratch installation.
type Options struct {
	// Executable is the greengate binary that is driven.
	Executable string
	// Name is part of the name of the folder.
	Name string
	// Env is the environment of every command; HOME, where it is not in it, is the installation's folder.
	Env []string
	// Serve are more arguments of greengate serve.
	Serve []string
	// Log gets what the commands write to their standard error.
	Log io.Writer
	// Keep leaves the folder where it is.
	Keep bool
}

// Installation is an ephemeral greengate serve with a folder of its own.
type Installation struct {
	o Options
	// Dir is the folder, Data the data folder in it.
	Dir, Data string
	// Greeting is what serve printed when it was ready.
	Greeting string

	serve  *exec.Cmd
	served chan error
}

// Open starts an installation. Close ends it, also where Open failed half way.
func Open(ctx context.Context, o Options) (*Installation, error) {
	dir, err := os.MkdirTemp("", "greengate-"+o.Name+"-")
	if err != nil {
		return nil, fmt.Errorf("make scratch folder: %w", err)
	}
	i := &Installation{o: o, Dir: dir, Data: filepath.Join(dir, "data")}
	if err := i.open(ctx); err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

func (i *Installation) open(ctx context.Context) error {
	args := append([]string{"serve", "--listen", "127.0.0.1:0", "--ephemeral"}, i.o.Serve...)
	i.serve = i.Command(context.WithoutCancel(ctx), args...)
	stdout, err := i.serve.StdoutPipe()
	if err != nil {
		return fmt.Errorf("pipe: %w", err)
	}
	i.serve.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C reaches us alone; we end it in order
	if err := i.serve.Start(); err != nil {
		return fmt.Errorf("start greengate serve: %w", err)
	}
	lines := make(chan string, 1)
	i.served = make(chan error, 1)
	go func() {
		r := bufio.NewReader(stdout)
		line, _ := r.ReadString('\n') // an early end shows as an empty line
		lines <- line
		_, _ = io.Copy(io.Discard, r)
		i.served <- i.serve.Wait()
	}()
	select {
	case line := <-lines:
		if !strings.HasPrefix(line, "greengate: serving") {
			return errors.New("greengate serve did not start")
		}
		i.Greeting = strings.TrimSpace(line)
		return nil
	case <-time.After(startLimit):
		return fmt.Errorf("greengate serve was not ready within %s", startLimit)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close ends the installation with everything in it and removes its folder.
func (i *Installation) Close() error {
	var err error
	if i.served != nil {
		err = i.serve.Process.Signal(syscall.SIGTERM)
		select {
		case serr := <-i.served:
			err = errors.Join(err, serr)
		case <-time.After(startLimit):
			err = errors.Join(err, errors.New("greengate serve did not end"), i.serve.Process.Kill())
		}
	}
	if i.o.Keep {
		return err
	}
	if rerr := os.RemoveAll(i.Dir); rerr != nil {
		err = errors.Join(err, fmt.Errorf("remove scratch folder: %w", rerr))
	}
	return err
}

// FreeAddress is an address of this machine at which nobody listens now.
func FreeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// Command is the binary with the installation's data folder, and no environment of ours but what the options name.
func (i *Installation) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, i.o.Executable, append(args, "--data", i.Data)...) //nolint:gosec // our own binary
	cmd.Env = append([]string{"HOME=" + i.Dir}, i.o.Env...)                            // the last of a name counts
	cmd.Dir = i.Dir
	cmd.Stderr = i.o.Log
	return cmd
}

// Ask runs a command that answers JSON, and returns its exit code. Whatever the code is, into holds the answer.
func (i *Installation) Ask(ctx context.Context, into any, args ...string) (int, error) {
	cmd := i.Command(ctx, append(args, "--json")...)
	data, err := cmd.Output()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		return -1, fmt.Errorf("run greengate %s: %w", strings.Join(args, " "), err)
	}
	code := cmd.ProcessState.ExitCode()
	if err := json.Unmarshal(data, into); err != nil {
		return code, fmt.Errorf("decode answer of greengate %s, which exited with %d: %w", strings.Join(args, " "), code, err)
	}
	return code, nil
}
