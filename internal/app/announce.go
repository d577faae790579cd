package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"greengate/internal/cloud"
	"greengate/internal/config"
	"greengate/internal/deploy"
	"greengate/internal/store"
)

// announcer tells the receivers of the notify file what happens to deployments. Each receiver follows the stored history
// from a stored place of its own, and the place moves on after the receiver has answered: a notice is never lost with a
// controller. Before each attempt it is stored that it begins: a notice whose answer was lost comes again with the same id
// and says that it is another attempt. A receiver that does not answer delays nobody else.
type announcer struct {
	sinks    []config.Sink
	db       history
	keep     cloud.Resources
	client   *http.Client
	endpoint string
	log      *slog.Logger
	// pause is between attempts at first, patience how long one notice is tried.
	pause, patience time.Duration
}

const (
	kindAnnounced = "announced"
	announceBatch = 100
	longestPause  = time.Minute
)

// notice is what a receiver is told.
type notice struct {
	// ID is the same whenever the same thing is told again.
	ID string `json:"id"`
	// Attempt counts how often it was sent, or may have been, from 1.
	Attempt    int           `json:"attempt"`
	Event      string        `json:"event"` // started, ready, succeeded, failed, stopped, rolled-back, halted
	Deployment string        `json:"deployment"`
	Service    string        `json:"service"`
	Kind       deploy.Kind   `json:"kind"`
	From       string        `json:"from,omitempty"`
	To         string        `json:"to"`
	Reason     deploy.Reason `json:"reason,omitempty"`
	Message    string        `json:"message,omitempty"`
	StartedBy  string        `json:"startedBy,omitempty"`
	// Verified is of a rollback: the old version was proven on production.
	Verified bool      `json:"verified,omitempty"`
	At       time.Time `json:"at"`
	URL      string    `json:"url"`
}

// announced is the place until which a receiver was told.
type announced struct {
	After int64 `json:"after"`
	// Seq is the record whose notice is being sent, Attempt how often that was begun.
	Seq     int64 `json:"seq,omitempty"`
	Attempt int   `json:"attempt,omitempty"`

	version int64
}

// sinkName names a receiver without its secret.
func sinkName(s config.Sink) string {
	sum := sha256.Sum256([]byte(s.URL))
	return hex.EncodeToString(sum[:8])
}

// begin stores where new receivers begin, before any deployment goes on: with what happens from now on.
func (a *announcer) begin(ctx context.Context) error {
	known, err := places(ctx, a.keep)
	if err != nil {
		return err
	}
	newest, err := newestRecord(ctx, a.db)
	if err != nil {
		return err
	}
	for _, s := range a.sinks {
		if _, ok := known[sinkName(s)]; ok {
			continue
		}
		if err := move(ctx, a.keep, sinkName(s), &announced{}, newest); err != nil {
			return err
		}
	}
	return nil
}

// newestRecord is the place of the newest record of the history.
func newestRecord(ctx context.Context, db history) (int64, error) {
	var after int64
	for {
		records, err := db.Records(ctx, "", after, 1000)
		if err != nil {
			return -1, err
		}
		if len(records) == 0 {
			return after, nil
		}
		after = records[len(records)-1].Seq
	}
}

func places(ctx context.Context, keep cloud.Resources) (map[string]announced, error) {
	stored, err := keep.List(ctx, kindAnnounced)
	if err != nil {
		return nil, fmt.Errorf("read places of receivers: %w", err)
	}
	known := map[string]announced{}
	for _, r := range stored {
		at := announced{version: r.Version}
		if err := json.Unmarshal(r.Data, &at); err != nil {
			return nil, fmt.Errorf("decode place of receiver: %w", err)
		}
		known[r.Name] = at
	}
	return known, nil
}

// move stores that a receiver was told until a place.
func move(ctx context.Context, keep cloud.Resources, receiver string, at *announced, after int64) error {
	return at.store(ctx, keep, receiver, announced{After: after})
}

// try stores that the notice of a record is about to be sent, and counts the attempt.
func (at *announced) try(ctx context.Context, keep cloud.Resources, receiver string, seq int64) error {
	next := announced{After: at.After, Seq: seq, Attempt: 1}
	if at.Seq == seq {
		next.Attempt = at.Attempt + 1
	}
	return at.store(ctx, keep, receiver, next)
}

func (at *announced) store(ctx context.Context, keep cloud.Resources, receiver string, next announced) error {
	data, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode place of receiver: %w", err)
	}
	versions, err := keep.Put(ctx, []cloud.Write{{Record: cloud.Record{Kind: kindAnnounced, Name: receiver, Version: at.version, Data: data}}})
	if err != nil {
		return fmt.Errorf("store place of receiver: %w", err)
	}
	next.version = versions[0]
	*at = next
	return nil
}

func (a *announcer) run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range a.sinks {
		all.Go(func() {
			for ctx.Err() == nil {
				err := a.follow(ctx, s) // it ends with an error only
				if ctx.Err() == nil {
					a.log.WarnContext(ctx, "tell receiver", "receiver", sinkName(s), "err", err)
					wait(ctx, a.pause)
				}
			}
		})
	}
	all.Wait()
	return nil
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// follow tells one receiver what happens until something of ours fails.
func (a *announcer) follow(ctx context.Context, s config.Sink) error {
	known, err := places(ctx, a.keep)
	if err != nil {
		return err
	}
	at := known[sinkName(s)]
	for {
		records, err := a.db.Wait(ctx, "", at.After, announceBatch)
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := a.tell(ctx, s, &at, r); err != nil {
				return err
			}
			if err := move(ctx, a.keep, sinkName(s), &at, r.Seq); err != nil {
				return err
			}
		}
	}
}

