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

// conditions reads those of a rule, and holds them to what the data plane takes.
func conditions(in []shape.RuleCondition) ([]cloud.RuleCondition, error) {
	var out []cloud.RuleCondition
	values := 0
	for _, c := range in {
		r := cloud.RuleCondition{Field: c.Field, Values: c.Values}
		if len(c.RegexValues) > 0 {
			return nil, awsapi.Fault("ValidationError", "Regular expressions in conditions are not served; use Values with * and ?")
		}
		switch {
		case c.Field == "host-header" && c.HostHeaderConfig != nil:
			r.Values = c.HostHeaderConfig.Values
		case c.Field == "path-pattern" && c.PathPatternConfig != nil:
			r.Values = c.PathPatternConfig.Values
		case c.Field == "http-header" && c.HttpHeaderConfig != nil:
			r.Header, r.Values = c.HttpHeaderConfig.HttpHeaderName, c.HttpHeaderConfig.Values
		case c.Field == "http-request-method" && c.HttpRequestMethodConfig != nil:
			r.Values = c.HttpRequestMethodConfig.Values
		case c.Field == "source-ip" && c.SourceIpConfig != nil:
			r.Values = c.SourceIpConfig.Values
		case c.Field == "query-string" && c.QueryStringConfig != nil:
			for _, q := range c.QueryStringConfig.Values {
				r.Query = append(r.Query, cloud.KeyValue{Key: q.Key, Value: q.Value})
			}
		case c.Field != "host-header" && c.Field != "path-pattern":
			return nil, awsapi.Fault("ValidationError", "A condition with field '%s' is unknown, or lacks its configuration", c.Field)
		}
		if len(r.Values)+len(r.Query) == 0 {
			return nil, awsapi.Fault("ValidationError", "A condition value must be specified")
		}
		values += len(r.Values) + len(r.Query)
		out = append(out, r)
	}
	if len(out) == 0 {
		return nil, awsapi.Fault("ValidationError", "A condition must be specified")
	}
	if values > maxConditions {
		return nil, awsapi.Fault("ValidationError", "A rule has at most %d condition values", maxConditions)
	}
	return out, nil
}

func conditionShapes(list []cloud.RuleCondition) []shape.RuleCondition {
	out := []shape.RuleCondition{}
	for _, c := range list {
		r := shape.RuleCondition{Field: c.Field}
		switch c.Field {
		case "host-header":
			r.Values, r.HostHeaderConfig = c.Values, &shape.HostHeaderConditionConfig{Values: c.Values}
		case "path-pattern":
			r.Values, r.PathPatternConfig = c.Values, &shape.PathPatternConditionConfig{Values: c.Values}
		case "http-header":
			r.HttpHeaderConfig = &shape.HttpHeaderConditionConfig{HttpHeaderName: c.Header, Values: c.Values}
		case "http-request-method":
			r.HttpRequestMethodConfig = &shape.HttpRequestMethodConditionConfig{Values: c.Values}
		case "source-ip":
			r.SourceIpConfig = &shape.SourceIpConditionConfig{Values: c.Values}
		case "query-string":
			r.QueryStringConfig = &shape.QueryStringConditionConfig{}
			for _, q := range c.Query {
				r.QueryStringConfig.Values = append(r.QueryStringConfig.Values, shape.QueryStringKeyValuePair{Key: q.Key, Value: q.Value})
			}
		}
		out = append(out, r)
	}
	return out
}
