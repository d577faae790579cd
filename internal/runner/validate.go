package runner

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Limits of a spec, so that a mistake is refused rather than run.
const (
	maxArgs     = 10_000
	maxEnv      = 10_000
	maxDuration = 366 * 24 * time.Hour
	maxLogKeep  = 1000
)

// Names of the environment variables that mark a unit's processes.
const (
	markUnit         = "GREENGATE_UNIT"
	markInstallation = "GREENGATE_INSTALLATION"
)

var idPattern = regexp.MustCompile(`^[A-Za-z0-9._:/-]{1,200}$`)

func invalid(format string, args ...any) error {
	return &Error{Kind: kindInvalid, Message: fmt.Sprintf(format, args...)}
}

func permanent(format string, args ...any) error {
	return &Error{Kind: kindPermanent, Message: fmt.Sprintf(format, args...)}
}

// validID checks what comes from outside before it is looked up or made into a file name.
func validID(id string) error {
	if !idPattern.MatchString(id) {
		return invalid("bad unit id %.220q; use 1 to 200 of A-Z a-z 0-9 . _ : / -", id)
	}
	return nil
}

// normalise checks a spec and fills in defaults. logDir is where log files go by default.
func (s *Spec) normalise(logDir string) error {
	if err := validID(s.ID); err != nil {
		return err
	}
	if s.Digest == "" {
		data, err := json.Marshal(s)
		if err != nil {
			return invalid("unit %s: %v", s.ID, err)
		}
		sum := sha256.Sum256(data)
		s.Digest = hex.EncodeToString(sum[:])
	}
	for _, check := range []func() error{s.checkWords, s.checkCommand, s.checkEnv, s.checkNetwork, s.checkHealth, s.checkNumbers} {
		if err := check(); err != nil {
			return err
		}
	}
	if s.LogFile == "" {
		s.LogFile = filepath.Join(logDir, fileName(s.ID)+".log")
	}
	return s.checkPaths()
}

func (s *Spec) checkWords() error {
	if s.Group != "" && !idPattern.MatchString(s.Group) {
		return invalid("unit %s: bad group %.220q; use 1 to 200 of A-Z a-z 0-9 . _ : / -", s.ID, s.Group)
	}
	if s.Mode != ModeService && s.Mode != ModeOnce {
		return invalid("unit %s: bad mode %.20q; use %q or %q", s.ID, s.Mode, ModeService, ModeOnce)
	}
	if len(s.Digest) > 200 {
		return invalid("unit %s: digest is longer than 200 bytes", s.ID)
	}
	return nil
}

func (s *Spec) checkCommand() error {
	if len(s.Command) == 0 || s.Command[0] == "" {
		return invalid("unit %s: no command", s.ID)
	}
	if len(s.Command) > maxArgs {
		return invalid("unit %s: more than %d arguments", s.ID, maxArgs)
	}
	for i, arg := range s.Command {
		if strings.IndexByte(arg, 0) >= 0 {
			return invalid("unit %s: argument %d holds a NUL byte", s.ID, i)
		}
	}
	return nil
}

func (s *Spec) checkEnv() error {
	if len(s.Env) > maxEnv {
		return invalid("unit %s: more than %d environment variables", s.ID, maxEnv)
	}
	for k, v := range s.Env {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.IndexByte(v, 0) >= 0 {
			return invalid("unit %s: bad environment variable %.40q", s.ID, k)
		}
		if k == markUnit || k == markInstallation {
			return invalid("unit %s: environment variable %s is reserved", s.ID, k)
		}
	}
	return nil
}

func (s *Spec) checkPaths() error {
	if s.Dir == "" {
		s.Dir = "/"
	}
	for what, path := range map[string]string{"folder": s.Dir, "log file": s.LogFile} {
		if !filepath.IsAbs(path) || strings.IndexByte(path, 0) >= 0 {
			return invalid("unit %s: %s %.200q is not an absolute path", s.ID, what, path)
		}
	}
	s.Dir, s.LogFile = filepath.Clean(s.Dir), filepath.Clean(s.LogFile)
	if strings.IndexByte(s.EnvFile, 0) >= 0 {
		return invalid("unit %s: path of env file holds a NUL byte", s.ID)
	}
	if s.EnvFile != "" && !filepath.IsAbs(s.EnvFile) {
		s.EnvFile = filepath.Join(s.Dir, s.EnvFile)
	}
	return nil
}