// tell sends the notice of a record, where it is one. It gives up on a notice that the receiver does not take, and says so.
func (a *announcer) tell(ctx context.Context, s config.Sink, at *announced, r store.StoredRecord) error {
	n, err := a.notice(ctx, r)
	if err != nil || n == nil {
		return err
	}
	give := time.Now().Add(a.patience)
	for pause := a.pause; ; pause = min(2*pause, longestPause) {
		if err := at.try(ctx, a.keep, sinkName(s), r.Seq); err != nil {
			return err
		}
		n.Attempt = at.Attempt
		err := a.post(ctx, s, n)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errRefused) || time.Now().After(give):
			a.log.ErrorContext(ctx, "a notice was dropped", "receiver", sinkName(s), "deployment", n.Deployment, "event", n.Event, "err", err)
			return nil
		}
		wait(ctx, pause)
	}
}

var errRefused = errors.New("the receiver does not take it")

func (a *announcer) post(ctx context.Context, s config.Sink, n *notice) error {
	body, err := n.body(s)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: its URL is not one", errRefused)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "greengate")
	req.Header.Set("Idempotency-Key", n.ID)
	req.Header.Set("Greengate-Attempt", strconv.Itoa(n.Attempt))
	resp, err := a.client.Do(req)
	if err != nil {
		return hideURL(err)
	}
	defer resp.Body.Close()                                     //nolint:errcheck // it was only read
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4096)) // only so that the connection can be used again
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusTooManyRequests || code >= 500:
		return fmt.Errorf("the receiver answered %d", code)
	default:
		return fmt.Errorf("%w: it answered %d", errRefused, code)
	}
}

// hideURL takes the address out of an error of the client: it may hold a secret.
func hideURL(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return err
}

// notice is what a record means to people; nil where it means nothing of its own.
func (a *announcer) notice(ctx context.Context, r store.StoredRecord) (*notice, error) {
	first, err := a.db.Records(ctx, r.Deployment, 0, 1)
	if err != nil {
		return nil, err
	}
	begins := len(first) > 0 && first[0].Seq == r.Seq
	ready := r.Kind == deploy.RecordNote && r.Phase == deploy.PhaseReadyWait && r.Reason == deploy.ReasonWaiting
	if !begins && !ready && r.Kind != deploy.RecordEnd {
		return nil, nil
	}
	d, err := a.db.Deployment(ctx, r.Deployment)
	if err != nil {
		return nil, err
	}
	v := d.View(func(string) string { return "" })
	n := &notice{
		Deployment: d.ID, Service: v.Service, Kind: d.Kind, From: v.From, To: v.To, StartedBy: v.StartedBy, At: r.At,
		URL: strings.TrimRight(a.endpoint, "/") + "/console/deployments/" + d.ID,
	}
	switch {
	case r.Kind == deploy.RecordEnd:
		n.ended(v)
	case ready:
		n.Event, n.Message = "ready", r.Message
	default:
		n.Event = "started"
	}
	n.ID = stableUUID("announcement", d.ID+"/"+n.Event)
	return n, nil
}

// ended words how a deployment ended.
func (n *notice) ended(v deploy.DeploymentView) {
	n.Reason, n.Message = v.Reason, v.Message
	switch {
	case v.Halted:
		n.Event, n.Message = "halted", v.Rollback.Message
	case v.Kind == deploy.KindRollback && v.Status == deploy.StatusSucceeded:
		n.Event, n.Verified, n.Message = "rolled-back", v.Rollback.Verified, v.Rollback.Message
	case v.Status == deploy.StatusSucceeded:
		n.Event = "succeeded"
	case v.Status == deploy.StatusStopped:
		n.Event = "stopped"
	default:
		n.Event = "failed"
	}
}

// body is the notice as its receiver wants it.
func (n *notice) body(s config.Sink) ([]byte, error) {
	var doc any = n
	if s.Slack {
		doc = map[string]string{"text": n.text()}
	}
	data, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode notice: %w", err)
	}
	return data, nil
}

// text is the notice on one or two lines of Slack's mrkdwn, whose three special characters are escaped.
func (n *notice) text() string {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	versions := escape(n.To)
	if n.From != "" {
		versions = escape(n.From) + " → " + versions
	}
	text := fmt.Sprintf("*%s* %s: %s", escape(n.Service), versions, strings.ReplaceAll(n.Event, "-", " "))
	if n.Event == "rolled-back" {
		text += map[bool]string{true: ", verified", false: ", NOT verified: look at it"}[n.Verified]
	}
	text += fmt.Sprintf(" (<%s|%s>)", n.URL, n.Deployment)
	if n.Attempt > 1 {
		text += fmt.Sprintf(", attempt %d", n.Attempt)
	}
	if n.Reason != "" || n.Message != "" {
		text += "\n" + escape(strings.TrimSpace(string(n.Reason)+" "+n.Message))
	}
	return text
}
