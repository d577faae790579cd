package awsapi

import (
	"bytes"
	"context"
	"encoding/json"
)

// Typed makes an Operation of a function over its input's type. Members that In does not have are refused: our own
// clients speak exactly, and a misspelt member must not be read as an absent one.
func Typed[In, Out any](f func(ctx context.Context, by Principal, in In) (Out, error)) Operation {
	return func(ctx context.Context, by Principal, input json.RawMessage) (any, error) {
		var in In
		d := json.NewDecoder(bytes.NewReader(input))
		d.DisallowUnknownFields()
		if err := d.Decode(&in); err != nil {
			return nil, serializationError("the input does not fit the operation: " + err.Error())
		}
		out, err := f(ctx, by, in)
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}

// greengateOperation wraps an operation of our own. Its action is greengate:NAME, on every resource of ours.
func greengateOperation(name string, op Operation, cfg Config) operation {
	arn := "arn:aws:greengate:" + cfg.Region + ":" + cfg.AccountID + ":*"
	return func(ctx context.Context, by Principal, decode func(any) error) (any, error) {
		if err := cfg.Access.Allow(ctx, by, AccessRequest{Action: serviceGreengate + ":" + name, Resource: arn}); err != nil {
			return nil, err
		}
		var input json.RawMessage
		if err := decode(&input); err != nil {
			return nil, err
		}
		return op(ctx, by, input)
	}
}
