package deploy

import "errors"

// Errors that adapters mark theirs with, so that the engine knows what repeating can cure.
var (
	// ErrPermanent marks a fault that no repetition can cure. All others are retried until the
	// phase's deadline.
	ErrPermanent = errors.New("permanent")
	// ErrConflict says that somebody else changed the weights that a route was to change.
	ErrConflict = errors.New("weights were changed by somebody else")
	// ErrPermission marks a permanent fault that is the lack of a permission.
	ErrPermission = errors.New("a permission is missing")
)

// Permanent marks err as one that no repetition can cure. Its message stays what it is: people read it.
func Permanent(err error) error { return permanent{err} }

type permanent struct{ error }

func (e permanent) Is(target error) bool { return target == ErrPermanent }
func (e permanent) Unwrap() error        { return e.error }

// Forbidden marks err as the lack of a permission, which no repetition cures. Its message stays what it is.
func Forbidden(err error) error { return forbidden{err} }

type forbidden struct{ error }

func (e forbidden) Is(target error) bool { return target == ErrPermission || target == ErrPermanent }
func (e forbidden) Unwrap() error        { return e.error }

// TaskSetStatus is what a runtime sees of a task set.
type TaskSetStatus struct {
	Desired, Running, Healthy int
	// Doomed says that the set will never be healthy (a command that does not exist, a crash loop);
	// Message says why, or what is still missing.
	Doomed  bool
	Message string
}

// Steady reports whether every desired task runs and is healthy.
func (s TaskSetStatus) Steady() bool { return s.Desired > 0 && s.Healthy >= s.Desired }

// InFlight is what a task set still serves: ordinary requests, and upgraded or streaming ones.
type InFlight struct{ Requests, Streams int }

// Count is a summary of a ledger for one task set.
type Count struct{ Requests, Failed int64 }
