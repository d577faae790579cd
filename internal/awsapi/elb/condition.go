package elb

import (
	"strings"

	"greengate/internal/awsapi"
	shape "greengate/internal/awsapi/shapes/elbv2"
	"greengate/internal/cloud"
)

// Limits of the values of conditions ("Condition types for listener rules" of the guide to Application Load Balancers).
const (
	maxValue      = 128
	maxMethod     = 40
	maxHeaderName = 40
)

func badCondition(format string, args ...any) error {
	return awsapi.Fault("ValidationError", format, args...)
}

// conditions reads those of a rule. Fits has the last word on their values.
func conditions(in []shape.RuleCondition) ([]cloud.RuleCondition, error) {
	var out []cloud.RuleCondition
	values := 0
	for _, c := range in {
		r, err := condition(c)
		if err != nil {
			return nil, err
		}
		if len(r.Values)+len(r.Query) == 0 {
			return nil, badCondition("A condition value must be specified")
		}
		if err := checkValues(r); err != nil {
			return nil, err
		}
		values += len(r.Values) + len(r.Query)
		out = append(out, r)
	}
	if len(out) == 0 {
		return nil, badCondition("A condition must be specified")
	}
	if values > maxConditions {
		return nil, badCondition("A rule has at most %d condition values", maxConditions)
	}
	return out, nil
}

// condition reads one, whose values stand in Values or in the configuration of its field.
func condition(c shape.RuleCondition) (cloud.RuleCondition, error) {
	r := cloud.RuleCondition{Field: c.Field, Values: c.Values}
	if len(c.RegexValues) > 0 {
		return r, badCondition("Regular expressions in conditions are not served; use Values with * and ?")
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
		if r.Values = c.SourceIpConfig.Values; len(r.Values) == 0 {
			return r, badCondition("A 'source-ip' value must be specified")
		}
	case c.Field == "query-string" && c.QueryStringConfig != nil:
		for _, q := range c.QueryStringConfig.Values {
			r.Query = append(r.Query, cloud.KeyValue{Key: q.Key, Value: q.Value})
		}
	case c.Field == "host-header" || c.Field == "path-pattern":
	default:
		config, ok := map[string]string{
			"http-header": "HttpHeaderConfig", "http-request-method": "HttpRequestMethodConfig", "source-ip": "SourceIpConfig", "query-string": "QueryStringConfig",
		}[c.Field]
		if !ok {
			return r, badCondition("Condition field '%s' must be one of '[path-pattern, host-header, http-header, http-request-method, query-string, source-ip]'", c.Field)
		}
		return r, badCondition("A '%s' must be specified with '%s'", config, c.Field)
	}
	return r, nil
}

// checkValues words what is wrong with the values of a condition.
func checkValues(r cloud.RuleCondition) error {
	limit := maxValue
	if r.Field == "http-request-method" {
		limit = maxMethod
	}
	if len(r.Header) > maxHeaderName {
		return badCondition("The 'HttpHeaderName' value is too long; the limit is '%d'", maxHeaderName)
	}
	for _, v := range r.Values {
		if len(v) > limit {
			return badCondition("The '%s' value is too long; the limit is '%d'", r.Field, limit)
		}
		if r.Field == "http-request-method" && strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" {
			return badCondition("The 'http-request-method' value is invalid; the allowed characters are A-Z, hyphen and underscore")
		}
	}
	for _, q := range r.Query {
		switch {
		case len(q.Key) > maxValue:
			return badCondition("The 'Key' value is too long; the limit is '%d'", maxValue)
		case len(q.Value) > maxValue:
			return badCondition("The 'Value' value is too long; the limit is '%d'", maxValue)
		case q.Value == "":
			return badCondition("A 'Value' must be specified in 'QueryStringKeyValuePair'")
		}
	}
	return nil
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
