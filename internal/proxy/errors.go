package proxy

import (
	"errors"
	"fmt"
)

// Errors that a caller can tell apart with errors.Is, on both sides of the control socket.
var (
	// ErrStale is what every [StaleError] is.
	ErrStale = errors.New("table is stale")
	// ErrInvalidTable means that the table was refused as a whole; the message lists all faults.
	ErrInvalidTable = errors.New("table is not valid")
	// ErrGroupRouted means that a drain was refused because a listener, or a rule of one, still forwards
	// to the group.
	ErrGroupRouted = errors.New("group still has weight")
	// ErrNotFound means that there is no ledger of that name.
	ErrNotFound = errors.New("not found")
	// ErrLedger means that a file is not a ledger, or that it is torn.
	ErrLedger = errors.New("not a usable ledger")
	// ErrInUse means that another process serves from the same folder.
	ErrInUse = errors.New("folder is in use")
)

// StaleError refuses a table that is older than the current one, or that has its version and another content.
type StaleError struct {
	Offered int64
	Current int64
}

func (e *StaleError) Error() string {
	if e.Offered == e.Current {
		return fmt.Sprintf("table version %d is applied already with another content; offer a higher version", e.Current)
	}
	return fmt.Sprintf("table version %d is older than the current version %d; offer a higher version", e.Offered, e.Current)
}

// Is makes errors.Is(err, ErrStale) true.
func (e *StaleError) Is(target error) bool { return target == ErrStale }

// ListenError says which listener could not be opened; the old table stays in force.
type ListenError struct {
	Listener string
	Address  string
	Reason   string
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("listener %q: listen on %s: %s; free the address or choose another", e.Listener, e.Address, e.Reason)
}
