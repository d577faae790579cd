package alarm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"greengate/internal/cloud"
)

var errNoPublisher = errors.New("topics cannot be published to here")

// ARN is that of an alarm.
func ARN(region, account, name string) string {
	return "arn:aws:cloudwatch:" + region + ":" + account + ":alarm:" + name
}

// Act carries out the actions that an alarm has for its new state, and notes each in its history. One that fails keeps no
// other from being carried out.
func (w *Watcher) Act(ctx context.Context, before, after cloud.Alarm) {
	if before.State == after.State || after.Muted {
		return
	}
	var events []cloud.AlarmEvent
	for _, action := range after.Actions[after.State] {
		ev := cloud.AlarmEvent{At: w.cfg.Now(), Type: cloud.AlarmActed, Summary: "Successfully executed action " + action}
		if err := w.act(ctx, action, before, after); err != nil {
			w.cfg.Log.WarnContext(ctx, "alarm's action failed", "alarm", after.Name, "action", action, "err", err)
			ev.Summary = fmt.Sprintf("Failed to execute action %s. Received error: %q", action, err.Error())
		}
		events = append(events, ev)
	}
	if len(events) == 0 {
		return
	}
	err := w.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		a, ok := cloud.Find[cloud.Alarm](d.State(), after.Name)
		if !ok {
			return nil
		}
		for _, ev := range events {
			a = a.Noted(ev)
		}
		d.Put(a)
		return nil
	})
	if err != nil {
		w.cfg.Log.WarnContext(ctx, "note alarm's actions", "alarm", after.Name, "err", err)
	}
}

func (w *Watcher) act(ctx context.Context, action string, before, after cloud.Alarm) error {
	if !strings.HasPrefix(action, "arn:") || len(strings.Split(action, ":")) < 6 || strings.Split(action, ":")[2] != "sns" {
		return fmt.Errorf("%s is no SNS topic; nothing else can be told", action)
	}
	if w.cfg.Publisher == nil {
		return errNoPublisher
	}
	message, err := json.Marshal(w.message(before, after))
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	subject := fmt.Sprintf("%s: %q in %s", after.State, after.Name, w.cfg.Region)
	return w.cfg.Publisher.Publish(ctx, action, subject[:min(len(subject), maxSubject)], string(message))
}

// actTimeout bounds one action: others, and other alarms, wait for it.
const actTimeout = 5 * time.Second

// maxSubject is the most characters that the subject of an SNS message has.
const maxSubject = 100

// message is what CloudWatch publishes (user guide, "Notify users on alarm changes").
type message struct {
	AlarmName               string
	AlarmDescription        *string
	AWSAccountID            string `json:"AWSAccountId"`
	NewStateValue           string
	NewStateReason          string
	StateChangeTime         string
	Region                  string
	AlarmARN                string `json:"AlarmArn"`
	OldStateValue           string
	OKActions               []string
	AlarmActions            []string
	InsufficientDataActions []string
	Trigger                 trigger
}

type trigger struct {
	MetricName         string
	Namespace          string
	StatisticType      string
	Statistic          string `json:",omitempty"`
	ExtendedStatistic  string `json:",omitempty"`
	Unit               *string
	Dimensions         []dimension
	Period             int
	EvaluationPeriods  int
	DatapointsToAlarm  int `json:",omitempty"`
	ComparisonOperator string
	Threshold          float64
	TreatMissingData   string
}

type dimension struct {
	Value string `json:"value"`
	Name  string `json:"name"`
}

func (w *Watcher) message(before, after cloud.Alarm) message {
	list := func(state string) []string { return append([]string{}, after.Actions[state]...) }
	m := message{
		AlarmName: after.Name, AWSAccountID: w.cfg.AccountID, NewStateValue: after.State, NewStateReason: after.Reason,
		StateChangeTime: after.StateSince.UTC().Format("2006-01-02T15:04:05.000+0000"), Region: w.cfg.Region,
		AlarmARN: ARN(w.cfg.Region, w.cfg.AccountID, after.Name), OldStateValue: before.State,
		OKActions: list(cloud.AlarmOK), AlarmActions: list(cloud.AlarmInAlarm), InsufficientDataActions: list(cloud.AlarmInsufficient),
		Trigger: trigger{
			MetricName: after.Metric, Namespace: after.Namespace, StatisticType: "Statistic", Dimensions: []dimension{}, Period: after.Period,
			EvaluationPeriods: after.Periods, DatapointsToAlarm: after.ToAlarm, ComparisonOperator: after.Comparison, Threshold: after.Threshold,
			TreatMissingData: after.MissingData,
		},
	}
	if after.Description != "" {
		m.AlarmDescription = &after.Description
	}
	m.Trigger.Statistic = statistics()[after.Statistic]
	if m.Trigger.Statistic == "" {
		m.Trigger.StatisticType, m.Trigger.ExtendedStatistic = "ExtendedStatistic", after.Statistic
	}
	for _, name := range slices.Sorted(maps.Keys(after.Dimensions)) {
		m.Trigger.Dimensions = append(m.Trigger.Dimensions, dimension{Value: after.Dimensions[name], Name: name})
	}
	return m
}

// statistics are the words that messages have for them.
func statistics() map[string]string {
	return map[string]string{"SampleCount": "SAMPLE_COUNT", "Average": "AVERAGE", "Sum": "SUM", "Minimum": "MINIMUM", "Maximum": "MAXIMUM"}
}
