package awsapi

import (
	"context"
	"fmt"
)

// Handlers are the operations of one service by their names in the model.
type Handlers map[string]Handler

// Handler is one operation of a service, with what a caller needs to be allowed.
type Handler struct {
	// Action is the IAM action where it is not the operation's own name ("lambda:InvokeFunction" for Invoke).
	Action string
	// open says that everybody with valid credentials may call it.
	open bool
	run  func(ctx context.Context, by Principal, decode func(any) error, allow func(needs []AccessRequest) error) (any, error)
}

// Handle makes a Handler of a method over shapes. on names the resources that a call is about, as ARNs: the caller must
// be allowed the action on each of them before f runs. Without on, or where it names none, the resource is "*".
func Handle[In, Out any](f func(ctx context.Context, by Principal, in *In) (*Out, error), on func(in *In) []string) Handler {
	return HandleNeeds(f, func(_ Principal, in *In) []AccessRequest {
		if on == nil {
			return nil
		}
		var needs []AccessRequest
		for _, arn := range on(in) {
			needs = append(needs, AccessRequest{Resource: arn})
		}
		return needs
	})
}

// HandleNeeds is Handle for an operation that needs other actions too, such as iam:PassRole, or has values for conditions.
func HandleNeeds[In, Out any](f func(ctx context.Context, by Principal, in *In) (*Out, error), needs func(by Principal, in *In) []AccessRequest) Handler {
	return Handler{run: func(ctx context.Context, by Principal, decode func(any) error, allow func([]AccessRequest) error) (any, error) {
		in := new(In)
		if err := decode(in); err != nil {
			return nil, err
		}
		if err := allow(needs(by, in)); err != nil {
			return nil, err
		}
		out, err := f(ctx, by, in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}}
}

// As is the handler under another action.
func (h Handler) As(action string) Handler {
	h.Action = action
	return h
}

// Open is the handler for everybody with valid credentials: nothing needs to be allowed, and nothing can be denied.
func (h Handler) Open() Handler {
	h.open = true
	return h
}

// operation makes what the server runs of a handler: decode, authorize, run.
func (h Handler) operation(action string, access Access) operation {
	if h.Action != "" {
		action = h.Action
	}
	return func(ctx context.Context, by Principal, decode func(any) error) (any, error) {
		return h.run(ctx, by, decode, func(needs []AccessRequest) error {
			if h.open {
				return nil
			}
			if len(needs) == 0 {
				needs = []AccessRequest{{Resource: "*"}}
			}
			for _, need := range needs {
				if need.Action == "" {
					need.Action = action
				}
				if err := access.Allow(ctx, by, need); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// serve adds the handlers of a service. It refuses an operation that the model does not have, and one that is there.
func (s *Server) serve(prefix string, handlers Handlers) error {
	service := s.dispatcher.byPrefix[prefix]
	if service == nil {
		return fmt.Errorf("serve %s: there is no model of that prefix", prefix)
	}
	for name, h := range handlers {
		t := target{prefix, name}
		if service.Find(name) == nil {
			return fmt.Errorf("serve %s: the model has no operation %s", prefix, name)
		}
		if s.operations[t] != nil {
			return fmt.Errorf("serve %s: the operation %s is there twice", prefix, name)
		}
		s.operations[t] = h.operation(prefix+":"+name, s.cfg.Access)
	}
	return nil
}

// Fault makes an Error of that name with HTTP status 400.
func Fault(name, format string, args ...any) *Error {
	return &Error{Name: name, Message: fmt.Sprintf(format, args...)}
}
