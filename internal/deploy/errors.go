package deploy

import "fmt"

// Code identifies a fault of the caller for machines; the wire maps it to an exception name.
type Code string

// The codes that the domain and its stores return.
const (
	CodeInvalid            Code = "Invalid"
	CodeNotFound           Code = "NotFound"
	CodeExists             Code = "Exists"
	CodeActiveDeployment   Code = "ActiveDeployment"
	CodeAlreadyCompleted   Code = "AlreadyCompleted"
	CodeNotInReadyState    Code = "NotInReadyState"
	CodeHookCompleted      Code = "HookCompleted"
	CodeHookUnknown        Code = "HookUnknown"
	CodeConflict           Code = "Conflict"
	CodeRefusedByCheck     Code = "RefusedByCheck"
	CodeNothingToRollBack  Code = "NothingToRollBack"
	CodeServiceUnavailable Code = "ServiceUnavailable"
)

// Error is a fault of the caller: Code for machines, Message for people, Field where one input is
// to blame. Anything that is not an Error is internal.
type Error struct {
	Code    Code
	Message string
	Field   string
}

// Error implements the error interface with the message for people.
func (e *Error) Error() string { return e.Message }

// Is matches errors of the same code, so that errors.Is(err, &Error{Code: CodeNotFound}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && (t.Message == "" || t.Message == e.Message)
}

// Errorf makes an Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Reason is a stable word that says why a deployment went where it went; API, console and log all
// show it. Those in upper case are ErrorCode values of the CodeDeploy model or stand beside them.
type Reason string

// Reasons of failures, stops and transitions.
const (
	ReasonNone                  Reason = ""
	ReasonHookFailed            Reason = "HOOK_EXECUTION_FAILURE"
	ReasonInconclusive          Reason = "VERIFICATION_INCONCLUSIVE"
	ReasonHookTimeout           Reason = "HOOK_TIMEOUT"
	ReasonTimeout               Reason = "TIMEOUT"
	ReasonInstallFailed         Reason = "ECS_UPDATE_ERROR"
	ReasonUnhealthy             Reason = "GREEN_UNHEALTHY"
	ReasonInvalidRevision       Reason = "INVALID_REVISION"
	ReasonRevisionMissing       Reason = "REVISION_MISSING"
	ReasonInvalidECSService     Reason = "INVALID_ECS_SERVICE"
	ReasonAlarm                 Reason = "ALARM_ACTIVE"
	ReasonStopRequested         Reason = "MANUAL_STOP"
	ReasonReadyWaitExpired      Reason = "READY_WAIT_EXPIRED"
	ReasonRouteConflict         Reason = "ROUTE_CONFLICT"
	ReasonRouteFailed           Reason = "ROUTE_FAILED"
	ReasonNoWayBack             Reason = "NO_VERIFIED_WAY_BACK"
	ReasonSmokeFailed           Reason = "SMOKE_FAILED"
	ReasonErrorBudget           Reason = "ERROR_RATE_EXCEEDED"
	ReasonPermissions           Reason = "IAM_ROLE_PERMISSIONS"
	ReasonRoleMissing           Reason = "IAM_ROLE_MISSING"
	ReasonBlueUnhealthy         Reason = "BLUE_UNHEALTHY"
	ReasonRollbackUnconfirmed   Reason = "ROLLBACK_UNCONFIRMED"
	ReasonAdvanced              Reason = "ADVANCED"
	ReasonVerified              Reason = "VERIFIED"
	ReasonContinued             Reason = "CONTINUED"
	ReasonAutomatic             Reason = "AUTOMATIC"
	ReasonWaiting               Reason = "WAITING_FOR_DECISION"
	ReasonRolledBack            Reason = "ROLLED_BACK"
	ReasonHalted                Reason = "HALTED"
	ReasonRetirementUnconfirmed Reason = "RETIREMENT_UNCONFIRMED"
	ReasonStale                 Reason = "STALE_REQUEST"
	ReasonInternal              Reason = "INTERNAL_ERROR"
)
