//go:build !linux

package supervise

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

var errLinuxOnly = errors.New("greengate serve and its roles need Linux (pidfd, SCM_RIGHTS, /proc): " +
	"run them in a container or a virtual machine")

// ErrNoSupervisor is returned by Down in a process that no supervisor started.
var ErrNoSupervisor = errors.New("not started by greengate serve: stop the roles where they were started")

// DialUnix connects to a unix socket.
func DialUnix(ctx context.Context, path string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", path)
}

// Handover is a role's end of the contract; on this system there is none.
type Handover struct{}

// Receive fails: roles need Linux.
func Receive(func(string) string, func(string) error) (*Handover, error) { return nil, errLinuxOnly }

// Listeners is empty.
func (h *Handover) Listeners() map[string]net.Listener { return nil }

// Files is empty.
func (h *Handover) Files() map[string]*os.File { return nil }

// Role is empty.
func (h *Handover) Role() string { return "" }

// Supervised is false.
func (h *Handover) Supervised() bool { return false }

// Ready fails.
func (h *Handover) Ready() error { return errLinuxOnly }

// Notify fails.
func (h *Handover) Notify(...string) error { return errLinuxOnly }

// Down fails.
func (h *Handover) Down() error { return errLinuxOnly }

// Keep fails.
func (h *Handover) Keep(string, syscall.Conn) error { return errLinuxOnly }

// Forget fails.
func (h *Handover) Forget(string) error { return errLinuxOnly }

// Claim fails.
func (h *Handover) Claim(context.Context, string, string) error { return errLinuxOnly }

// Close does nothing.
func (h *Handover) Close() error { return nil }

// Supervisor runs roles; on this system there is none.
type Supervisor struct{}

// New fails: the supervisor needs Linux.
func New(Config) (*Supervisor, error) { return nil, errLinuxOnly }

// Run fails.
func (s *Supervisor) Run(context.Context) error { return errLinuxOnly }

// Close does nothing.
func (s *Supervisor) Close() error { return nil }

// Ready never closes.
func (s *Supervisor) Ready() <-chan struct{} { return nil }

// Addr is nil.
func (s *Supervisor) Addr(string) net.Addr { return nil }

// Status is empty.
func (s *Supervisor) Status() []Status { return nil }

// StopAll does nothing.
func (s *Supervisor) StopAll() {}

// Restart fails.
func (s *Supervisor) Restart(string) error { return errLinuxOnly }
