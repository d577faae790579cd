package preflight

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// ecsService is what we read of an ECS service.
type ecsService struct {
	Name       string `json:"serviceName"`
	Status     string `json:"status"`
	Desired    int    `json:"desiredCount"`
	Controller struct {
		Type string `json:"type"`
	} `json:"deploymentController"`
	TaskSets []struct {
		Status        string `json:"status"`
		Definition    string `json:"taskDefinition"`
		LoadBalancers []struct {
			TargetGroup string `json:"targetGroupArn"`
		} `json:"loadBalancers"`
	} `json:"taskSets"`
}

// primary are the target group and the task definition of the task set that serves; empty where there is none.
func (s ecsService) primary() (targetGroup, definition string) {
	for _, t := range s.TaskSets {
		if t.Status != "PRIMARY" {
			continue
		}
		if len(t.LoadBalancers) > 0 {
			targetGroup = t.LoadBalancers[0].TargetGroup
		}
		return targetGroup, t.Definition
	}
	return "", ""
}

// routing looks at the service, the target groups and the listeners, and whether they fit together.
func (l *ahead) routing(ctx context.Context) error {
	cluster, name := l.group.service()
	var out struct {
		Services []ecsService `json:"services"`
	}
	where := "ECS service " + cluster + "/" + name
	if err := l.c.JSON(ctx, serviceECS, prefixECS+"DescribeServices", map[string]any{"cluster": cluster, "services": []string{name}}, &out); err != nil {
		if named(err, "ClusterNotFound") {
			l.add(LevelError, where, "its cluster does not exist", "aws ecs create-cluster --cluster-name "+quote(cluster))
			return nil
		}
		return l.blind(where, err)
	}
	switch {
	case len(out.Services) == 0 || out.Services[0].Status != "ACTIVE":
		l.add(LevelError, where, "does not exist, or is not ACTIVE", "aws ecs create-service --cluster "+quote(cluster)+" --service-name "+quote(name)+
			" --deployment-controller type=CODE_DEPLOY …")
		return nil
	case out.Services[0].Controller.Type != "CODE_DEPLOY":
		l.add(LevelError, where, "has the deployment controller "+orElse(out.Services[0].Controller.Type, "ECS")+", not CODE_DEPLOY",
			"make it again: the controller of a service cannot change")
		return nil
	case out.Services[0].Desired == 0:
		l.add(LevelWarning, where, "wants 0 tasks: the new version will have none either, and nothing proves it",
			"aws ecs update-service --cluster "+quote(cluster)+" --service "+quote(name)+" --desired-count 1")
	}
	primary, _ := out.Services[0].primary()
	return l.pair(ctx, where, primary)
}

// pair looks at the two target groups, and whether the service serves from one of them.
func (l *ahead) pair(ctx context.Context, service, primary string) error {
	production, test, names := l.group.listeners()
	arns := map[string]string{} // by name
	for _, name := range names {
		arn, err := l.targetGroup(ctx, name)
		if err != nil {
			return err
		}
		arns[name] = arn
	}
	if len(names) == 0 || slices.Contains(valuesOf(arns), "") {
		return nil // it was said
	}
	if primary == "" {
		l.add(LevelError, service, "has no primary task set in a target group", "give it a load balancer: aws ecs create-service --load-balancers targetGroupArn="+arns[names[0]]+",…")
		return nil
	}
	if !slices.Contains(valuesOf(arns), primary) {
		l.add(LevelError, service, "serves from target group "+primary+", which is none of the deployment group's: "+strings.Join(names, ", "),
			"name the service's target group in loadBalancerInfo: aws deploy update-deployment-group --application-name "+quote(l.application)+
				" --current-deployment-group-name "+quote(l.groupName)+" --load-balancer-info …")
		return nil
	}
	if err := l.productionListener(ctx, production, primary); err != nil {
		return err
	}
	return l.testListener(ctx, test)
}

func valuesOf(m map[string]string) []string {
	var values []string
	for _, v := range m {
		values = append(values, v)
	}
	return values
}

