"""Drives the ELBv2 operations with boto3, as the tutorials, Terraform and hook functions do."""
import boto3
import botocore.exceptions

elb = boto3.client("elbv2")


def refused(code, call, **kwargs):
    try:
        call(**kwargs)
    except botocore.exceptions.ClientError as e:
        got = e.response["Error"]["Code"]
        assert got == code, f"{call.__name__}: {got}, want {code}: {e}"
        return e.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__} was not refused with {code}")


lb = elb.create_load_balancer(Name="bluegreen-alb", Subnets=["subnet-a", "subnet-b"], SecurityGroups=["sg-1"])["LoadBalancers"][0]
assert lb["State"]["Code"] == "active" and lb["DNSName"].startswith("127.77.") and len(lb["AvailabilityZones"]) == 2, lb
again = elb.create_load_balancer(Name="bluegreen-alb", Subnets=["subnet-a", "subnet-b"], SecurityGroups=["sg-1"])["LoadBalancers"][0]
assert again["LoadBalancerArn"] == lb["LoadBalancerArn"]
refused("DuplicateLoadBalancerName", elb.create_load_balancer, Name="bluegreen-alb", Subnets=["subnet-x"])
other = elb.create_load_balancer(Name="other", Type="network", Subnets=["subnet-a"])["LoadBalancers"][0]
assert other["DNSName"] != lb["DNSName"] and "/net/" in other["LoadBalancerArn"]
refused("ValidationError", elb.create_load_balancer, Name="-bad", Subnets=["subnet-a"])

groups = {}
for name in ("t1", "t2"):
    g = elb.create_target_group(Name=name, Protocol="HTTP", Port=80, TargetType="ip", VpcId="vpc-1", HealthCheckPath="/healthz")["TargetGroups"][0]
    assert g["HealthCheckPath"] == "/healthz" and g["HealthCheckIntervalSeconds"] == 30 and g["Matcher"]["HttpCode"] == "200", g
    groups[name] = g["TargetGroupArn"]
refused("DuplicateTargetGroupName", elb.create_target_group, Name="t1", Protocol="HTTP", Port=81, TargetType="ip", VpcId="vpc-1")
refused("TargetGroupNotFound", elb.describe_target_groups, Names=["nope"])
slow = dict(Port=80, VpcId="vpc-1", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=5)
said = refused("ValidationError", elb.create_target_group, Name="slow", Protocol="HTTP", **slow)
assert said == "Health check timeout '5' must be smaller than the interval '5'", said
said = refused("ValidationError", elb.create_target_group, Name="slow", Protocol="TCP", **{**slow, "HealthCheckTimeoutSeconds": 6})
assert said == "Health check timeout '6' must be smaller than or equal to the interval '5'", said
refused("ValidationError", elb.modify_target_group, TargetGroupArn=groups["t1"], HealthCheckTimeoutSeconds=30)

