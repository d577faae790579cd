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
	run    func(ctx context.Context, by Principal, decode func(any) error, allow func(arns []string) error) (any, error)
}

// Handle makes a Handler of a method over shapes. on names the resources that a call is about, as ARNs: the caller must
// be allowed the action on each of them before f runs. Without on, or where it names none, the resource is "*".
func Handle[In, Out any](f func(ctx context.Context, by Principal, in *In) (*Out, error), on func(in *In) []string) Handler {
	return Handler{run: func(ctx context.Context, by Principal, decode func(any) error, allow func([]string) error) (any, error) {
		in := new(In)
		if err := decode(in); err != nil {
			return nil, err
		}
		var arns []string
		if on != nil {
			arns = on(in)
		}
		if err := allow(arns); err != nil {
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

// Access decides what principals may do.
type Access interface {
	// Allow is nil where by may carry out the action ("ecs:CreateService") on the resource, an ARN or "*"; else an
	// *Error that says what is missing. context holds values of condition keys, and may be nil.
	Allow(ctx context.Context, by Principal, r AccessRequest) error
}

// AccessRequest is one question of Access.
type AccessRequest struct {
	Action   string
	Resource string
	// Context holds values of IAM condition keys, such as iam:PassedToService.
	Context map[string][]string
}

// scopes decides by what credentials say themselves: root may everything, others what their scope lists.
type scopes struct{}

// Allow implements Access.
func (scopes) Allow(_ context.Context, by Principal, r AccessRequest) error {
	return authorize(by, r.Action, r.Resource, nil)
}

// operation makes what the server runs of a handler: decode, authorize, run.
func (h Handler) operation(action string, access Access) operation {
	if h.Action != "" {
		action = h.Action
	}
	return func(ctx context.Context, by Principal, decode func(any) error) (any, error) {
		return h.run(ctx, by, decode, func(arns []string) error {
			if len(arns) == 0 {
				arns = []string{"*"}
			}
			for _, arn := range arns {
				if err := access.Allow(ctx, by, AccessRequest{Action: action, Resource: arn}); err != nil {
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
