package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
	"greengate/internal/notify"
	"greengate/internal/store"
)

// history is the durable past of deployments.
type history interface {
	Records(ctx context.Context, id string, after int64, limit int) ([]store.StoredRecord, error)
	Wait(ctx context.Context, id string, after int64, limit int) ([]store.StoredRecord, error)
	Deployment(ctx context.Context, id string) (deploy.Deployment, error)
}

// notices tells the topics of deployment groups' triggers what happened to deployments. It follows the stored history
// from a stored place on: what it tells and the place until which it has read are stored in one transaction, so whatever
// dies when, each event is told once.
type notices struct {
	db              history
	keep            cloud.Resources
	cloud           *cloud.Cloud
	outbox          *notify.Outbox
	judge           *cloud.Judge
	region, account string
	log             *slog.Logger
}

const (
	kindNotices   = "notices"
	noticesPlace  = "place"
	noticesBatch  = 100
	noticesRetry  = time.Second
	triggerStart  = "DeploymentStart"
	triggerReady  = "DeploymentReady"
	triggerRolled = "DeploymentRollback"
)

// noticePlace is where the notices have read until.
type noticePlace struct {
	After int64 `json:"after"`

	version int64
}

func (n *notices) run(ctx context.Context) {
	for {
		err := n.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		// A write that failed may have been stored all the same: the place is read again.
		n.log.WarnContext(ctx, "tell topics of deployments", "err", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(noticesRetry):
		}
	}
}

// follow tells what happens until something fails.
func (n *notices) follow(ctx context.Context) error {
	at, err := n.place(ctx)
	if err != nil {
		return err
	}
	for {
		records, err := n.db.Wait(ctx, "", at.After, noticesBatch)
		if err != nil {
			return err
		}
		if at, err = n.tell(ctx, at, records); err != nil {
			return err
		}
	}
}

// begin stores where to begin, before any deployment goes on: an installation that never told anybody begins with what
// happens from now on.
func (n *notices) begin(ctx context.Context) error {
	stored, err := n.keep.List(ctx, kindNotices)
	if err != nil || len(stored) > 0 {
		return err
	}
	at := noticePlace{}
	for {
		records, err := n.db.Records(ctx, "", at.After, 1000)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			break
		}
		at.After = records[len(records)-1].Seq
	}
	write, err := at.write()
	if err != nil {
		return err
	}
	_, err = n.keep.Put(ctx, []cloud.Write{write})
	return err
}

// write is the place to be stored over the one that it follows.
func (at noticePlace) write() (cloud.Write, error) {
	data, err := json.Marshal(at)
	if err != nil {
		return cloud.Write{}, fmt.Errorf("encode place of notices: %w", err)
	}
	return cloud.Write{Record: cloud.Record{Kind: kindNotices, Name: noticesPlace, Version: at.version, Data: data}}, nil
}

// place reads where to go on.
func (n *notices) place(ctx context.Context) (noticePlace, error) {
	at := noticePlace{}
	stored, err := n.keep.List(ctx, kindNotices)
	if err != nil {
		return at, fmt.Errorf("read place of notices: %w", err)
	}
	if len(stored) != 1 {
		return at, errors.New("read place of notices: there is none")
	}
	if err := json.Unmarshal(stored[0].Data, &at); err != nil {
		return at, fmt.Errorf("decode place of notices: %w", err)
	}
	at.version = stored[0].Version
	return at, nil
}

// tell stores the notices of some records, and that they have been read.
func (n *notices) tell(ctx context.Context, at noticePlace, records []store.StoredRecord) (noticePlace, error) {
	state := n.cloud.State()
	known := map[string]deploy.Deployment{}
	var posts []notify.Post
	next := noticePlace{After: records[len(records)-1].Seq, version: at.version}
	for _, r := range records {
		d, ok := known[r.Deployment]
		if !ok {
			var err error
			if d, err = n.db.Deployment(ctx, r.Deployment); err != nil {
				return at, err
			}
			known[r.Deployment] = d
		}
		first, err := n.db.Records(ctx, d.ID, 0, 1)
		if err != nil {
			return at, err
		}
		for _, h := range happened(d, r, len(first) > 0 && first[0].Seq == r.Seq) {
			list, err := n.posts(state, d, h)
			if err != nil {
				return at, err
			}
			posts = append(posts, list...)
		}
	}
	write, err := next.write()
	if err != nil {
		return at, err
	}
	versions, err := n.outbox.Publish(ctx, posts, write)
	if err != nil {
		return at, err
	}
	if len(versions) != 1 {
		return at, errors.New("store place of notices: it has no version")
	}
	next.version = versions[0]
	return next, nil
}

// happening is an event that triggers may name, with the status that its notice bears.
type happening struct{ event, status string }

// happened says which events a record, which may be the first of its deployment, is of. The start of a rollback's record is also the rollback of its group.
func happened(d deploy.Deployment, r store.StoredRecord, first bool) []happening {
	var list []happening
	if first {
		list = append(list, happening{triggerStart, "CREATED"})
		if d.Kind == deploy.KindRollback {
			list = append(list, happening{triggerRolled, "IN_PROGRESS"})
		}
	}
	switch {
	case r.Kind == deploy.RecordNote && r.Phase == deploy.PhaseReadyWait && r.Reason == deploy.ReasonWaiting:
		list = append(list, happening{triggerReady, "READY"})
	case r.Kind == deploy.RecordEnd:
		switch r.Phase { //nolint:exhaustive // an end has one of three phases
		case deploy.PhaseSucceeded:
			list = append(list, happening{"DeploymentSuccess", "SUCCEEDED"})
		case deploy.PhaseFailed:
			list = append(list, happening{"DeploymentFailure", "FAILED"})
		case deploy.PhaseStopped:
			list = append(list, happening{"DeploymentStop", "STOPPED"})
		}
	}
	return list
}

// posts are the messages for the triggers of a deployment's group that name an event. Their ids follow from what they
// tell, so a message that is sent again bears the same one.
func (n *notices) posts(state cloud.State, d deploy.Deployment, h happening) ([]notify.Post, error) {
	group, ok := cloud.Find[cloud.DeploymentGroup](state, d.Plan.Application+"/"+d.Plan.Group)
	if !ok {
		return nil, nil
	}
	var posts []notify.Post
	for _, t := range group.Triggers {
		if !slices.Contains(t.Events, h.event) {
			continue
		}
		if lack := n.publishes(state, group, t.Topic); lack != nil {
			n.log.Warn("the topic of a trigger is not told", "deployment", d.ID, "trigger", t.Name, "err", lack)
			continue
		}
		notice := awsapi.Notice{Region: n.region, AccountID: n.account, Trigger: t.Name, Status: h.status, Deployment: d}
		subject, message, err := notice.Text()
		if err != nil {
			return nil, err
		}
		posts = append(posts, notify.Post{
			TopicARN: t.Topic, ID: stableUUID("notice", d.ID+"/"+t.Name+"/"+h.event), Subject: subject, Message: message,
		})
	}
	return posts, nil
}
