// Package elb answers the ELBv2 operations (API version 2015-12-01): load balancers, target groups, listeners and rules
// that configure the real data plane.
//
// A load balancer gets an address of its own, so that two may listen on the same port; its DNSName is that literal
// address. Listeners speak HTTP; a network load balancer's TCP listener is served by the same data plane, request by
// request. TLS is refused: there is no certificate store.
package elb

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/awsapi/shapes"
	shape "greengate/internal/awsapi/shapes/elbv2"
	"greengate/internal/cloud"
)

// Resources keeps load balancers and what belongs to them; *cloud.Cloud is one.
type Resources interface {
	State() cloud.State
	Update(ctx context.Context, edit func(d *cloud.Draft) error) error
}

// Config is what a Service needs.
type Config struct {
	Region, AccountID string
	Resources         Resources
	// Sync returns once the data plane serves what the resources say. Listener is an error of a listener, by its key,
	// whose address cannot be opened.
	Sync func(ctx context.Context, listener string) error
	// Fits says what the data plane would refuse of resources: one table serves all, so nothing of it may get in.
	Fits func(st cloud.State) error
	// Network is where load balancers get their addresses.
	Network netip.Prefix
	Now     func() time.Time
}

// Service answers ELBv2.
type Service struct{ cfg Config }

// New returns a Service.
func New(cfg Config) *Service { return &Service{cfg: cfg} }

// Handlers are the operations that are served.
func (s *Service) Handlers() awsapi.Handlers {
	h := awsapi.Handlers{}
	s.balancerHandlers(h)
	s.groupHandlers(h)
	s.listenerHandlers(h)
	s.attributeHandlers(h)
	return h
}

func one(arn string) []string { return []string{arn} }

// newID is the hexadecimal part of an ARN.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (its contract since Go 1.24)
	return hex.EncodeToString(b[:])
}

func (s *Service) arn(resource string) string {
	return "arn:aws:elasticloadbalancing:" + s.cfg.Region + ":" + s.cfg.AccountID + ":" + resource
}

// kindOf is "app" or "net", as ARNs say it.
func kindOf(b cloud.LoadBalancer) string {
	if b.Type == "network" {
		return "net"
	}
	return "app"
}

func (s *Service) balancerARN(b cloud.LoadBalancer) string {
	return s.arn("loadbalancer/" + kindOf(b) + "/" + b.Name + "/" + b.ID)
}

func (s *Service) groupARN(g cloud.TargetGroup) string {
	return s.arn("targetgroup/" + g.Name + "/" + g.ID)
}

func (s *Service) listenerARN(b cloud.LoadBalancer, l cloud.ELBListener) string {
	return s.arn("listener/" + kindOf(b) + "/" + b.Name + "/" + b.ID + "/" + l.ID)
}

func (s *Service) ruleARN(b cloud.LoadBalancer, l cloud.ELBListener, rule string) string {
	return s.arn("listener-rule/" + kindOf(b) + "/" + b.Name + "/" + b.ID + "/" + l.ID + "/" + rule)
}

// path is what follows the resource type in an ARN of ours: nil where it is none of that type.
func path(arn, kind string, parts int) []string {
	fields := strings.SplitN(arn, ":", 6)
	if len(fields) != 6 || fields[2] != "elasticloadbalancing" {
		return nil
	}
	rest, ok := strings.CutPrefix(fields[5], kind+"/")
	if !ok {
		return nil
	}
	p := strings.Split(rest, "/")
	if len(p) != parts {
		return nil
	}
	return p
}

func badARN(kind, arn string) error {
	return awsapi.Fault("ValidationError", "'%s' is not a valid %s ARN", arn, kind)
}

// balancer finds a load balancer by its ARN.
func (s *Service) balancer(st cloud.State, arn string) (cloud.LoadBalancer, error) {
	p := path(arn, "loadbalancer", 3)
	if p == nil {
		return cloud.LoadBalancer{}, badARN("load balancer", arn)
	}
	b, ok := cloud.Find[cloud.LoadBalancer](st, p[1])
	if !ok || b.ID != p[2] {
		return b, awsapi.Fault("LoadBalancerNotFoundException", "Load balancer '%s' not found", arn)
	}
	return b, nil
}

// group finds a target group by its ARN.
func (s *Service) group(st cloud.State, arn string) (cloud.TargetGroup, error) {
	p := path(arn, "targetgroup", 2)
	if p == nil {
		return cloud.TargetGroup{}, badARN("target group", arn)
	}
	g, ok := cloud.Find[cloud.TargetGroup](st, p[0])
	if !ok || g.ID != p[1] {
		return g, awsapi.Fault("TargetGroupNotFoundException", "Target groups '%s' not found", arn)
	}
	return g, nil
}

