package app

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// adoptOrphans makes the supervisor the parent of tasks whose runner has died: it reaps them at once,
// so that the next runner may still learn their exit status, and none stays a zombie.
func adoptOrphans() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the parent of orphans: %w", err)
	}
	return nil
}
