package runner

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// procStat is the part of /proc/PID/stat that identifies a process.
type procStat struct {
	pid     int
	state   byte
	parent  int
	group   int
	session int
	start   uint64 // field 22: clock ticks since boot; with pid and boot id it is unique
}

// dead reports a process that has ended and only waits to be reaped.
func (p procStat) dead() bool { return p.state == 'Z' || p.state == 'X' || p.state == 'x' }

// readStat reads /proc/pid/stat.
func readStat(pid int) (procStat, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat") //nolint:gosec // a number
	if err != nil {
		return procStat{}, err
	}
	return parseStat(data)
}

var errStat = errors.New("malformed process status")

// parseStat parses proc(5) stat. The program's name is in parentheses and may hold anything, also parentheses.
func parseStat(data []byte) (procStat, error) {
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 1 || end < open {
		return procStat{}, errStat
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data[:open])))
	if err != nil {
		return procStat{}, errStat
	}
	f := strings.Fields(string(data[end+1:]))
	if len(f) < 20 || len(f[0]) != 1 {
		return procStat{}, errStat
	}
	ps := procStat{pid: pid, state: f[0][0]}
	for i, to := range []*int{&ps.parent, &ps.group, &ps.session} {
		if *to, err = strconv.Atoi(f[i+1]); err != nil {
			return procStat{}, errStat
		}
	}
	if ps.start, err = strconv.ParseUint(f[19], 10, 64); err != nil {
		return procStat{}, errStat
	}
	return ps, nil
}

// bootID identifies this boot of the host.
func bootID() (string, error) {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

// processes lists all processes that can be read.
func processes() ([]procStat, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var list []procStat
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if ps, err := readStat(pid); err == nil {
			list = append(list, ps)
		}
	}
	return list, nil
}

// marked reports whether the process was started for the unit: its environment carries both markers. A process whose
// environment cannot be read, or that has overwritten it, is not recognised this way.
func marked(pid int, installation, id string) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return false
	}
	var unit, inst bool
	for v := range bytes.SplitSeq(data, []byte{0}) {
		unit = unit || string(v) == markUnit+"="+id
		inst = inst || string(v) == markInstallation+"="+installation
	}
	return unit && inst
}

// isLauncher reports whether the living process is still the launcher that was started with these arguments.
func isLauncher(pid int, launcher []string) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline") //nolint:gosec // a number
	return err == nil && string(data) == strings.Join(launcher, "\x00")+"\x00"
}

// programName is a short name of a process for people: its first two arguments.
func programName(pid int) string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil || len(data) == 0 {
		return "unknown program"
	}
	args := strings.Split(strings.TrimRight(string(data), "\x00"), "\x00")
	args[0] = filepath.Base(args[0])
	name := strings.Join(args[:min(2, len(args))], " ")
	return name[:min(len(name), 80)]
}