// listener finds a listener by its ARN.
func (s *Service) listener(st cloud.State, arn string) (cloud.LoadBalancer, cloud.ELBListener, error) {
	p := path(arn, "listener", 4)
	if p == nil {
		return cloud.LoadBalancer{}, cloud.ELBListener{}, badARN("listener", arn)
	}
	b, _ := cloud.Find[cloud.LoadBalancer](st, p[1])
	l, ok := cloud.Find[cloud.ELBListener](st, p[1]+"/"+p[3])
	if !ok || b.ID != p[2] {
		return b, l, awsapi.Fault("ListenerNotFoundException", "Listener '%s' not found", arn)
	}
	return b, l, nil
}

// rule finds a rule by its ARN; its index is -1 for the default rule.
func (s *Service) rule(st cloud.State, arn string) (cloud.LoadBalancer, cloud.ELBListener, int, error) {
	p := path(arn, "listener-rule", 5)
	if p == nil {
		return cloud.LoadBalancer{}, cloud.ELBListener{}, 0, badARN("rule", arn)
	}
	b, _ := cloud.Find[cloud.LoadBalancer](st, p[1])
	l, ok := cloud.Find[cloud.ELBListener](st, p[1]+"/"+p[3])
	i := slices.IndexFunc(l.Rules, func(r cloud.ListenerRule) bool { return r.ID == p[4] })
	if !ok || b.ID != p[2] || i < 0 && p[4] != defaultRuleID(l) {
		return b, l, 0, awsapi.Fault("RuleNotFoundException", "One or more rules not found")
	}
	return b, l, i, nil
}

// defaultRuleID is that of the rule that a listener's default actions make.
func defaultRuleID(l cloud.ELBListener) string {
	b := []byte(l.ID)
	slices.Reverse(b)
	return string(b)
}

// check words what the model does not allow.
func check(in any) error {
	if faults := shapes.Faults(in); faults != "" {
		return awsapi.Fault("ValidationError", "%s", faults)
	}
	return nil
}

// validName is the rule for names of load balancers and target groups: 1 to 32 letters, digits and hyphens, no hyphen at
// an end (CreateLoadBalancer, CreateTargetGroup).
func validName(what, name string) error {
	ok := name != "" && len(name) <= 32 && name[0] != '-' && name[len(name)-1] != '-'
	for i := range len(name) {
		c := name[i]
		ok = ok && (c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z')
	}
	if !ok {
		return awsapi.Fault("ValidationError",
			"The %s name '%s' must have 1 to 32 letters, digits or hyphens, and no hyphen at its beginning or end", what, name)
	}
	return nil
}

// pageOf cuts a page out of a list; the marker is the key of the last item before it.
func pageOf[T any](list []T, key func(T) string, marker string, size *int32) ([]T, string, error) {
	start := 0
	if marker != "" {
		i := slices.IndexFunc(list, func(v T) bool { return key(v) == marker })
		if i < 0 {
			return nil, "", awsapi.Fault("ValidationError", "The marker '%s' is not valid", marker)
		}
		start = i + 1
	}
	n := 400
	if size != nil {
		n = int(*size)
	}
	if start+n >= len(list) {
		return list[start:], "", nil
	}
	page := list[start : start+n]
	return page, key(page[len(page)-1]), nil
}

func tagMap(tags []shape.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range tags {
		m[t.Key] = t.Value
	}
	return m
}

// fits refuses an edit after which the data plane would refuse its table. Faults that were there before are not this edit's.
func (s *Service) fits(before cloud.State, d *cloud.Draft) error {
	err := s.cfg.Fits(d.State())
	if err != nil && s.cfg.Fits(before) != nil {
		err = nil
	}
	if err == nil {
		return nil
	}
	return awsapi.Fault("InvalidConfigurationRequestException", "The data plane cannot serve this: %v", err)
}

// change edits resources that the data plane serves.
func (s *Service) change(ctx context.Context, edit func(d *cloud.Draft) error) error {
	return s.cfg.Resources.Update(ctx, func(d *cloud.Draft) error {
		before := d.State()
		if err := edit(d); err != nil {
			return err
		}
		return s.fits(before, d)
	})
}

// sync waits for the data plane. What cannot be opened is taken back by undo.
func (s *Service) sync(ctx context.Context, listener string, undo func(d *cloud.Draft) error) error {
	err := s.cfg.Sync(ctx, listener)
	if err == nil || undo == nil {
		return err
	}
	if back := s.cfg.Resources.Update(ctx, undo); back != nil {
		return fmt.Errorf("undo a listener that cannot be opened (%w): %w", err, back)
	}
	if again := s.cfg.Sync(ctx, ""); again != nil {
		return again
	}
	return awsapi.Fault("InvalidConfigurationRequestException", "%v; choose another port, or stop what uses it", err)
}
