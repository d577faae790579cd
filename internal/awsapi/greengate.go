package awsapi

import (
	"context"
	"encoding/json"
)

// greengateOperation wraps an operation of our own. Its action is greengate:NAME, on every resource: root, and who has
// the action in scope. What a scoped principal may touch beyond that is the operation's own to check.
func greengateOperation(name string, op Operation, cfg Config) operation {
	arn := "arn:aws:greengate:" + cfg.Region + ":" + cfg.AccountID + ":*"
	return func(ctx context.Context, by Principal, decode func(any) error) (any, error) {
		if err := authorize(by, serviceGreengate+":"+name, arn, nil); err != nil {
			return nil, err
		}
		var input json.RawMessage
		if err := decode(&input); err != nil {
			return nil, err
		}
		return op(ctx, by, input)
	}
}
