"""Conformance cases of the CodeDeploy contract, by their numbers there: requests that need no deployment to be answered."""
import os
import re
import urllib.error
import urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from cases import story
from site_of import cd, ecs, refused, Site

CASES = {}
s = group = pair = None  # of the site that the cases ask about


def case(number):
    def note(f):
        assert number not in CASES, number
        CASES[number] = f
        return f
    return note


def bad(code, **change):
    members = {**group, "deploymentGroupName": "bad", **change}
    return refused(code, cd.create_deployment_group, **{k: v for k, v in members.items() if v is not None})


def raw(operation, body):
    request = AWSRequest("POST", os.environ["AWS_ENDPOINT_URL"] + "/", data=body, headers={
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "CodeDeploy_20141006." + operation})
    SigV4Auth(boto3.Session().get_credentials(), "codedeploy", "us-east-1").add_auth(request)
    try:
        urllib.request.urlopen(urllib.request.Request(request.url, data=body.encode(), headers=dict(request.headers)))
    except urllib.error.HTTPError as e:
        return e.read().decode()
    raise AssertionError("not refused")


@case(1)
def _():
    id = cd.create_application(applicationName="a", computePlatform="ECS")["applicationId"]
    assert re.fullmatch(r"[0-9a-f-]{36}", id), id
    a = cd.get_application(applicationName="a")["application"]
    assert a["computePlatform"] == "ECS" and a["createTime"].year >= 2026, a


@case(2)
def _():
    refused("ApplicationAlreadyExistsException", cd.create_application, applicationName="a", computePlatform="ECS")


@case(3)
def _():
    refused("InvalidComputePlatformException", cd.create_application, applicationName="b", computePlatform="Bogus")


@case(4)
def _():
    for name in ("n" * 101, "a b", "a/b"):
        refused("InvalidApplicationNameException", cd.create_application, applicationName=name)


@case(5)
def _():
    try:
        cd.get_application(applicationName="nope")
    except cd.exceptions.ApplicationDoesNotExistException as e:
        meta = e.response["ResponseMetadata"]
        assert meta["HTTPStatusCode"] == 400 and meta["RequestId"], meta
    else:
        raise AssertionError


@case(6)
def _():
    cd.delete_application(applicationName="nope")


@case(7)
def _():
    cd.create_application(applicationName="server")
    assert cd.get_application(applicationName="server")["application"]["computePlatform"] == "Server"


@case(8)
def _():
    names = [n for n in cd.list_deployment_configs()["deploymentConfigsList"] if n.startswith("CodeDeployDefault.ECS")]
    assert sorted(names) == ["CodeDeployDefault.ECS" + n for n in (
        "AllAtOnce", "Canary10Percent15Minutes", "Canary10Percent5Minutes", "Linear10PercentEvery1Minutes", "Linear10PercentEvery3Minutes")], names


@case(9)
def _():
    c = cd.get_deployment_config(deploymentConfigName="CodeDeployDefault.ECSAllAtOnce")["deploymentConfigInfo"]
    assert c["trafficRoutingConfig"]["type"] == "AllAtOnce" and c["computePlatform"] == "ECS", c


@case(10)
def _():
    refused("DeploymentConfigDoesNotExistException", cd.get_deployment_config, deploymentConfigName="CodeDeployDefault.ECSLinear10PercentEvery1Minute")


CANARY = {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 25, "canaryInterval": 45}}


@case(11)
def _():
    assert cd.create_deployment_config(deploymentConfigName="conf-canary", computePlatform="ECS", trafficRoutingConfig=CANARY)["deploymentConfigId"]
    assert cd.get_deployment_config(deploymentConfigName="conf-canary")["deploymentConfigInfo"]["trafficRoutingConfig"] == CANARY


@case(12)
def _():
    refused("DeploymentConfigAlreadyExistsException", cd.create_deployment_config, deploymentConfigName="conf-canary", computePlatform="ECS", trafficRoutingConfig=CANARY)


@case(13)
def _():
    refused("InvalidDeploymentConfigNameException", cd.create_deployment_config, deploymentConfigName="CodeDeployDefault.X", computePlatform="ECS", trafficRoutingConfig=CANARY)


