// Package ecs answers the ECS operations (API version 2014-11-13): clusters, task definitions, services and task sets.
// A service really runs its tasks.
package ecs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/ecs"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

// Resources keeps clusters, task definitions and services; *cloud.Cloud is one.
type Resources interface {
	State() cloud.State
	Update(ctx context.Context, edit func(d *cloud.Draft) error) error
}

// Runtime runs task sets.
type Runtime interface {
	// Ensure makes a task set run with its desired count, and does not wait.
	Ensure(ctx context.Context, ts deploy.TaskSet) error
	// Observe says how a task set is.
	Observe(ctx context.Context, id string) (deploy.TaskSetStatus, error)
	// Release ends a task set once it serves nothing any more, at the latest at by.
	Release(ctx context.Context, id string, by time.Time) error
}

// Tasks runs single tasks that are stored; it knows those of services.
type Tasks interface {
	// Nudge says that a task was stored that is to start, or to end.
	Nudge()
	// Live are the tasks of services that have not ended.
	Live(ctx context.Context) ([]cloud.Task, error)
}

// Config is what a Service needs.
type Config struct {
	Region, AccountID string
	Resources         Resources
	Runtime           Runtime
	Tasks             Tasks
	Now               func() time.Time
}

// Service answers ECS.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Handlers are the operations that are served.
func (s *Service) Handlers() awsapi.Handlers {
	h := awsapi.Handlers{}
	s.clusterHandlers(h)
	s.definitionHandlers(h)
	s.serviceHandlers(h)
	s.taskSetHandlers(h)
	s.tagHandlers(h)
	s.taskHandlers(h)
	s.rolloutHandlers(h)
	return h
}

func (s *Service) arn(resource string) string {
	return "arn:aws:ecs:" + s.cfg.Region + ":" + s.cfg.AccountID + ":" + resource
}

func (s *Service) clusterARN(name string) string { return s.arn("cluster/" + name) }

func (s *Service) serviceARN(key string) string { return s.arn("service/" + key) }

func (s *Service) definitionARN(key string) string { return s.arn("task-definition/" + key) }

// check words what the model does not allow.
func check(in any) error {
	if faults := shapes.Faults(in); faults != "" {
		return awsapi.Fault("InvalidParameterException", "%s", faults)
	}
	return nil
}

// worded gives an error of the domain the name that ECS has for it.
func worded(err error) error {
	if d, ok := errors.AsType[*deploy.Error](err); ok {
		return awsapi.Fault("InvalidParameterException", "%s", d.Message)
	}
	return err
}

// convert copies members of equal names from one shape to another by way of their JSON.
func convert(from json.RawMessage, to any) error {
	if len(from) == 0 {
		return nil
	}
	if err := json.Unmarshal(from, to); err != nil {
		return fmt.Errorf("convert stored input: %w", err)
	}
	return nil
}

func encode(in any) (json.RawMessage, error) {
	data, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode input: %w", err)
	}
	return data, nil
}

func tagMap(tags []shape.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

func tagList(tags map[string]string) []shape.Tag {
	out := []shape.Tag{}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		out = append(out, shape.Tag{Key: k, Value: tags[k]})
	}
	return out
}

// NewTaskSetID is "ecs-svc/" and 19 digits, the form that clients know.
func NewTaskSetID() string {
	n, err := rand.Int(rand.Reader, big.NewInt(8e18))
	if err != nil { // never (crypto/rand's contract since Go 1.24)
		panic(err)
	}
	return fmt.Sprintf("ecs-svc/%019d", n.Int64()+1e18)
}

// page cuts a page out of ARNs; the token is the last one before it.
func page(list []string, token string, size *int32) ([]string, string, error) {
	start := 0
	if token != "" {
		i := slices.Index(list, token)
		if i < 0 {
			return nil, "", awsapi.Fault("InvalidParameterException", "Invalid token: %s", token)
		}
		start = i + 1
	}
	n := 100
	if size != nil && *size >= 1 && *size <= 100 {
		n = int(*size)
	}
	if start+n >= len(list) {
		return list[start:], "", nil
	}
	return list[start : start+n], list[start+n-1], nil
}

func validName(what, name string) error {
	if name == "" || len(name) > 255 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
		return awsapi.Fault("InvalidParameterException", "%s name '%s' must have 1 to 255 letters, digits, hyphens and underscores.", what, name)
	}
	return nil
}
