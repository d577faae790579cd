package awsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"runtime/debug"

	"greengate/internal/deploy"
)

// InsideCall is a call of somebody whom another door than the signature has let in: the console.
type InsideCall struct {
	By Principal
	// Service and Operation are as in IAM actions.
	Service, Operation string
	// Input is the operation's input structure by value; of an operation of our own anything that encodes to it.
	Input any
	// Seen is the revision number of the deployment that the caller decided on; 0 is any. A deployment that has gone on
	// refuses with ConflictException.
	Seen int64
	// Source is the address that the request came from, Agent the program.
	Source, Agent string
}

// Do carries out an operation with the checks of permission, the validation and the audit that a request of the wire
// gets. Its error is an *Error, also where the fault is ours; that one is logged.
func (s *Server) Do(ctx context.Context, c InsideCall) (any, error) {
	out, err := s.do(ctx, c)
	var named *Error
	if err != nil {
		if named = toWire(err, ""); named == nil {
			s.cfg.Log.LogAttrs(ctx, slog.LevelError, "call failed",
				slog.String("service", c.Service), slog.String("operation", c.Operation), slog.Any("err", err))
			named = &Error{Name: "InternalFailure", Message: "The request failed because of an internal error; the log of the controller has it."}
		}
	}
	if t := (target{c.Service, c.Operation}); s.cfg.Audit != nil && changes(t) {
		e := deploy.AuditEntry{
			At: s.cfg.Now(), Principal: c.By.ARN, Source: c.Source, Agent: c.Agent, Service: c.Service, Operation: c.Operation,
			Resource: resourceOf(c.Input), Outcome: outcomeOK,
		}
		if named != nil {
			e.Outcome = named.Name
		}
		s.cfg.Audit(context.WithoutCancel(ctx), e)
	}
	if named != nil {
		return nil, named
	}
	return out, nil
}

func (s *Server) do(ctx context.Context, c InsideCall) (out any, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = nil, &panicError{value: v, stack: debug.Stack()}
		}
	}()
	op := s.operations[target{c.Service, c.Operation}]
	if op == nil {
		return nil, errUnknownOperation
	}
	ctx = context.WithValue(ctx, seenKey{}, c.Seen)
	ctx = context.WithValue(ctx, factsKey{}, &facts{source: c.Source, region: s.cfg.Region, agent: c.Agent})
	return op(ctx, c.By, func(into any) error { return giveInput(c.Input, into) })
}

// Reading answers requests of the wire that read something, which are made here for somebody whom a door has let in: they
// bear no signature, and are authorized as all others. What would change something is refused.
func (s *Server) Reading(by Principal) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := &exchange{id: newUUID(), call: s.dispatcher.find(r), principal: by}
		answer := s.answer(r, x, func() (any, error) { return s.read(w, r, x) })
		_ = x.write(w, r, answer) // to memory
	})
}

func (s *Server) read(w http.ResponseWriter, r *http.Request, x *exchange) (out any, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = nil, &panicError{value: v, stack: debug.Stack()}
		}
	}()
	c := x.call
	if c.request.Body, err = readAll(http.MaxBytesReader(w, r.Body, s.limit(c))); err != nil {
		return nil, err
	}
	if c.form {
		if err := s.dispatcher.readForm(r, c, c.request.Body); err != nil {
			return nil, err
		}
	}
	op := s.operations[c.target]
	if op == nil || changes(c.target) {
		return nil, c.unknown()
	}
	ctx := r.Context()
	if factsOf(ctx) == nil {
		ctx = withFacts(ctx, r, s.cfg.Region)
	}
	return op(ctx, x.principal, c.decode)
}

type seenKey struct{}

// seen is the revision number that the caller has seen; the wire has no member for it.
func seen(ctx context.Context) int64 {
	n, _ := ctx.Value(seenKey{}).(int64)
	return n
}

// giveInput puts an input where an operation decodes it to.
func giveInput(input, into any) error {
	if raw, ok := into.(*json.RawMessage); ok {
		data, err := json.Marshal(input)
		if err != nil {
			return fmt.Errorf("encode input: %w", err)
		}
		*raw = data
		return nil
	}
	to, from := reflect.ValueOf(into).Elem(), reflect.ValueOf(input)
	if !from.IsValid() || from.Type() != to.Type() {
		return fmt.Errorf("give input: a %T is no %s", input, to.Type())
	}
	to.Set(from)
	return nil
}