@case(14)
def _():
    refused("InvalidTrafficRoutingConfigurationException", cd.create_deployment_config, deploymentConfigName="x", computePlatform="ECS",
            trafficRoutingConfig={"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 100, "canaryInterval": 1}})


@case(15)
def _():
    refused("InvalidOperationException", cd.delete_deployment_config, deploymentConfigName="CodeDeployDefault.ECSAllAtOnce")


@case(16)
def _():
    s.change(deploymentConfigName="conf-canary")
    refused("DeploymentConfigInUseException", cd.delete_deployment_config, deploymentConfigName="conf-canary")
    s.change(deploymentConfigName="CodeDeployDefault.ECSAllAtOnce")


@case(17)
def _():
    g = cd.get_deployment_group(applicationName=s.name, deploymentGroupName="g")["deploymentGroupInfo"]
    assert g["deploymentGroupId"] and g["computePlatform"] == "ECS" and g["ecsServices"] == group["ecsServices"], g
    assert g["loadBalancerInfo"]["targetGroupPairInfoList"] == [pair], g
    waits = g["blueGreenDeploymentConfiguration"]
    assert waits["deploymentReadyOption"]["waitTimeInMinutes"] == 0 == waits["terminateBlueInstancesOnDeploymentSuccess"]["terminationWaitTimeInMinutes"]


@case(18)
def _():
    bad("InvalidDeploymentStyleException", deploymentStyle=None)
    bad("InvalidDeploymentStyleException", deploymentStyle={"deploymentType": "IN_PLACE", "deploymentOption": "WITH_TRAFFIC_CONTROL"})


@case(19)
def _():
    bad("InvalidLoadBalancerInfoException", loadBalancerInfo=None)


@case(20)
def _():
    bad("InvalidLoadBalancerInfoException", loadBalancerInfo={"elbInfoList": [{"name": "x"}]})
    bad("InvalidLoadBalancerInfoException", loadBalancerInfo={"targetGroupInfoList": [{"name": "x"}]})


@case(21)
def _():
    bad("InvalidBlueGreenDeploymentConfigurationException", blueGreenDeploymentConfiguration=None)


@case(22)
def _():
    bad("InvalidBlueGreenDeploymentConfigurationException", blueGreenDeploymentConfiguration={
        "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 10}})


@case(23)
def _():
    bad("InvalidBlueGreenDeploymentConfigurationException", blueGreenDeploymentConfiguration={
        "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 2881}})


@case(24)
def _():
    message = bad("InvalidTargetGroupPairException", loadBalancerInfo={"targetGroupPairInfoList": [{**pair, "targetGroups": [{"name": "x"}, {"name": "x"}]}]})
    assert "must have distinct target groups" in message


@case(25)
def _():
    bad("InvalidAutoScalingGroupException", autoScalingGroups=["asg"])


@case(26)
def _():
    ecs.create_service(cluster="c", serviceName="rolling", taskDefinition=s.task("v1"), desiredCount=0)
    message = bad("InvalidECSServiceException", ecsServices=[{"clusterName": "c", "serviceName": "rolling"}])
    assert "CODE_DEPLOY" in message
    bad("InvalidECSServiceException", ecsServices=[{"clusterName": "c", "serviceName": "nope"}])


@case(27)
def _():
    bad("ECSServiceMappingLimitExceededException")


@case(28)
def _():
    refused("InvalidAutoRollbackConfigException", s.change, autoRollbackConfiguration={"enabled": True, "events": []})


@case(29)
def _():
    refused("InvalidAlarmConfigException", s.change, alarmConfiguration={"enabled": True, "alarms": []})
    refused("InvalidAlarmConfigException", s.change, alarmConfiguration={"enabled": True, "alarms": [{"name": "a"}, {"name": "a"}]})


@case(30)
def _():
    refused("AlarmsLimitExceededException", s.change, alarmConfiguration={"enabled": True, "alarms": [{"name": str(n)} for n in range(11)]})
    refused("TriggerTargetsLimitExceededException", s.change, triggerConfigurations=[
        {"triggerName": str(n), "triggerTargetArn": "arn:aws:sns:us-east-1:000000000000:t", "triggerEvents": ["DeploymentStart"]} for n in range(11)])


@case(31)
def _():
    body = '{"applicationName":"conf","deploymentGroupName":"raw"}'
    assert "RoleRequiredException" in raw("CreateDeploymentGroup", body)


@case(32)
def _():
    before = cd.get_deployment_group(applicationName=s.name, deploymentGroupName="g")["deploymentGroupInfo"]
    assert cd.update_deployment_group(applicationName=s.name, currentDeploymentGroupName="g", newDeploymentGroupName="g2")["hooksNotCleanedUp"] == []
    after = cd.get_deployment_group(applicationName=s.name, deploymentGroupName="g2")["deploymentGroupInfo"]
    assert {**after, "deploymentGroupName": "g"} == before, (before, after)
    cd.update_deployment_group(applicationName=s.name, currentDeploymentGroupName="g2", newDeploymentGroupName="g")


def deploy(**revision):
    members = dict(applicationName=s.name, deploymentGroupName="g")
    return members | ({"revision": revision} if revision else {})


@case(33)
def _():
    refused("RevisionRequiredException", cd.create_deployment, **deploy())


@case(34)
def _():
    refused("InvalidRevisionException", cd.create_deployment, **deploy(revisionType="S3", s3Location={"bucket": "b", "key": "k", "bundleType": "zip"}))


@case(35)
def _():
    refused("InvalidRevisionException", cd.create_deployment, **deploy(revisionType="GitHub", gitHubLocation={"repository": "r", "commitId": "c"}))


@case(63)
def _():
    refused("DeploymentDoesNotExistException", cd.stop_deployment, deploymentId="d-ABCDEFGH1")
    refused("InvalidDeploymentIdException", cd.stop_deployment, deploymentId="x")
    refused("DeploymentIdRequiredException", cd.stop_deployment, deploymentId="")


@case(81)
def _():
    refused("DeploymentGroupNameRequiredException", cd.list_deployments, applicationName=s.name)


@case(83)
def _():
    refused("InvalidDeploymentStatusException", cd.list_deployments, applicationName=s.name, deploymentGroupName="g", includeOnlyStatuses=["Nope"])


@case(84)
def _():
    arn = f"arn:aws:codedeploy:us-east-1:000000000000:deploymentgroup:{s.name}/g"
    cd.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    cd.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert cd.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]


@case(85)
def _():
    refused("InvalidArnException", cd.list_tags_for_resource, ResourceArn="nope")


@case(89)
def _():
    assert "CodeDeploy" in refused("InvalidParameterException", ecs.update_service, cluster="c", service=s.name, taskDefinition=s.task("v2"))


@story("aws", *CASES)
def requests(case):
    global s, group, pair
    s = Site("conf", desired=1)
    group = s.group()
    pair = group["loadBalancerInfo"]["targetGroupPairInfoList"][0]
    for number in sorted(CASES):
        with case(number, go_on=True):
            CASES[number]()
