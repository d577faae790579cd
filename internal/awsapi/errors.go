package awsapi

import (
	"errors"
	"fmt"
	"net/http"
	"syscall"

	"greengate/internal/deploy"
)

// Error is an error as the wire says it. An operation may return one to choose the name itself; everything else goes
// through the table below.
type Error struct {
	// Name is the exception's name, "DeploymentDoesNotExistException".
	Name    string
	Message string
	// Status is the HTTP status; 0 is 400.
	Status int
	// Field names the input to blame, where one is. Only our own operations show it.
	Field string
	// s3 is the code that S3 has for it where that differs from what wire says of Name; its status is 403.
	s3 string
}

// Error implements the error interface.
func (e *Error) Error() string { return e.Name + ": " + e.Message }

func fault(name, message string) *Error { return &Error{Name: name, Message: message} }

func incompleteSignature(message string) *Error {
	return fault("IncompleteSignatureException", message)
}

func invalidSignature(message string) *Error { return fault("InvalidSignatureException", message) }

func serializationError(message string) *Error { return fault("SerializationException", message) }

// Refusals that never differ. They are values to return, never to alter.
var (
	errMissingToken       = fault("MissingAuthenticationTokenException", "Missing Authentication Token")
	errUnrecognizedClient = fault("UnrecognizedClientException", "The security token included in the request is invalid.")
	errExpiredToken       = fault("ExpiredTokenException", "The security token included in the request is expired")
	errSignatureMismatch  = invalidSignature("The request signature we calculated does not match the signature you provided. " +
		"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	errUnknownOperation = fault("UnknownOperationException", "The operation is not known here.")
)

func errTooLarge(limit int64) *Error {
	return &Error{Name: "RequestEntityTooLargeException", Message: fmt.Sprintf("The body is larger than %d bytes.", limit)}
}

// resource says what a call is about, so that "not found" gets the right name.
type resource string

const (
	resApplication resource = "application"
	resGroup       resource = "deployment group"
	resDeployment  resource = "deployment"
)

// notFoundNames has the CodeDeploy exception for each resource.
func notFoundName(r resource) string {
	switch r {
	case resApplication:
		return "ApplicationDoesNotExistException"
	case resGroup:
		return "DeploymentGroupDoesNotExistException"
	case resDeployment:
		return "DeploymentDoesNotExistException"
	}
	return "ResourceNotFoundException"
}

// domainError is the one table from the domain's codes to the wire. about is empty for operations of our own.
func domainError(e *deploy.Error, about resource) *Error {
	out := &Error{Message: e.Message, Field: e.Field}
	switch e.Code {
	case deploy.CodeInvalid:
		out.Name = "ValidationException"
		if about != "" {
			out.Name = "InvalidInputException"
		}
	case deploy.CodeNotFound:
		out.Name = notFoundName(about)
	case deploy.CodeExists:
		out.Name = "ResourceAlreadyExistsException"
	case deploy.CodeActiveDeployment:
		out.Name = "DeploymentLimitExceededException"
	case deploy.CodeAlreadyCompleted:
		out.Name = "DeploymentAlreadyCompletedException"
	case deploy.CodeNotInReadyState:
		out.Name = "DeploymentIsNotInReadyStateException"
	case deploy.CodeHookCompleted:
		out.Name = "LifecycleEventAlreadyCompletedException"
	case deploy.CodeHookUnknown:
		out.Name = "InvalidLifecycleEventHookExecutionIdException"
	case deploy.CodeConflict:
		out.Name = "ConflictException"
	case deploy.CodeRefusedByCheck:
		out.Name = "RefusedByCheckException"
	case deploy.CodeNothingToRollBack:
		out.Name = "NothingToRollBackException"
	case deploy.CodeServiceUnavailable:
		out.Name, out.Status = "ServiceUnavailableException", http.StatusServiceUnavailable
	}
	return out
}

// toWire finds the wire error in err; nil means that the fault is ours.
func toWire(err error, about resource) *Error {
	if w, ok := errors.AsType[*Error](err); ok {
		return w
	}
	if d, ok := errors.AsType[*deploy.Error](err); ok {
		if w := domainError(d, about); w.Name != "" {
			return w
		}
	}
	if errors.Is(err, syscall.ENOSPC) {
		return &Error{
			Name: "ServiceUnavailableException", Status: http.StatusServiceUnavailable,
			Message: "The disk of the controller is full, so nothing was stored. Free space on the volume of its data folder; it goes on by itself.",
		}
	}
	if errors.Is(err, deploy.ErrStale) {
		return fault("ConflictException", "The resource was changed by somebody else at the same time. Look at it and try again.")
	}
	return nil
}

// onResource gives an error of the domain its name for a resource; other errors pass.
func onResource(err error, about resource) error {
	if err == nil {
		return nil
	}
	if w := toWire(err, about); w != nil {
		return w
	}
	return err
}
