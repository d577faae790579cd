//go:build !linux

package runner

import (
	"context"
	"errors"
	"io"
	"net/http"
)

// LaunchArg is the only argument of the binary when it is started as launcher; see the Linux implementation.
const LaunchArg = "unit-launch"

// CgroupOff as Config.CgroupRoot makes the runner use no cgroups.
const CgroupOff = "off"

var errLinux = errors.New("the runner needs Linux")

// Launch is the launcher; it exists on Linux only.
func Launch() int { return 2 }

// Server is the runner role; it exists on Linux only, so New always returns an error here.
type Server struct{}

// New returns an error: the runner needs Linux.
func New(cfg Config) (*Server, error) {
	return nil, errors.Join(errLinux, cfg.fill())
}

// Handle does nothing here.
func (s *Server) Handle(string, http.Handler) {}

// Run returns an error here.
func (s *Server) Run(context.Context) error { return errLinux }

// Ensure returns an error here.
func (s *Server) Ensure(context.Context, Spec) (Status, error) { return Status{}, errLinux }

// Get returns an error here.
func (s *Server) Get(context.Context, string) (Status, error) { return Status{}, errLinux }

// List returns an error here.
func (s *Server) List(context.Context, string) ([]Status, error) { return nil, errLinux }

// Stop returns an error here.
func (s *Server) Stop(context.Context, string) error { return errLinux }

// StopAll returns an error here.
func (s *Server) StopAll(context.Context) error { return errLinux }

// Forget returns an error here.
func (s *Server) Forget(context.Context, string) error { return errLinux }

// Restart returns an error here.
func (s *Server) Restart(context.Context, string) error { return errLinux }

// Wait returns an error here.
func (s *Server) Wait(context.Context, string) (Status, error) { return Status{}, errLinux }

// Watch returns an error here.
func (s *Server) Watch(context.Context, uint64) ([]Status, uint64, error) { return nil, 0, errLinux }

// Logs returns an error here.
func (s *Server) Logs(context.Context, string, LogQuery) (io.ReadCloser, error) { return nil, errLinux }