// targetGroup is the ARN of a target group; empty where it does not exist, which is a finding.
func (l *ahead) targetGroup(ctx context.Context, name string) (string, error) {
	var out struct {
		ARNs []string `xml:"DescribeTargetGroupsResult>TargetGroups>member>TargetGroupArn"`
	}
	err := l.c.Query(ctx, serviceELB, versionELB, url.Values{"Action": {"DescribeTargetGroups"}, "Names.member.1": {name}}, &out)
	switch {
	case named(err, "TargetGroupNotFound") || err == nil && len(out.ARNs) == 0:
		l.add(LevelError, "target group "+name, "does not exist", "aws elbv2 create-target-group --name "+quote(name)+" --target-type ip --protocol HTTP --port 80 --vpc-id …")
		return "", nil
	case err != nil:
		return "", l.blind("target group "+name, err)
	}
	return out.ARNs[0], nil
}

// elbAction is what we read of an action of a listener or a rule.
type elbAction struct {
	TargetGroup string `xml:"TargetGroupArn"`
	Forward     []struct {
		TargetGroup string `xml:"TargetGroupArn"`
		Weight      *int   `xml:"Weight"`
	} `xml:"ForwardConfig>TargetGroups>member"`
}

// serves reports whether an action sends traffic to a target group.
func (a elbAction) serves(arn string) bool {
	for _, g := range a.Forward {
		if g.TargetGroup == arn {
			return g.Weight == nil || *g.Weight > 0
		}
	}
	return len(a.Forward) == 0 && a.TargetGroup == arn
}

type elbListener struct {
	ARN          string      `xml:"ListenerArn"`
	LoadBalancer string      `xml:"LoadBalancerArn"`
	Protocol     string      `xml:"Protocol"`
	Actions      []elbAction `xml:"DefaultActions>member"`
}

// listener reads one; false where it does not exist, which is a finding.
func (l *ahead) listener(ctx context.Context, what, arn string) (elbListener, bool, error) {
	var out struct {
		Listeners []elbListener `xml:"DescribeListenersResult>Listeners>member"`
	}
	err := l.c.Query(ctx, serviceELB, versionELB, url.Values{"Action": {"DescribeListeners"}, "ListenerArns.member.1": {arn}}, &out)
	switch {
	case named(err, "ListenerNotFound") || err == nil && len(out.Listeners) == 0:
		l.add(LevelError, what+" "+arn, "does not exist", "aws elbv2 create-listener …, then name it: aws deploy update-deployment-group --application-name "+
			quote(l.application)+" --current-deployment-group-name "+quote(l.groupName)+" --load-balancer-info …")
		return elbListener{}, false, nil
	case err != nil:
		return elbListener{}, false, l.blind(what+" "+arn, err)
	}
	return out.Listeners[0], true, nil
}

// productionListener must send traffic to where the service serves, by its default action or by a rule.
func (l *ahead) productionListener(ctx context.Context, arn, primary string) error {
	found, ok, err := l.listener(ctx, "production listener", arn)
	if err != nil || !ok {
		return err
	}
	actions := found.Actions
	var rules struct {
		Actions []elbAction `xml:"DescribeRulesResult>Rules>member>Actions>member"`
	}
	if err := l.c.Query(ctx, serviceELB, versionELB, url.Values{"Action": {"DescribeRules"}, "ListenerArn": {arn}}, &rules); err != nil {
		if err := l.blind("rules of "+arn, err); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(append(actions, rules.Actions...), func(a elbAction) bool { return a.serves(primary) }) {
		return nil
	}
	l.add(LevelError, "production listener "+arn, "does not forward to "+primary+", in which the service serves: the deployment would fail with ECS_UPDATE_ERROR",
		fmt.Sprintf("aws elbv2 modify-listener --listener-arn %s --default-actions Type=forward,TargetGroupArn=%s", arn, primary))
	return nil
}

// testListener only has to be there: a deployment points it where it must.
func (l *ahead) testListener(ctx context.Context, arn string) error {
	if arn == "" {
		return nil
	}
	_, _, err := l.listener(ctx, "test listener", arn)
	return err
}
