package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// launchTimeout bounds the time that a launcher may take to answer on a busy machine.
const launchTimeout = 30 * time.Second

// launching is a launcher that waits for the word to go on.
type launching struct {
	pid     int
	start   uint64
	request *os.File
	answer  *os.File
	reaper  *reaper
}

// launchInput is what a launcher is started with.
type launchInput struct {
	launcher  []string // command of the launcher
	marks     []string // its environment: the markers
	stdout    *os.File
	stderr    *os.File
	namespace bool // in a network namespace of its own
	request   launchRequest
	reaper    *reaper
}

// beginLaunch starts a launcher and hands it the request. On return it is alive, waits, and nothing of the unit runs.
func beginLaunch(in launchInput) (l *launching, err error) {
	reqR, reqW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	ansR, ansW, err := os.Pipe()
	if err != nil {
		_ = reqR.Close()
		_ = reqW.Close()
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	l = &launching{request: reqW, answer: ansR, reaper: in.reaper}
	l.pid, err = in.reaper.fork(func() (int, error) { return forkLauncher(in, reqR, ansW) })
	_ = reqR.Close()
	_ = ansW.Close()
	if err != nil {
		l.closePipes()
		return nil, err
	}
	if err := l.greet(in.request); err != nil {
		l.abandon()
		return nil, err
	}
	return l, nil
}

func forkLauncher(in launchInput, request, answer *os.File) (int, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDONLY, 0)
	if err != nil {
		return 0, fmt.Errorf("open null device: %w", err)
	}
	defer func() { _ = null.Close() }()
	attr := &syscall.ProcAttr{
		Dir:   "/",
		Env:   in.marks,
		Files: []uintptr{null.Fd(), in.stdout.Fd(), in.stderr.Fd(), request.Fd(), answer.Fd()},
		// No Pdeathsig: units outlive the runner.
		Sys: &syscall.SysProcAttr{Setsid: true},
	}
	if in.namespace {
		attr.Sys.Cloneflags = syscall.CLONE_NEWNET
	}
	pid, _, err := syscall.StartProcess(in.launcher[0], in.launcher, attr) //nolint:gosec // our own binary
	if err != nil {
		return 0, fmt.Errorf("start launcher: %w", err)
	}
	return pid, nil
}

// greet sends the request and waits for the launcher's word that it is ready.
func (l *launching) greet(req launchRequest) error {
	ps, err := readStat(l.pid)
	if err != nil {
		return fmt.Errorf("read start time: %w", err)
	}
	l.start = ps.start
	deadline := time.Now().Add(launchTimeout)
	_ = l.request.SetWriteDeadline(deadline)
	_ = l.answer.SetReadDeadline(deadline)
	if err := json.NewEncoder(l.request).Encode(req); err != nil {
		return fmt.Errorf("send request to launcher: %w", err)
	}
	var b [1]byte
	if _, err := io.ReadFull(l.answer, b[:]); err != nil {
		return fmt.Errorf("await launcher: %w", err)
	}
	if b[0] == '{' {
		return l.fault(io.MultiReader(bytes.NewReader(b[:]), l.answer))
	}
	if b[0] != launchReady {
		return fmt.Errorf("launcher answered %q; does its main call runner.Launch?", b[0])
	}
	return nil
}

// release lets the launcher become the program and reports whether it did.
func (l *launching) release() error {
	defer l.closePipes()
	if _, err := l.request.Write([]byte{launchGo}); err != nil {
		return fmt.Errorf("release launcher: %w", err)
	}
	_ = l.answer.SetReadDeadline(time.Now().Add(launchTimeout))
	err := l.fault(l.answer)
	if errors.Is(err, io.EOF) {
		return nil // the descriptor was closed by exec
	}
	return err
}

// fault reads what the launcher has to say.
func (l *launching) fault(r io.Reader) error {
	var fault launchFault
	if err := json.NewDecoder(r).Decode(&fault); err != nil {
		return fmt.Errorf("await program: %w", err)
	}
	errno := syscall.Errno(fault.Errno)
	return &startError{op: fault.Op, errno: errno}
}

// abandon makes an unreleased launcher end, and reaps it.
func (l *launching) abandon() {
	l.closePipes()
	_ = unix.Kill(-l.pid, unix.SIGKILL) // our unreaped child: the pid cannot be somebody else's
	for {
		_, err := unix.Wait4(l.pid, nil, 0, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	l.reaper.done(l.pid)
}

func (l *launching) closePipes() {
	_ = l.request.Close()
	_ = l.answer.Close()
}

// startError is what the kernel said to the launcher.
type startError struct {
	op    string
	errno syscall.Errno
}

func (e *startError) Error() string { return e.op + ": " + e.errno.Error() }

func (e *startError) Unwrap() error { return e.errno }

// permanent reports faults that another attempt will not mend.
func (e *startError) permanent() bool {
	passing := []syscall.Errno{unix.EAGAIN, unix.ENOMEM, unix.ETXTBSY, unix.EINTR, unix.EMFILE, unix.ENFILE, unix.EIO}
	return !slices.Contains(passing, e.errno)
}
