package sandbox

import "errors"

// Errors of [Manager] and [Client]; test with errors.Is.
var (
	// ErrInvalid marks input that can never be accepted: a bad name, a payload that is too large or no JSON.
	ErrInvalid = errors.New("invalid input")
	// ErrNotFound marks an invocation, function log or stream that is not known here.
	ErrNotFound = errors.New("not found")
	// ErrClosed is returned once the manager is closing; what was accepted before goes on with the next one.
	ErrClosed = errors.New("manager closed")
)

// Error types of a failed [Result], beside those that a runtime reports itself (the handler's exception,
// Runtime.ImportModuleError, Runtime.HandlerNotFound …). The names that start with Runtime, Function and Sandbox.Timedout
// are those of AWS Lambda.
const (
	ErrorTypeExit            = "Runtime.ExitError"
	ErrorTypeOutOfMemory     = "Runtime.OutOfMemory"
	ErrorTypeEntrypoint      = "Runtime.InvalidEntrypoint"
	ErrorTypeResponseTooBig  = "Function.ResponseSizeTooLarge"
	ErrorTypeTimedOut        = "Sandbox.Timedout"
	ErrorTypeStart           = "Sandbox.StartFailed"
	ErrorTypeCancelled       = "Sandbox.Cancelled"
	ErrorTypeUnknown         = "Sandbox.OutcomeUnknown"
	errorTypeRuntimeFallback = "Runtime.Unknown"
)
