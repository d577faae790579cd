package supervise

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// identity names one process for ever: a pid alone comes again, with its start time and the boot it does not.
type identity struct {
	PID        int    `json:"pid"`
	StartTicks uint64 `json:"start_ticks"`
	BootID     string `json:"boot_id"`
	// Supervised tells that a supervisor started the process; one that took its lock with Claim is somebody else's.
	Supervised bool `json:"supervised"`
}

func identify(pid int) (identity, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return identity{}, fmt.Errorf("read boot id: %w", err)
	}
	ticks, err := startTicks(pid)
	if err != nil {
		return identity{}, err
	}
	return identity{PID: pid, StartTicks: ticks, BootID: strings.TrimSpace(string(boot))}, nil
}

// startTicks reads field 22 of /proc/PID/stat; see proc_pid_stat(5).
func startTicks(pid int) (uint64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("read process start time: %w", err)
	}
	return parseStartTicks(b)
}

func parseStartTicks(stat []byte) (uint64, error) {
	// The second field is the command in brackets and may hold brackets and blanks itself.
	end := bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[end+1:]))
	const startTime = 22 - 3 // counted from the field behind the command
	if end < 0 || len(fields) <= startTime {
		return 0, errors.New("parse process stat: too few fields")
	}
	ticks, err := strconv.ParseUint(fields[startTime], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("parse process start time: %w", err)
	}
	return ticks, nil
}

// alive tells whether the very process that the identity names still exists.
func (id identity) alive() bool {
	if id.PID <= 0 {
		return false
	}
	now, err := identify(id.PID)
	return err == nil && now.StartTicks == id.StartTicks && now.BootID == id.BootID
}

// openLock opens a lock file without taking the lock.
func openLock(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return -1, fmt.Errorf("open lock %s: %w", path, err)
	}
	return fd, nil
}

// tryLock takes the flock unless somebody has it.
func tryLock(fd int) (bool, error) {
	err := retry(func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("take lock: %w", err)
	}
	return true, nil
}

// readHolder reads who says to hold the lock. What is torn or stale shows as a process that is not alive.
func readHolder(fd int) identity {
	var id identity
	b := make([]byte, 512)
	n, err := unix.Pread(fd, b, 0)
	if err != nil || json.Unmarshal(bytes.TrimSpace(b[:n]), &id) != nil {
		return identity{}
	}
	return id
}

// writeHolder puts the holder into a lock that the caller has. It is no journal: a holder that dies loses the lock.
func writeHolder(fd int, id identity) error {
	b, err := json.Marshal(id)
	if err != nil {
		return fmt.Errorf("encode lock holder: %w", err)
	}
	if err := unix.Ftruncate(fd, 0); err != nil {
		return fmt.Errorf("truncate lock: %w", err)
	}
	if _, err := unix.Pwrite(fd, append(b, '\n'), 0); err != nil {
		return fmt.Errorf("write lock holder: %w", err)
	}
	return nil
}

// retry repeats a call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
