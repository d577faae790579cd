package iam

import (
	"fmt"
	"strings"
)

// shownFaults bounds how many faults an error message spells out; MalformedError.Faults holds all of them.
const shownFaults = 20

// Fault is one thing wrong in a policy document.
type Fault struct {
	// Path leads to the place, such as "Statement[1].Action"; empty for the document as a whole.
	Path string
	// Message says what is wrong and what is expected.
	Message string
}

func (f Fault) String() string {
	if f.Path == "" {
		return f.Message
	}
	return f.Path + ": " + f.Message
}

// MalformedError tells every fault of a document. The wire calls it MalformedPolicyDocument.
type MalformedError struct {
	// Faults are in the order in which they were found, at least one.
	Faults []Fault
}

func (e *MalformedError) Error() string {
	shown := e.Faults[:min(len(e.Faults), shownFaults)]
	texts := make([]string, 0, len(shown)+1)
	for _, f := range shown {
		texts = append(texts, f.String())
	}
	if more := len(e.Faults) - len(shown); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

// LimitError tells that a document is too long. The wire calls it LimitExceeded.
type LimitError struct {
	// Kind is the kind of document whose limit was passed.
	Kind Kind
	// Size is the size of the document as [Size] counts, Max what is allowed.
	Size, Max int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("a %s policy may have %d characters besides white space, this one has %d: shorten it or split it",
		e.Kind, e.Max, e.Size)
}
