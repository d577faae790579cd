package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"greengate/internal/appspec"
	"greengate/internal/deploy"
)

// alarms must exist and not be in ALARM: either would stop the deployment as soon as it begins.
func (l *ahead) alarms(ctx context.Context) error {
	if !l.group.Alarms.Enabled {
		return nil
	}
	for _, a := range l.group.Alarms.Alarms {
		var out struct {
			States []string `xml:"DescribeAlarmsResult>MetricAlarms>member>StateValue"`
		}
		where := "alarm " + a.Name
		err := l.c.Query(ctx, serviceAlarms, versionAlarms, url.Values{"Action": {"DescribeAlarms"}, "AlarmNames.member.1": {a.Name}}, &out)
		switch {
		case err != nil:
			if err := l.blind(where, err); err != nil {
				return err
			}
		case len(out.States) == 0 && l.group.Alarms.IgnorePollFailure:
			l.add(LevelWarning, where, "does not exist; the deployment group ignores that", "aws cloudwatch put-metric-alarm --alarm-name "+quote(a.Name)+" …")
		case len(out.States) == 0:
			l.add(LevelError, where, "does not exist, so that it cannot be watched: the deployment would end as soon as it begins",
				"aws cloudwatch put-metric-alarm --alarm-name "+quote(a.Name)+" …")
		case out.States[0] == "ALARM":
			l.add(LevelError, where, "is in ALARM: the deployment would be stopped as soon as it begins",
				"see why: aws cloudwatch describe-alarm-history --alarm-name "+quote(a.Name))
		}
	}
	return nil
}

// functionInfo is what we read of a function.
type functionInfo struct {
	Configuration struct {
		ARN  string `json:"FunctionArn"`
		Role string `json:"Role"`
	} `json:"Configuration"`
}

// hooks looks at each hook of the AppSpec file: the function, both permissions, and which version it would test.
func (l *ahead) hooks(ctx context.Context) error {
	for _, h := range l.r.Spec.Hooks {
		where := l.r.Where(h)
		if !l.tests(h, where) {
			continue
		}
		if h.Kind != deploy.HookFunction {
			l.registered(h, where)
			continue
		}
		var f functionInfo
		exists, err := l.c.Function(ctx, h.Name, &f)
		if err != nil {
			if err := l.blind("function "+h.Name, err); err != nil {
				return err
			}
			continue
		}
		if !exists {
			l.add(LevelError, where, "the function "+h.Name+" does not exist", "aws lambda create-function --function-name "+quote(FunctionName(h.Name))+
				" --runtime python3.12 --handler index.handler --role ROLE_ARN --zip-file fileb://function.zip")
			continue
		}
		if err := l.permissions(ctx, where, f); err != nil {
			return err
		}
	}
	return nil
}

// registered says whether a hook that is no function could run.
func (l *ahead) registered(h appspec.Hook, where string) {
	fault, asked := l.unable[h.Event]
	if !asked {
		fault = fmt.Sprintf("no %s %q is registered with the service", h.Kind, h.Name)
	}
	if fault != "" {
		l.add(LevelError, where, fault+": the deployment would fail with INVALID_REVISION", "name a function, or add the hook to the file of serve --hooks")
	}
}

// FunctionName is the bare name of a function from how an AppSpec file names it.
func FunctionName(ref string) string {
	if i := strings.Index(ref, "function:"); i >= 0 {
		ref = ref[i+len("function:"):]
	}
	name, _, _ := strings.Cut(ref, ":")
	return name
}

// tests says which version the test listener would serve to a hook; false where the hook would not run.
func (l *ahead) tests(h appspec.Hook, where string) bool {
	_, test, _ := l.group.listeners()
	switch {
	case test == "" && h.Event == deploy.PhaseAfterAllowTestTraffic:
		l.add(LevelWarning, where, "the deployment group has no test listener, so that "+string(h.Event)+" does not take place and its hook never runs",
			"give the group a testTrafficRoute (aws deploy update-deployment-group --load-balancer-info …), or hook AfterInstall")
		return false
	case test == "" && (h.Event == deploy.PhaseAfterInstall || h.Event == deploy.PhaseBeforeAllowTraffic):
		l.add(LevelNote, where, "without a test listener a hook at "+string(h.Event)+" reaches the new version only by the addresses of its tasks", "give the group a testTrafficRoute")
	case h.Event == deploy.PhaseBeforeInstall:
		l.add(LevelNote, where, "at BeforeInstall the new version does not run: both listeners serve the old one", "")
	case h.Event == deploy.PhaseAfterInstall && l.strict:
		mend := "hook AfterAllowTestTraffic"
		if l.own {
			mend += ", or take the tag greengate:test-traffic=strict off the group (serve --compat aws is strict for all)"
		}
		l.add(LevelWarning, where, "at AfterInstall the test listener still serves the old version: a test of it would pass or fail for the wrong version", mend)
	case h.Event == deploy.PhaseAfterAllowTraffic:
		l.add(LevelNote, where, "at AfterAllowTraffic the new version has production traffic already; a hook before AllowTraffic keeps a bad one away from it", "")
	}
	return true
}

