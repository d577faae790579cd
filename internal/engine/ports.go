package engine

import (
	"context"
	"time"

	"greengate/internal/deploy"
)

// Runtime runs task sets.
type Runtime interface {
	// Ensure makes the task set run with its desired count. It is idempotent and does not wait.
	Ensure(ctx context.Context, ts deploy.TaskSet) error
	// Observe says how the task set is. A task set that does not exist has Desired 0 and no tasks.
	Observe(ctx context.Context, id string) (deploy.TaskSetStatus, error)
	// Stop ends every task of the set and returns when none is left. It is idempotent.
	Stop(ctx context.Context, id string) error
	// Release hands the end of the set over: once it serves nothing any more, and at the latest at by,
	// it is stopped. The wish is durable when Release returns: a set that is retired does not stay,
	// whatever becomes of its deployment, and streams that outlive a switch do not hold it up. It is
	// idempotent; the earlier time wins.
	Release(ctx context.Context, id string, by time.Time) error
}

// Router moves traffic.
type Router interface {
	// Shift gives the service's listeners absolute targets and returns when the data plane confirmed:
	// from then on no new request reaches anything else. It is idempotent.
	Shift(ctx context.Context, r deploy.Route) error
	// Drain asks for the end of what a task set still serves: at once for nothing in flight, after
	// limit by force. It says what is left. A set that still has weight is refused.
	Drain(ctx context.Context, taskSet string, limit time.Duration) (deploy.InFlight, error)
	// Ledger reads what production requests a ledger counted for a task set.
	Ledger(ctx context.Context, name, taskSet string) (deploy.Count, error)
}

// Hooks runs hooks.
type Hooks interface {
	// Start starts the call under its identity, at most once: a second Start of the same id does
	// nothing.
	Start(ctx context.Context, id string, call deploy.HookCall) error
	// Await blocks until the started call has ended and returns its verdict. For a function whose
	// handler returned without a callback it goes on blocking, as the callback decides. Where it is
	// unknown whether the call started, or how it ended, the verdict is deploy.VerdictError.
	Await(ctx context.Context, id string, call deploy.HookCall) (deploy.Verdict, error)
	// Cancel ends the call with all its descendants and returns when they are gone; what it would have
	// told is not known then (deploy.VerdictError). It is idempotent.
	Cancel(ctx context.Context, id string, call deploy.HookCall) error
}

// Alarms knows the state of alarms.
type Alarms interface {
	// Observe returns those of names that are in ALARM. With a permanent error (deploy.ErrPermanent) the others can never
	// be seen: one that does not exist.
	Observe(ctx context.Context, names []string) ([]string, error)
}

// AlarmSignal is what Alarms may have besides: a state that changes is seen at once then.
type AlarmSignal interface {
	// Changed returns a channel that is closed when the state of an alarm may have changed.
	Changed() <-chan struct{}
}

// Store keeps deployments.
type Store interface {
	// Create stores a new deployment together with its first inbox event. It refuses a second
	// deployment of a group that has one which is not terminal (deploy.CodeActiveDeployment, the
	// message names its id).
	Create(ctx context.Context, d deploy.Deployment, first deploy.Event) error
	// Load returns a deployment with its inbox, oldest first (deploy.CodeNotFound).
	Load(ctx context.Context, id string) (deploy.Loaded, error)
	// Commit stores one step in one transaction, guarded by the revision number: deploy.ErrStale when
	// the stored one is not c.Deployment.Revno-1.
	Commit(ctx context.Context, c deploy.Commit) error
	// Append adds an event to the inbox of a deployment. With a key that was appended before it adds
	// nothing and returns false. A terminal deployment takes no events (deploy.CodeAlreadyCompleted).
	Append(ctx context.Context, id, key string, ev deploy.Event) (bool, error)
	// Active lists the deployments that are not terminal.
	Active(ctx context.Context) ([]string, error)
}
