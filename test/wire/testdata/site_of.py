"""What every story begins with: a load balancer with two listeners, two target groups, a service that runs version v1, and
its application and deployment group. It follows the tutorial "Creating a service using a blue/green deployment"."""
import json
import re
import os
import sys
import time
import urllib.request

import boto3
import botocore.exceptions

iam, ecs, elb, cd = boto3.client("iam"), boto3.client("ecs"), boto3.client("elbv2"), boto3.client("codedeploy")
SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "server.py")


def refused(code, call, **kwargs):
    try:
        call(**kwargs)
    except botocore.exceptions.ClientError as e:
        got = e.response["Error"]["Code"]
        assert got == code, f"{call.__name__}: {got}, want {code}: {e}"
        return e.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__} was not refused with {code}")


def get(address, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{address}/", headers=headers), timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as e:
        return e.code


def until(what, look, limit=60):
    """Asks at first often, then five times a second: many stories wait beside each other."""
    end, pause = time.monotonic() + limit, 0.05
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(pause)
        pause = min(1.5 * pause, 0.2)
    raise AssertionError(f"not seen within {limit} s: {what}; last: {found!r}")


def role(name, service, attach=(), **inline):
    """A role that a service takes on; stories share those of a name."""
    try:
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": service + ".amazonaws.com"}, "Action": "sts:AssumeRole"}]}))
    except iam.exceptions.EntityAlreadyExistsException:
        pass
    for policy in attach:
        iam.attach_role_policy(RoleName=name, PolicyArn="arn:aws:iam::aws:policy/" + policy)
    for policy, statement in inline.items():
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document(statement))
    return "arn:aws:iam::000000000000:role/" + name


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **other):
    return {"Effect": "Allow", "Action": action, "Resource": resource, **other}


REPORT = "codedeploy:PutLifecycleEventHookExecutionStatus"


def hook_role():
    return role("hook", "lambda", ["service-role/AWSLambdaBasicExecutionRole"], report=allow(REPORT))


class Site:
    def __init__(self, name, test=True, desired=2, group=None):
        self.name = name
        self.role = role("codedeploy", "codedeploy", ["AWSCodeDeployRoleForECS"])
        self.lb = elb.create_load_balancer(Name=name, Subnets=["subnet-a", "subnet-b"], SecurityGroups=["sg-1"])["LoadBalancers"][0]
        lb = self.lb["LoadBalancerArn"]
        self.groups = [self.target_group(f"{name}-t1"), self.target_group(f"{name}-t2")]
        self.production, self.arn = self.listener(80)
        self.test, self.test_arn = self.listener(8080) if test else (None, None)
        ecs.create_cluster(clusterName="c")
        ecs.create_service(
            cluster="c", serviceName=name, taskDefinition=self.task("v1"), desiredCount=desired, launchType="FARGATE", schedulingStrategy="REPLICA",
            deploymentController={"type": "CODE_DEPLOY"}, platformVersion="LATEST",
            loadBalancers=[{"targetGroupArn": self.groups[0], "containerName": "app", "containerPort": 80}],
            networkConfiguration={"awsvpcConfiguration": {"assignPublicIp": "ENABLED", "securityGroups": ["sg-1"], "subnets": ["subnet-a", "subnet-b"]}})
        cd.create_application(applicationName=name, computePlatform="ECS")
        cd.create_deployment_group(**self.group(**(group or {})))
        until("v1 answers", lambda: get(self.production) == "v1")
        until("v1 is steady", lambda: self.sets()[0]["stabilityStatus"] == "STEADY_STATE")

    def target_group(self, name):
        return elb.create_target_group(
            Name=name, Protocol="HTTP", Port=80, TargetType="ip", VpcId="vpc-1", HealthCheckPath="/healthz", HealthCheckIntervalSeconds=5,
            HealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]

    def listener(self, port):
        arn = elb.create_listener(LoadBalancerArn=self.lb["LoadBalancerArn"], Protocol="HTTP", Port=port, DefaultActions=[
            {"Type": "forward", "TargetGroupArn": self.groups[0]}])["Listeners"][0]["ListenerArn"]
        return f'{self.lb["DNSName"]}:{port}', arn

    def task(self, version):
        return ecs.register_task_definition(
            family=self.name, networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512",
            containerDefinitions=[{
                "name": "app", "image": "process:", "essential": True, "entryPoint": [sys.executable], "command": [SERVER], "stopTimeout": 2,
                "portMappings": [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}],
                "environment": [{"name": "VERSION", "value": version}]}])["taskDefinition"]["taskDefinitionArn"]

    def group(self, **other):
        pair = {"targetGroups": [{"name": f"{self.name}-t1"}, {"name": f"{self.name}-t2"}], "prodTrafficRoute": {"listenerArns": [self.arn]}}
        if self.test_arn:
            pair["testTrafficRoute"] = {"listenerArns": [self.test_arn]}
        return dict(
            applicationName=self.name, deploymentGroupName="g", serviceRoleArn=self.role,
            deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            blueGreenDeploymentConfiguration={
                "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0},
                "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 0}},
            loadBalancerInfo={"targetGroupPairInfoList": [pair]},
            ecsServices=[{"clusterName": "c", "serviceName": self.name}]) | other

    def change(self, **members):
        cd.update_deployment_group(applicationName=self.name, currentDeploymentGroupName="g", **members)

    def waits(self, ready=0, termination=0):
        self.change(blueGreenDeploymentConfiguration={
            "deploymentReadyOption": {"actionOnTimeout": "STOP_DEPLOYMENT" if ready else "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": ready},
            "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": termination}})

    def appspec(self, task, **hooks):
        spec = {"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {
            "TaskDefinition": task, "LoadBalancerInfo": {"ContainerName": "app", "ContainerPort": 80}}}}]}
        if hooks:
            spec["Hooks"] = [{event: function} for event, function in hooks.items()]
        return json.dumps(spec)

    def deploy(self, version="v2", content=None, hooks=None, **other):
        content = content or self.appspec(self.task(version), **(hooks or {}))
        return cd.create_deployment(applicationName=self.name, deploymentGroupName="g", revision={
            "revisionType": "AppSpecContent", "appSpecContent": {"content": content}}, **other)["deploymentId"]

    def sets(self):
        return ecs.describe_services(cluster="c", services=[self.name])["services"][0]["taskSets"]

    def target(self, id):
        return cd.get_deployment_target(deploymentId=id, targetId=f"c:{self.name}")["deploymentTarget"]["ecsTarget"]

    def events(self, id):
        """Each lifecycle event with its status; none before the deployment has started."""
        if info(id)["status"] == "Created":
            return {}
        return {e["lifecycleEventName"]: e["status"] for e in self.target(id)["lifecycleEvents"]}

    def weights(self):
        action = elb.describe_listeners(ListenerArns=[self.arn])["Listeners"][0]["DefaultActions"][0]
        return {g["TargetGroupArn"].split("/")[1].rsplit("-", 1)[1]: g["Weight"] for g in action["ForwardConfig"]["TargetGroups"]}


def info(id):
    return cd.get_deployment(deploymentId=id)["deploymentInfo"]


def ended(id, limit=90):
    return until(f"{id} has ended", lambda: (d := info(id))["status"] in ("Succeeded", "Failed", "Stopped") and d, limit)
