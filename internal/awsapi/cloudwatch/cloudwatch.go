// Package cloudwatch answers the CloudWatch operations (API version 2010-08-01): metric alarms, and metrics that are kept in
// memory within bounds. Composite alarms, anomaly detection and dashboards are not served.
package cloudwatch

import (
	"context"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/cloudwatch"
	"greengate/internal/cloud"
	"greengate/internal/metric"
)

// Resources keeps alarms; *cloud.Cloud is one.
type Resources interface {
	State() cloud.State
	Update(ctx context.Context, edit func(d *cloud.Draft) error) error
}

// Config is what a Service needs.
type Config struct {
	Region, AccountID string
	Resources         Resources
	Metrics           *metric.Store
	// Minute is how long a minute of a period lasts.
	Minute time.Duration
	Now    func() time.Time
	// Act carries out the actions of an alarm that SetAlarmState moved.
	Act func(ctx context.Context, before, after cloud.Alarm)
}

// Service answers CloudWatch.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Handlers are the operations that are served.
func (s *Service) Handlers() awsapi.Handlers {
	h := awsapi.Handlers{}
	s.alarmHandlers(h)
	s.stateHandlers(h)
	s.metricHandlers(h)
	s.tagHandlers(h)
	return h
}

// nothing is the output of operations that have none.
type nothing struct{}

const alarmPart = "alarm:"

func (s *Service) arn(alarm string) string {
	return "arn:aws:cloudwatch:" + s.cfg.Region + ":" + s.cfg.AccountID + ":" + alarmPart + alarm
}

func (s *Service) arns(alarms ...string) []string {
	out := make([]string, len(alarms))
	for i, name := range alarms {
		out[i] = s.arn(name)
	}
	return out
}

// span is how long a period of so many seconds lasts.
func (s *Service) span(seconds int32) time.Duration {
	return time.Duration(seconds) * s.cfg.Minute / 60
}

func invalid(format string, args ...any) error {
	return awsapi.Fault("ValidationError", format, args...)
}

func badValue(format string, args ...any) error {
	return awsapi.Fault("InvalidParameterValueException", format, args...)
}

func badCombination(format string, args ...any) error {
	return awsapi.Fault("InvalidParameterCombinationException", format, args...)
}

// check words what the model does not allow.
func check(in any) error {
	if faults := shapes.Faults(in); faults != "" {
		return invalid("%s", faults)
	}
	return nil
}

// dimensions are those of a metric by their names.
func dimensions(list []shape.Dimension) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // no dimensions are a nil map
	}
	m := make(map[string]string, len(list))
	for _, d := range list {
		if _, twice := m[d.Name]; twice {
			return nil, badValue("The dimension %s is given twice.", d.Name)
		}
		m[d.Name] = d.Value
	}
	return m, nil
}

func dimensionList(m map[string]string) []shape.Dimension {
	list := []shape.Dimension{}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, shape.Dimension{Name: name, Value: m[name]})
	}
	return list
}

// token is an opaque position in a list: the key of the last item before it.
func token(key string) string { return base64.RawURLEncoding.EncodeToString([]byte("v1/" + key)) }

func position(token string) (string, error) {
	if token == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(token)
	key, ok := strings.CutPrefix(string(b), "v1/")
	if err != nil || !ok {
		return "", awsapi.Fault("InvalidNextToken", "The next token specified is invalid.")
	}
	return key, nil
}

// most is how many items a page has.
func most(n *int32, otherwise int) int {
	if n == nil {
		return otherwise
	}
	return int(*n)
}
