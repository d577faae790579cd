package cloud

import (
	"encoding/json"
	"time"
)

// LogGroup is a CloudWatch Logs group; its streams and events are kept elsewhere.
type LogGroup struct {
	Name      string            `json:"name"`
	Created   time.Time         `json:"created"`
	Retention int               `json:"retention,omitempty"` // days; 0 keeps all
	Tags      map[string]string `json:"tags,omitempty"`
}

// ResourceKind implements Resource.
func (LogGroup) ResourceKind() Kind { return KindLogGroup }

// ResourceKey implements Resource.
func (g LogGroup) ResourceKey() string { return g.Name }

// States of an alarm (StateValue of the CloudWatch model).
const (
	AlarmOK           = "OK"
	AlarmInAlarm      = "ALARM"
	AlarmInsufficient = "INSUFFICIENT_DATA"
)

// Alarm is a CloudWatch metric alarm.
type Alarm struct {
	Name        string    `json:"name"`
	State       string    `json:"state"`
	Reason      string    `json:"reason,omitempty"`
	ReasonData  string    `json:"reasonData,omitempty"`
	StateSince  time.Time `json:"stateSince"`
	Updated     time.Time `json:"updated"`
	Namespace   string    `json:"namespace,omitempty"`
	Metric      string    `json:"metric,omitempty"`
	Statistic   string    `json:"statistic,omitempty"`
	Comparison  string    `json:"comparison,omitempty"`
	Threshold   float64   `json:"threshold,omitempty"`
	Period      int       `json:"period,omitempty"` // seconds
	Periods     int       `json:"periods,omitempty"`
	ToAlarm     int       `json:"toAlarm,omitempty"` // of Periods; 0 is all
	MissingData string    `json:"missingData,omitempty"`
	// Dimensions of the metric, by name.
	Dimensions map[string]string `json:"dimensions,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	// Input holds members that are only echoed (PutMetricAlarm's input as JSON).
	Input json.RawMessage `json:"input,omitempty"`
}

// ResourceKind implements Resource.
func (Alarm) ResourceKind() Kind { return KindAlarm }

// ResourceKey implements Resource.
func (a Alarm) ResourceKey() string { return a.Name }

// Topic is an SNS topic with its subscriptions.
type Topic struct {
	Name          string            `json:"name"`
	Created       time.Time         `json:"created"`
	Attributes    map[string]string `json:"attributes,omitempty"`
	Tags          map[string]string `json:"tags,omitempty"`
	Subscriptions []Subscription    `json:"subscriptions,omitempty"`
}

// Subscription is an endpoint to which a topic's messages go.
type Subscription struct {
	ID        string `json:"id"`       // UUID, part of its ARN
	Protocol  string `json:"protocol"` // http or https
	Endpoint  string `json:"endpoint"`
	Confirmed bool   `json:"confirmed,omitempty"`
	// Token confirms it, for a time from Created on.
	Token      string            `json:"token,omitempty"`
	Created    time.Time         `json:"created,omitzero"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// ResourceKind implements Resource.
func (Topic) ResourceKind() Kind { return KindTopic }

// ResourceKey implements Resource.
func (t Topic) ResourceKey() string { return t.Name }

// Bucket is an S3 bucket; its objects are files.
type Bucket struct {
	Name    string            `json:"name"`
	Created time.Time         `json:"created"`
	Region  string            `json:"region,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
}

// ResourceKind implements Resource.
func (Bucket) ResourceKind() Kind { return KindBucket }

// ResourceKey implements Resource.
func (b Bucket) ResourceKey() string { return b.Name }