// permissions asks both: the service role must be allowed to invoke the function, and the function's role to report.
func (l *ahead) permissions(ctx context.Context, where string, f functionInfo) error {
	asks := []struct{ role, service, action, on, without string }{
		{l.group.ServiceRole, "codedeploy.amazonaws.com", "lambda:InvokeFunction", f.Configuration.ARN, "the deployment would fail with IAM_ROLE_PERMISSIONS"},
		{
			f.Configuration.Role, "lambda.amazonaws.com", "codedeploy:PutLifecycleEventHookExecutionStatus", l.groupARN(f.Configuration.ARN),
			"the function could not report, and the deployment would wait for it in vain",
		},
	}
	for _, q := range asks {
		if err := l.trust(ctx, where, q.role, q.service); err != nil {
			return err
		}
		allowed, err := l.allowed(ctx, q.role, q.action, q.on)
		switch {
		case named(err, "NoSuchEntity"):
			l.add(LevelError, where, "the role "+q.role+" does not exist",
				"aws iam create-role --role-name "+quote(roleName(q.role))+" --assume-role-policy-document "+quote(trustPolicy(q.service)))
		case err != nil:
			if err := l.blind("permission "+q.action+" of "+q.role, err); err != nil {
				return err
			}
		case !allowed:
			l.add(LevelError, where, "the role "+q.role+" does not allow "+q.action+" on "+q.on+": "+q.without, grant(q.role, q.action, q.on))
		}
	}
	return nil
}

// trust looks whether a role lets a service take it on. A role that is not there is another finding.
func (l *ahead) trust(ctx context.Context, where, role, service string) error {
	var out struct {
		Document string `xml:"GetRoleResult>Role>AssumeRolePolicyDocument"`
	}
	err := l.c.Query(ctx, serviceIAM, versionIAM, url.Values{"Action": {"GetRole"}, "RoleName": {roleName(role)}}, &out)
	if named(err, "NoSuchEntity") {
		return nil
	}
	if err != nil {
		return l.blind("trust policy of "+role, err)
	}
	switch trusted, err := trusts(out.Document, service); {
	case err != nil:
		l.add(LevelNote, where, "the trust policy of "+role+" was not understood: "+err.Error(), "")
	case !trusted:
		l.add(LevelError, where, "the role "+role+" does not trust "+service+", which would have to take it on",
			"aws iam update-assume-role-policy --role-name "+quote(roleName(role))+" --policy-document "+quote(trustPolicy(service)))
	}
	return nil
}

// trusts reports whether a trust policy, escaped as GetRole has it, allows a service to assume its role. Conditions are not
// looked at.
func trusts(escaped, service string) (bool, error) {
	text, err := url.QueryUnescape(escaped)
	if err != nil {
		return false, fmt.Errorf("unescape policy: %w", err)
	}
	var policy struct {
		Statement oneOrMore[struct {
			Effect    string
			Principal struct{ Service oneOrMore[string] }
			Action    oneOrMore[string]
		}]
	}
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		return false, fmt.Errorf("decode policy: %w", err)
	}
	name, domain, _ := strings.Cut(service, ".")
	isService := func(s string) bool { return strings.HasPrefix(s, name+".") && strings.HasSuffix(s, domain) } // or with a region between
	assumes := func(s string) bool { return s == "sts:AssumeRole" || s == "sts:*" || s == "*" }
	for _, s := range policy.Statement {
		if s.Effect == "Allow" && slices.ContainsFunc(s.Principal.Service, isService) && slices.ContainsFunc(s.Action, assumes) {
			return true, nil
		}
	}
	return false, nil
}

// oneOrMore is a member of a policy that may stand alone or in a list.
type oneOrMore[T any] []T

// UnmarshalJSON implements json.Unmarshaler.
func (m *oneOrMore[T]) UnmarshalJSON(data []byte) error {
	var list []T
	if json.Unmarshal(data, &list) == nil {
		*m = list
		return nil
	}
	var one T
	if err := json.Unmarshal(data, &one); err != nil {
		return fmt.Errorf("decode policy: %w", err)
	}
	*m = []T{one}
	return nil
}

func trustPolicy(service string) string {
	return `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "` + service + `"}, "Action": "sts:AssumeRole"}]}`
}

// allowed asks IAM what it would say (SimulatePrincipalPolicy).
func (l *ahead) allowed(ctx context.Context, role, action, on string) (bool, error) {
	var out struct {
		Decisions []string `xml:"SimulatePrincipalPolicyResult>EvaluationResults>member>EvalDecision"`
	}
	form := url.Values{
		"Action": {"SimulatePrincipalPolicy"}, "PolicySourceArn": {role}, "ActionNames.member.1": {action}, "ResourceArns.member.1": {on},
	}
	if err := l.c.Query(ctx, serviceIAM, versionIAM, form, &out); err != nil {
		return false, err
	}
	return len(out.Decisions) == 1 && out.Decisions[0] == "allowed", nil
}

// groupARN is the ARN of the deployment group, in the partition, region and account of a function of the same pipeline.
func (l *ahead) groupARN(function string) string {
	p := strings.SplitN(function, ":", 6)
	if len(p) < 6 {
		return "*"
	}
	return strings.Join([]string{p[0], p[1], "codedeploy", p[3], p[4], "deploymentgroup:" + l.application + "/" + l.groupName}, ":")
}

// roleName is the last part of a role's ARN.
func roleName(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// grant is the command that gives a role a permission.
func grant(role, action, on string) string {
	policy, err := json.Marshal(map[string]any{
		"Version": "2012-10-17", "Statement": []map[string]string{{"Effect": "Allow", "Action": action, "Resource": on}},
	})
	if err != nil {
		return "allow " + action + " on " + on // never: it is plain text
	}
	name := "greengate-" + strings.ToLower(action[strings.IndexByte(action, ':')+1:])
	return "aws iam put-role-policy --role-name " + quote(roleName(role)) + " --policy-name " + name + " --policy-document " + quote(string(policy))
}
