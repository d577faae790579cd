package cli

import (
	"errors"
	"fmt"
	"strings"

	"greengate/internal/config"
)

// wireError is an error that the controller answered.
type wireError struct {
	Code    string // as the wire has it, "DeploymentLimitExceededException"
	Message string
	Field   string
	Status  int // of HTTP
}

func (e *wireError) Error() string {
	text := e.Message
	if text == "" {
		text = fmt.Sprintf("the controller answered %s (HTTP %d)", e.Code, e.Status)
	}
	if e.Field != "" {
		text = e.Field + ": " + text
	}
	return text
}

// Name is the code without name space and suffix, in lower case.
func (e *wireError) Name() string {
	name, _, _ := strings.Cut(e.Code, ":") // "Name:http://..."
	if i := strings.LastIndex(name, "#"); i >= 0 {
		name = name[i+1:]
	}
	return strings.TrimSuffix(strings.ToLower(name), "exception")
}

// hint says what to do next, or "".
func (e *wireError) hint() string {
	switch e.Name() {
	case "activedeployment", "deploymentlimitexceeded":
		return "greengate list shows it; wait for it with greengate wait, or end it with greengate stop"
	case "refusedbycheck":
		return "greengate check says what to mend"
	case "accessdenied", "unrecognizedclient", "signaturedoesnotmatch", "invalidsignature", "missingauthenticationtoken":
		return "the keys are not this controller's; name its data folder with --data"
	case "expiredtoken":
		return "the keys of a hook end with it"
	case "notinreadystate", "deploymentisnotinreadystate":
		return "greengate status DEPLOYMENT says what it waits for"
	case "unknownoperation":
		return "the controller is of another version; compare greengate version with that of the running serve"
	}
	return ""
}

// unreachableError says that no answer came. sent tells whether the request may have been carried out.
type unreachableError struct {
	endpoint string
	sent     bool
	err      error
}

func (e *unreachableError) Error() string {
	if e.sent {
		return fmt.Sprintf("the controller at %s did not answer, the outcome is unknown: %v", e.endpoint, e.err)
	}
	return fmt.Sprintf("the controller at %s cannot be reached: %v", e.endpoint, e.err)
}

func (e *unreachableError) Unwrap() error { return e.err }

func (e *unreachableError) hint() string {
	if e.sent {
		return "greengate status says what happened"
	}
	return "start it with greengate serve, or name another one with --data or --endpoint"
}

// hinted adds what to do next to an error.
type hinted struct {
	error
	text string
}

func (e *hinted) hint() string  { return e.text }
func (e *hinted) Unwrap() error { return e.error }

func withHint(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// hintOf is what to do about an error, or "".
func hintOf(err error) string {
	var h interface{ hint() string }
	if errors.As(err, &h) {
		return h.hint()
	}
	if errors.Is(err, config.ErrNoController) {
		return "start one with greengate serve, or name its data folder with --data"
	}
	return ""
}