actions = [{"Type": "forward", "TargetGroupArn": groups["t1"]}]
listener = elb.create_listener(LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=actions)["Listeners"][0]
arn = listener["ListenerArn"]
default = listener["DefaultActions"][0]
assert default["TargetGroupArn"] == groups["t1"] and default["ForwardConfig"]["TargetGroups"][0]["TargetGroupArn"] == groups["t1"], default
refused("DuplicateListener", elb.create_listener, LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=actions)
refused("UnsupportedProtocol", elb.create_listener, LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTPS", Port=443, DefaultActions=actions)
assert elb.describe_target_groups(LoadBalancerArn=lb["LoadBalancerArn"])["TargetGroups"][0]["TargetGroupName"] == "t1"
assert "currently in use by a listener or a rule" in refused("ResourceInUse", elb.delete_target_group, TargetGroupArn=groups["t1"])

weighted = [{"Type": "forward", "ForwardConfig": {"TargetGroups": [
    {"TargetGroupArn": groups["t1"], "Weight": 90}, {"TargetGroupArn": groups["t2"], "Weight": 10}]}}]
changed = elb.modify_listener(ListenerArn=arn, DefaultActions=weighted)["Listeners"][0]["DefaultActions"][0]
assert "TargetGroupArn" not in changed and [g["Weight"] for g in changed["ForwardConfig"]["TargetGroups"]] == [90, 10], changed

rule = elb.create_rule(ListenerArn=arn, Priority=10, Actions=actions, Conditions=[
    {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Canary", "Values": ["yes"]}}])["Rules"][0]
refused("PriorityInUse", elb.create_rule, ListenerArn=arn, Priority=10, Actions=actions, Conditions=[{"Field": "path-pattern", "Values": ["/x"]}])
rules = elb.describe_rules(ListenerArn=arn)["Rules"]
assert [r["Priority"] for r in rules] == ["10", "default"] and rules[1]["IsDefault"] and rules[1]["Actions"][0]["ForwardConfig"], rules
assert elb.describe_rules(RuleArns=[rules[1]["RuleArn"]])["Rules"][0]["IsDefault"]
# What the data plane would refuse is not taken, whoever notices: one table serves all.
for condition, said in (
        ({"Field": "path-pattern", "Values": ["x" * 129]}, "The 'path-pattern' value is too long; the limit is '128'"),
        ({"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "x" * 41, "Values": ["y"]}}, "The 'HttpHeaderName' value is too long; the limit is '40'"),
        ({"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["get"]}},
         "The 'http-request-method' value is invalid; the allowed characters are A-Z, hyphen and underscore"),
        ({"Field": "http-request-method"}, "A 'HttpRequestMethodConfig' must be specified with 'http-request-method'"),
        ({"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "k"}]}}, "A 'Value' must be specified in 'QueryStringKeyValuePair'"),
        ({"Field": "query-string", "QueryStringConfig": {"Values": [{"Value": "v" * 129}]}}, "The 'Value' value is too long; the limit is '128'"),
        ({"Field": "source-ip", "SourceIpConfig": {"Values": []}}, "A 'source-ip' value must be specified")):
    got = refused("ValidationError", elb.create_rule, ListenerArn=arn, Priority=11, Actions=actions, Conditions=[condition])
    assert got == said, got
blank = [{"Field": "path-pattern", "Values": ["/no good"]}]
assert "has a blank" in refused("InvalidConfigurationRequest", elb.create_rule, ListenerArn=arn, Priority=11, Actions=actions, Conditions=blank)
refused("InvalidConfigurationRequest", elb.modify_rule, RuleArn=rule["RuleArn"], Conditions=blank)
assert [r["Priority"] for r in elb.describe_rules(ListenerArn=arn)["Rules"]] == ["10", "default"]
elb.set_rule_priorities(RulePriorities=[{"RuleArn": rule["RuleArn"], "Priority": 20}])
fixed = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "418", "ContentType": "text/plain", "MessageBody": "tea"}}]
assert elb.modify_rule(RuleArn=rule["RuleArn"], Actions=fixed)["Rules"][0]["Actions"][0]["FixedResponseConfig"]["MessageBody"] == "tea"
redirect = [{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Host": "example.com"}}]
assert elb.modify_rule(RuleArn=rule["RuleArn"], Actions=redirect)["Rules"][0]["Actions"][0]["RedirectConfig"]["Path"] == "/#{path}"
refused("OperationNotPermitted", elb.delete_rule, RuleArn=rules[1]["RuleArn"])
elb.delete_rule(RuleArn=rule["RuleArn"])
refused("RuleNotFound", elb.describe_rules, RuleArns=[rule["RuleArn"]])

elb.register_targets(TargetGroupArn=groups["t2"], Targets=[{"Id": "127.0.0.9", "Port": 9999}])
assert elb.describe_target_health(TargetGroupArn=groups["t2"])["TargetHealthDescriptions"][0]["Target"] == {"Id": "127.0.0.9", "Port": 9999}
elb.deregister_targets(TargetGroupArn=groups["t2"], Targets=[{"Id": "127.0.0.9"}])
assert elb.describe_target_health(TargetGroupArn=groups["t2"])["TargetHealthDescriptions"] == []
gone = elb.describe_target_health(TargetGroupArn=groups["t2"], Targets=[{"Id": "127.0.0.9"}])["TargetHealthDescriptions"]
assert gone == [{"Target": {"Id": "127.0.0.9", "Port": 80}, "HealthCheckPort": "80", "TargetHealth": {
    "State": "unused", "Reason": "Target.NotRegistered", "Description": "Target is not registered to the target group"}}], gone
refused("InvalidTarget", elb.register_targets, TargetGroupArn=groups["t2"], Targets=[{"Id": "i-123"}])

elb.modify_target_group_attributes(TargetGroupArn=groups["t1"], Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}])
attributes = {a["Key"]: a["Value"] for a in elb.describe_target_group_attributes(TargetGroupArn=groups["t1"])["Attributes"]}
assert attributes["deregistration_delay.timeout_seconds"] == "5" and attributes["stickiness.enabled"] == "false", attributes
elb.modify_load_balancer_attributes(LoadBalancerArn=lb["LoadBalancerArn"], Attributes=[{"Key": "deletion_protection.enabled", "Value": "true"}])
refused("OperationNotPermitted", elb.delete_load_balancer, LoadBalancerArn=lb["LoadBalancerArn"])
elb.modify_load_balancer_attributes(LoadBalancerArn=lb["LoadBalancerArn"], Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}])
assert elb.describe_listener_attributes(ListenerArn=arn)["Attributes"]

for target in (lb["LoadBalancerArn"], groups["t1"], arn):
    elb.add_tags(ResourceArns=[target], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    elb.remove_tags(ResourceArns=[target], TagKeys=["a"])
    assert elb.describe_tags(ResourceArns=[target])["TagDescriptions"][0]["Tags"] == [{"Key": "b", "Value": "2"}]

page = elb.describe_load_balancers(PageSize=1)
assert len(page["LoadBalancers"]) == 1 and elb.describe_load_balancers(Marker=page["NextMarker"])["LoadBalancers"][0]["LoadBalancerName"] == "other"
refused("LoadBalancerNotFound", elb.describe_load_balancers, Names=["nope"])
elb.delete_load_balancer(LoadBalancerArn=lb["LoadBalancerArn"])
elb.delete_load_balancer(LoadBalancerArn=lb["LoadBalancerArn"])
refused("ListenerNotFound", elb.describe_listeners, ListenerArns=[arn])
for g in groups.values():
    elb.delete_target_group(TargetGroupArn=g)
print("done")
