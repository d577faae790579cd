package runner

import "errors"

// Sentinels to match with errors.Is, on both sides of the socket.
var (
	// ErrPermanent matches faults that trying again does not mend: command not found, folder missing, a bad env file,
	// an invalid spec, a digest conflict.
	ErrPermanent = errors.New("permanent fault")
	// ErrInvalid matches specs and requests that are malformed; it matches ErrPermanent too.
	ErrInvalid = errors.New("invalid request")
	// ErrConflict matches Ensure of a known ID with another digest; it matches ErrPermanent too.
	ErrConflict = errors.New("unit exists with another digest")
	// ErrNotFound matches an unknown unit.
	ErrNotFound = errors.New("unit not found")
	// ErrBusy matches Forget of a unit that has not ended, and Restart of one that has.
	ErrBusy = errors.New("unit is in use")
	// ErrClosed matches calls to a Server whose Run has ended.
	ErrClosed = errors.New("runner is closed")
)

// Kinds of Error, as written on the wire.
const (
	kindPermanent = "permanent"
	kindInvalid   = "invalid"
	kindConflict  = "conflict"
	kindNotFound  = "not_found"
	kindBusy      = "busy"
	kindClosed    = "closed"
	kindInternal  = "internal"
)

// Error is a fault with a message for people. Match it with errors.Is and the sentinels.
type Error struct {
	// Kind is the wire's name of the fault.
	Kind string `json:"kind"`
	// Message says what, where and what to do next.
	Message string `json:"message"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Is reports whether target is the sentinel of e's kind.
func (e *Error) Is(target error) bool {
	switch e.Kind {
	case kindPermanent:
		return target == ErrPermanent
	case kindInvalid:
		return target == ErrInvalid || target == ErrPermanent
	case kindConflict:
		return target == ErrConflict || target == ErrPermanent
	case kindNotFound:
		return target == ErrNotFound
	case kindBusy:
		return target == ErrBusy
	case kindClosed:
		return target == ErrClosed
	default:
		return false
	}
}