func (s *Spec) checkNetwork() error {
	switch s.Network {
	case "":
		s.Network = NetworkHost
	case NetworkHost, NetworkNamespace:
	default:
		return invalid("unit %s: bad network %.20q; use %q or %q", s.ID, s.Network, NetworkHost, NetworkNamespace)
	}
	if s.Port < 0 || s.Port > 65535 {
		return invalid("unit %s: bad port %d", s.ID, s.Port)
	}
	if s.Address == "" {
		return nil
	}
	addr, err := netip.ParseAddr(s.Address)
	if err != nil || addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast() {
		return invalid("unit %s: bad address %.60q; use one IP address of this host", s.ID, s.Address)
	}
	if s.Network == NetworkNamespace {
		return invalid("unit %s: an address cannot be chosen with network %q", s.ID, NetworkNamespace)
	}
	return nil
}

func (s *Spec) checkHealth() error {
	if s.Health == nil {
		return nil
	}
	h := *s.Health
	s.Health = &h
	if h.Type != "http" && h.Type != "tcp" {
		return invalid("unit %s: bad health check type %.20q; use \"http\" or \"tcp\"", s.ID, h.Type)
	}
	if h.Protocol != "" && h.Protocol != "http1" && h.Protocol != protocolH2C {
		return invalid("unit %s: bad health check protocol %.20q; use \"http1\" or \"h2c\"", s.ID, h.Protocol)
	}
	if s.Port == 0 && !s.NeedPort {
		return invalid("unit %s: a health check needs a port", s.ID)
	}
	if _, err := parseMatcher(h.Statuses); err != nil {
		return invalid("unit %s: health check: %v", s.ID, err)
	}
	if h.Path != "" && (h.Path[0] != '/' || strings.ContainsAny(h.Path, " \t\r\n\x00#")) {
		return invalid("unit %s: bad health check path %.100q; begin with / and escape spaces", s.ID, h.Path)
	}
	if strings.ContainsAny(h.Host, " \t\r\n\x00/") {
		return invalid("unit %s: bad health check host %.100q", s.ID, h.Host)
	}
	for _, d := range []time.Duration{h.Interval, h.Timeout, h.StartPeriod} {
		if d < 0 || d > maxDuration {
			return invalid("unit %s: bad time %s in health check", s.ID, d)
		}
	}
	if h.HealthyThreshold < 0 || h.UnhealthyThreshold < 0 {
		return invalid("unit %s: negative threshold in health check", s.ID)
	}
	s.Health.fill()
	return nil
}

// fill sets the defaults.
func (h *HealthCheck) fill() {
	if h.Path == "" {
		h.Path = "/"
	}
	if h.Statuses == "" {
		h.Statuses = "200"
	}
	if h.Interval == 0 {
		h.Interval = defaultInterval
	}
	if h.Timeout == 0 {
		h.Timeout = defaultProbe
	}
	if h.HealthyThreshold == 0 {
		h.HealthyThreshold = defaultHealthy
	}
	if h.UnhealthyThreshold == 0 {
		h.UnhealthyThreshold = defaultUnhealthy
	}
}

func (s *Spec) checkNumbers() error {
	l := s.Limits
	switch {
	case !(l.CPU >= 0 && l.CPU <= 100_000): // false for NaN too
		return invalid("unit %s: bad cpu limit %v", s.ID, l.CPU)
	case l.MemoryBytes < 0 || l.PIDs < 0:
		return invalid("unit %s: negative limit", s.ID)
	case l.MemoryBytes > 0 && l.MemoryBytes < minMemory:
		return invalid("unit %s: memory limit of %d bytes; at least %d are needed to start a program", s.ID, l.MemoryBytes, int64(minMemory))
	case s.Timeout < 0 || s.Timeout > maxDuration || s.Grace > maxDuration:
		return invalid("unit %s: bad timeout or grace", s.ID)
	case s.Timeout > 0 && s.Mode != ModeOnce:
		return invalid("unit %s: a timeout is for mode %q only", s.ID, ModeOnce)
	case s.LogMaxBytes < 0 || s.LogKeep > maxLogKeep:
		return invalid("unit %s: bad log size or number of files", s.ID)
	}
	if s.Grace == 0 {
		s.Grace = defaultGrace
	}
	if s.LogMaxBytes == 0 {
		s.LogMaxBytes = defaultLogMax
	}
	s.LogMaxBytes = max(s.LogMaxBytes, minLogMax)
	if s.LogKeep == 0 {
		s.LogKeep = defaultLogKeep
	}
	return nil
}

const (
	defaultGrace = 30 * time.Second
	minMemory    = 6 << 20
	minLogMax    = 64 << 10
)

// fileName makes a file name of an id: readable, of bounded length, and different for different ids.
func fileName(id string) string {
	sum := sha256.Sum256([]byte(id))
	name := []byte(id[:min(len(id), 60)])
	for i, c := range name {
		if c == '/' || c == ':' {
			name[i] = '_'
		}
	}
	return strings.TrimLeft(string(name), ".") + "-" + hex.EncodeToString(sum[:8])
}
