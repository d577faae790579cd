package elb

import (
	"slices"
	"strconv"
	"strings"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/elbv2"
	"greengate/internal/cloud"
)

// Limits of listeners and rules ("Quotas for your Application Load Balancers" of its guide).
const (
	maxGroups     = 5
	maxWeight     = 999
	maxRules      = 100
	maxConditions = 5
)

// action reads the actions of a listener or a rule.
func (s *Service) action(st cloud.State, in []shape.Action) (cloud.Action, error) {
	if len(in) != 1 {
		return cloud.Action{}, awsapi.Fault("TooManyActionsException", "Give exactly one action; those that authenticate are not served")
	}
	a := in[0]
	switch a.Type {
	case shape.ActionTypeEnumForward:
		return s.forward(st, a)
	case shape.ActionTypeEnumFixedResponse:
		return fixed(a.FixedResponseConfig)
	case shape.ActionTypeEnumRedirect:
		return redirect(a.RedirectConfig)
	case shape.ActionTypeEnumAuthenticateCognito, shape.ActionTypeEnumAuthenticateOidc, shape.ActionTypeEnumJwtValidation:
	}
	return cloud.Action{}, awsapi.Fault("InvalidLoadBalancerActionException", "Actions of type '%s' are not served; use forward, fixed-response or redirect", a.Type)
}

func (s *Service) forward(st cloud.State, a shape.Action) (cloud.Action, error) {
	tuples := []shape.TargetGroupTuple{{TargetGroupARN: a.TargetGroupARN}}
	if a.TargetGroupARN == "" {
		tuples = nil
		if a.ForwardConfig != nil {
			tuples = a.ForwardConfig.TargetGroups
		}
	}
	if len(tuples) == 0 {
		return cloud.Action{}, awsapi.Fault("ValidationError", "A target group ARN must be specified")
	}
	if len(tuples) > maxGroups {
		return cloud.Action{}, awsapi.Fault("TooManyUniqueTargetGroupsPerLoadBalancerException", "A forward action has at most %d target groups", maxGroups)
	}
	var out cloud.Action
	for _, t := range tuples {
		g, err := s.group(st, t.TargetGroupARN)
		if err != nil {
			return cloud.Action{}, err
		}
		w := cloud.GroupWeight{TargetGroup: g.Name, Weight: 1}
		if t.Weight != nil {
			w.Weight = int(*t.Weight)
		}
		if w.Weight < 0 || w.Weight > maxWeight {
			return cloud.Action{}, awsapi.Fault("ValidationError", "The weight %d is not between 0 and %d", w.Weight, maxWeight)
		}
		if slices.ContainsFunc(out.Forward, func(o cloud.GroupWeight) bool { return o.TargetGroup == g.Name }) {
			return cloud.Action{}, awsapi.Fault("ValidationError", "The target group '%s' is given twice", t.TargetGroupARN)
		}
		out.Forward = append(out.Forward, w)
	}
	return out, nil
}

func fixed(c *shape.FixedResponseActionConfig) (cloud.Action, error) {
	if c == nil {
		return cloud.Action{}, awsapi.Fault("ValidationError", "FixedResponseConfig must be specified")
	}
	status, err := strconv.Atoi(c.StatusCode)
	if err != nil || status < 200 || status > 599 || status >= 300 && status < 400 || len(c.StatusCode) != 3 {
		return cloud.Action{}, awsapi.Fault("ValidationError", "The status code '%s' is not 2XX, 4XX or 5XX", c.StatusCode)
	}
	kinds := []string{"", "text/plain", "text/css", "text/html", "application/javascript", "application/json"}
	if !slices.Contains(kinds, c.ContentType) {
		return cloud.Action{}, awsapi.Fault("ValidationError", "The content type '%s' is not one of%s", c.ContentType, strings.Join(kinds, " "))
	}
	if len(c.MessageBody) > 1024 {
		return cloud.Action{}, awsapi.Fault("ValidationError", "The message body is longer than 1024 characters")
	}
	return cloud.Action{Fixed: &cloud.FixedResponse{Status: status, ContentType: c.ContentType, Body: c.MessageBody}}, nil
}

func redirect(c *shape.RedirectActionConfig) (cloud.Action, error) {
	if c == nil {
		return cloud.Action{}, awsapi.Fault("ValidationError", "RedirectConfig must be specified")
	}
	r := &cloud.RedirectAction{Protocol: c.Protocol, Host: c.Host, Port: c.Port, Path: c.Path, Status: 302}
	switch c.StatusCode {
	case "HTTP_301":
		r.Status = 301
	case "HTTP_302":
	default:
		return cloud.Action{}, awsapi.Fault("ValidationError", "The status code '%s' is not HTTP_301 or HTTP_302", c.StatusCode)
	}
	if c.Query != "" {
		r.Query = &c.Query
	}
	changes := func(v, keep string) bool { return v != "" && v != keep }
	if !changes(r.Protocol, "#{protocol}") && !changes(r.Host, "#{host}") && !changes(r.Port, "#{port}") && !changes(r.Path, "/#{path}") {
		return cloud.Action{}, awsapi.Fault("InvalidLoadBalancerActionException", "A redirect must change at least one of protocol, host, port and path")
	}
	return cloud.Action{Redirect: r}, nil
}

// actions is how an action is shown: a forward to one group has it at the top too, one to several has not (captured).
func (s *Service) actions(st cloud.State, a cloud.Action) []shape.Action {
	out := shape.Action{}
	switch {
	case a.Fixed != nil:
		out.Type = shape.ActionTypeEnumFixedResponse
		out.FixedResponseConfig = &shape.FixedResponseActionConfig{StatusCode: strconv.Itoa(a.Fixed.Status), ContentType: a.Fixed.ContentType, MessageBody: a.Fixed.Body}
	case a.Redirect != nil:
		r := a.Redirect
		out.Type = shape.ActionTypeEnumRedirect
		orKeep := func(v, keep string) string {
			if v == "" {
				return keep
			}
			return v
		}
		out.RedirectConfig = &shape.RedirectActionConfig{
			Protocol: orKeep(r.Protocol, "#{protocol}"), Host: orKeep(r.Host, "#{host}"), Port: orKeep(r.Port, "#{port}"), Path: orKeep(r.Path, "/#{path}"),
			Query: "#{query}", StatusCode: shape.RedirectActionStatusCodeEnum("HTTP_" + strconv.Itoa(r.Status)),
		}
		if r.Query != nil {
			out.RedirectConfig.Query = *r.Query
		}
	default:
		out.Type = shape.ActionTypeEnumForward
		out.ForwardConfig = &shape.ForwardActionConfig{TargetGroupStickinessConfig: &shape.TargetGroupStickinessConfig{Enabled: new(false)}}
		for _, w := range a.Forward {
			arn := w.TargetGroup
			if g, ok := cloud.Find[cloud.TargetGroup](st, w.TargetGroup); ok {
				arn = s.groupARN(g)
			}
			out.ForwardConfig.TargetGroups = append(out.ForwardConfig.TargetGroups, shape.TargetGroupTuple{TargetGroupARN: arn, Weight: new(int32(w.Weight))}) //nolint:gosec // at most 999
			if len(a.Forward) == 1 {
				out.TargetGroupARN = arn
			}
		}
	}
	return []shape.Action{out}
}
