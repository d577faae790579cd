package deploy

import "errors"

// ErrStale says that what was to be changed was changed by somebody else since it was read: a
// deployment was committed, or a resource was written. Read again, and decide again.
var ErrStale = errors.New("changed by somebody else since it was read")

// Loaded is a deployment with the events that wait for it.
type Loaded struct {
	Deployment Deployment
	Inbox      []Item // oldest first
}

// Item is one event in an inbox.
type Item struct {
	ID    int64
	Event Event
}

// Commit is one step to be stored: the new state, the inbox item that it consumed (0: none), the
// records for the history, and the deployment that it spawned with its first event.
type Commit struct {
	Deployment Deployment
	Consumed   int64
	Records    []Record
	Spawn      *Deployment // nil: none
	SpawnFirst Event
}
