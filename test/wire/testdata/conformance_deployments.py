"""Conformance cases of the CodeDeploy contract, by their numbers there: those in which something is deployed."""
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile

import boto3

from cases import story
from site_of import cd, ecs, elb, ended, get, hook_role, info, refused, until, Site

EVENTS = ["BeforeInstall", "Install", "AfterInstall", "AllowTestTraffic", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"]
UNTESTED = [e for e in EVENTS if "TestTraffic" not in e]  # without a test listener
BACK = {"enabled": True, "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST", "DEPLOYMENT_STOP_ON_ALARM"]}
OVER = ("Succeeded", "Failed", "Stopped")
aws_lambda, logs = boto3.client("lambda"), boto3.client("logs")
HERE = os.path.dirname(os.path.abspath(__file__))


def gate(name, handler="gate.handler"):
    """A hook function that the story itself answers for."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as z:
        z.write(os.path.join(HERE, "gate.py"), "gate.py")
    return aws_lambda.create_function(
        FunctionName=name, Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}", Handler=handler, Timeout=20,
        Role=hook_role(), Code={"ZipFile": data.getvalue()})["FunctionArn"]


def payload(function, id, known=()):
    """What a gate was given for a deployment; of two events the one whose execution id is not known yet."""
    def look():
        for e in logs.filter_log_events(logGroupName="/aws/lambda/" + function, filterPattern="GATE")["events"]:
            given = json.loads(e["message"].split("GATE ", 1)[1])
            if given["DeploymentId"] == id and given["LifecycleEventHookExecutionId"] not in known:
                return given
        return None
    return until(f"{function} was called for {id}", look)


def report(given, status="Succeeded"):
    return cd.put_lifecycle_event_hook_execution_status(
        deploymentId=given["DeploymentId"], lifecycleEventHookExecutionId=given["LifecycleEventHookExecutionId"], status=status)


def site(name, **other):
    return Site(name, **{"desired": 1, **other})


def reached(s, id, event):
    until(f"{id} is in {event}", lambda: s.events(id).get(event) == "InProgress")


def config(name, kind, **numbers):
    cd.create_deployment_config(deploymentConfigName=name, computePlatform="ECS", trafficRoutingConfig={
        "type": "TimeBased" + kind, "timeBased" + kind: {kind.lower() + "Percentage": numbers["percent"], kind.lower() + "Interval": numbers["minutes"]}})


def steps(s, id, green):
    """The weights that green has until the deployment is over, each once."""
    seen = []

    def look():
        weight = s.weights().get(green, 0)
        if not seen or seen[-1] != weight:
            seen.append(weight)
        return info(id)["status"] in OVER
    until(f"{id} has moved traffic", look, 240)
    return [w for w in seen if w]


@story("aws", 36, 37, 38, 39, 40, 41, 42, 43, 45, 47, 48, 49, 50, 53, 56, 57, 58, 62, 66, 67, 68, 69, 70, 82)
def three_in_a_row(case):
    s = site("row")
    gate("row-gate")
    content = s.appspec(s.task("v2"), AfterInstall="row-gate", AfterAllowTestTraffic="row-gate")
    first = s.deploy(content=content)
    with case(37):
        assert re.fullmatch(r"d-[0-9A-Z]{9}", first), first
        d = info(first)
        assert d["status"] in ("Created", "InProgress") and d["creator"] == "user" and ("startTime" in d) == (d["status"] == "InProgress"), d
        until("in progress", lambda: info(first)["status"] == "InProgress")
        assert info(first)["startTime"] >= d["createTime"]
    reached(s, first, "AfterInstall")
    with case(47):
        assert get(s.test) == "v1" == get(s.production)  # AWS's order: AfterInstall comes before AllowTestTraffic
    with case(66):
        early = payload("row-gate", first)
        assert set(early) == {"DeploymentId", "LifecycleEventHookExecutionId"} and early["DeploymentId"] == first, early
    with case(67):
        assert report(early)["lifecycleEventHookExecutionId"] == early["LifecycleEventHookExecutionId"]
        until("AfterInstall has succeeded", lambda: s.events(first)["AfterInstall"] == "Succeeded")
    with case(68):
        for status in ("Succeeded", "Failed"):
            refused("LifecycleEventAlreadyCompletedException", report, given=early, status=status)
    reached(s, first, "AfterAllowTestTraffic")
    while_running(case, s, first, content)
    late = payload("row-gate", first, {early["LifecycleEventHookExecutionId"]})
    callbacks(case, first, late)
    with case(66):
        report(late)
    first_ended(case, s, first)
    second_and_third(case, s, first)


def while_running(case, s, id, content):
    with case(38):
        d = info(id)
        assert d.get("deploymentOverview") is None and d["revision"] == {"revisionType": "AppSpecContent", "appSpecContent": {
            "sha256": hashlib.sha256(content.encode()).hexdigest()}}, d
    with case(39):
        found = cd.get_application_revision(applicationName=s.name, revision=d["revision"])
        assert found["revision"]["appSpecContent"]["content"] == content and found["applicationName"] == s.name, found
    with case(40):
        assert cd.list_deployment_targets(deploymentId=id)["targetIds"] == [f"c:{s.name}"]
    with case(41):
        refused("InvalidDeploymentTargetIdException", cd.get_deployment_target, deploymentId=id, targetId="c")
    with case(42):
        refused("DeploymentTargetDoesNotExistException", cd.get_deployment_target, deploymentId=id, targetId="c:other")
    with case(43):
        refused("DeploymentTargetListSizeExceededException", cd.batch_get_deployment_targets, deploymentId=id, targetIds=[f"c:{s.name}", "c:other"])
    with case(45):
        events = s.target(id)["lifecycleEvents"]
        assert [e["lifecycleEventName"] for e in events] == EVENTS, events
        for e in events[:4]:
            assert e["status"] == "Succeeded" and e["startTime"] <= e["endTime"] and "diagnostics" not in e, e
        assert events[4]["status"] == "InProgress" and "startTime" in events[4] and "endTime" not in events[4], events[4]
        for e in events[5:]:
            assert e["status"] == "Pending" and not {"startTime", "endTime"} & set(e), e
    with case(47):
        assert get(s.test) == "v2" and get(s.production) == "v1"
    with case(56):
        refused("DeploymentIsNotInReadyStateException", cd.continue_deployment, deploymentId=id, deploymentWaitType="READY_WAIT")
    with case(58):
        refused("InvalidDeploymentWaitTypeException", cd.continue_deployment, deploymentId=id, deploymentWaitType="X")
    with case(36):
        active(s, id)


def active(s, id):
    message = refused("DeploymentLimitExceededException", s.deploy, version="v9")
    found = re.search(r"already has an active Deployment '(d-\w+)'", message)
    assert found and found[1] == id, message


def callbacks(case, id, given):
    with case(69):
        for status in ("InProgress", "Pending", "Skipped", "Unknown"):
            refused("InvalidLifecycleEventHookExecutionStatusException", report, given=given, status=status)
    with case(70):
        for execution in ("garbage", given["LifecycleEventHookExecutionId"][:-2] + "AA"):
            refused("InvalidLifecycleEventHookExecutionIdException", report, given={**given, "LifecycleEventHookExecutionId": execution})


def first_ended(case, s, id):
    with case(48):
        d = ended(id)
        assert d["status"] == "Succeeded" and d["deploymentOverview"] == {
            "Pending": 0, "InProgress": 0, "Succeeded": 1, "Failed": 0, "Skipped": 0, "Ready": 0}, d
        assert s.weights() == {"t1": 0, "t2": 100} and get(s.production) == "v2", s.weights()
        sets = s.sets()
        assert sets[0]["status"] == "PRIMARY" and sets[0]["externalId"] == id, sets
        assert all(t["status"] == "DRAINING" for t in sets[1:]), sets
        green = [t for t in s.target(id)["taskSetsInfo"] if t["taskSetLabel"] == "Green"][0]
        assert green["status"] == "PRIMARY" and green["trafficWeight"] == 100.0 and green["targetGroup"]["name"] == "row-t2", green
    with case(57):
        refused("DeploymentAlreadyCompletedException", cd.continue_deployment, deploymentId=id, deploymentWaitType="READY_WAIT")
    with case(62):
        refused("DeploymentAlreadyCompletedException", cd.stop_deployment, deploymentId=id)


def baking(s, id):
    """Waits for the termination wait, and looks whether blue is kept as it was."""
    until("all events and the target", lambda: set(s.events(id).values()) == {"Succeeded"} and s.target(id)["status"] == "Succeeded")
    assert info(id)["status"] == "InProgress"
    blue = [t for t in s.sets() if t["status"] != "PRIMARY"][0]
    assert blue["status"] == "ACTIVE" and blue["scale"]["value"] == 100 and blue["runningCount"] == 1, blue


def second_and_third(case, s, first):
    until("blue is gone", lambda: len(s.sets()) == 1)
    s.waits(termination=5)
    second = s.deploy("v3")
    with case(49):
        baking(s, second)
        with case(36):
            active(s, second)
        assert ended(second)["status"] == "Succeeded"
        events = s.target(second)["lifecycleEvents"]
        assert (info(second)["completeTime"] - events[-1]["endTime"]).total_seconds() >= 5, events
    with case(53):
        assert s.weights() == {"t1": 100, "t2": 0} and get(s.production) == "v3", s.weights()
    until("blue is gone", lambda: len(s.sets()) == 1)
    s.waits(termination=2880)
    third = s.deploy("v4")
    with case(50):
        baking(s, third)
        out = cd.continue_deployment(deploymentId=third, deploymentWaitType="TERMINATION_WAIT")
        assert set(out) == {"ResponseMetadata"} and out["ResponseMetadata"]["HTTPStatusCode"] == 200, out
        assert ended(third)["status"] == "Succeeded"
        until("blue is gone", lambda: len(s.sets()) == 1)
    with case(82):
        assert cd.list_deployments(applicationName=s.name, deploymentGroupName="g")["deployments"] == [third, second, first]


@story("aws", 46, 79)
def never_healthy(case):
    s = site("sick", group={"autoRollbackConfiguration": {"enabled": False}})
    id = s.deploy("sick")
    reached(s, id, "Install")
    with case(46):
        until("the new task is there", lambda: len(s.sets()) == 2)
        assert s.events(id)["AfterAllowTestTraffic"] == "Pending"
        assert get(s.production) == "v1" == get(s.test) and sum(w for g, w in s.weights().items() if g != "t1") == 0, s.weights()
    with case(79):
        d = ended(id, 150)
        events = s.events(id)
        assert d["status"] == "Failed" and d["errorInformation"]["code"] == "TIMEOUT", d
        assert events["Install"] == "Failed" and set(list(events.values())[2:]) == {"Skipped"}, events
        assert (d["completeTime"] - d["startTime"]).total_seconds() >= 60, d
        assert get(s.production) == "v1" and s.sets()[0]["status"] == "PRIMARY"


@story("aws", 52)
def canary(case):
    s = site("canary")
    config("tenth", "Canary", percent=10, minutes=15)
    with case(52):
        id = s.deploy("v2", deploymentConfigName="tenth")
        seen = steps(s, id, "t2")
        assert seen == [10, 100] and info(id)["status"] == "Succeeded", (seen, info(id))
        assert shifting(s, id) >= 15


def shifting(s, id):
    """How long AllowTraffic took, in seconds."""
    e = [e for e in s.target(id)["lifecycleEvents"] if e["lifecycleEventName"] == "AllowTraffic"][0]
    return (e["endTime"] - e["startTime"]).total_seconds()


@story("unscaled", 51)
def halves_by_the_real_minute(case):
    s = site("halves")
    config("halves", "Linear", percent=50, minutes=1)
    with case(51):
        id = s.deploy("v2", deploymentConfigName="halves")
        seen = steps(s, id, "t2")
        assert seen == [50, 100], (seen, info(id))
        took = shifting(s, id)
        assert 60 <= took < 110, took  # a wait behind the last step would make it 120
        assert ended(id, 400)["status"] == "Succeeded"


@story("aws", 54, 55, 87)
def ready_wait(case):
    s = site("ready")
    s.waits(ready=600)
    id = s.deploy("v2")
    with case(54):
        until("ready", lambda: info(id)["status"] == "Ready")
        assert get(s.production) == "v1" and get(s.test) == "v2"
        cd.continue_deployment(deploymentId=id, deploymentWaitType="READY_WAIT")
        assert ended(id)["status"] == "Succeeded" and get(s.production) == "v2"
    until("blue is gone", lambda: len(s.sets()) == 1)
    s.waits(ready=1)
    with case(55):
        id = s.deploy("v3")
        d = ended(id)
        assert d["status"] == "Stopped" and get(s.production) == "v2" and s.weights() == {"t1": 0, "t2": 100}, d
        events = {e["lifecycleEventName"]: e for e in s.target(id)["lifecycleEvents"]}
        assert (d["completeTime"] - events["AfterAllowTestTraffic"]["endTime"]).total_seconds() >= 1, d
        assert events["AllowTraffic"]["status"] == "Skipped" and "startTime" not in events["AllowTraffic"], events
    with case(87):
        out = subprocess.run(["aws", "deploy", "wait", "deployment-successful", "--deployment-id", id], capture_output=True, text=True)
        assert out.returncode == 255, out


@story("aws", 59, 60, 61)
def stopped(case):
    s = site("stop")
    config("slow", "Linear", percent=10, minutes=300)
    id = s.deploy("v2", deploymentConfigName="slow")
    with case(59):
        until("a tenth", lambda: s.weights() == {"t1": 90, "t2": 10})
        before = {t["id"] for t in s.sets()}
        assert cd.stop_deployment(deploymentId=id, autoRollbackEnabled=True)["status"] in ("Pending", "Succeeded")
        d = until("stopped, and a rollback", lambda: (d := info(id))["status"] == "Stopped" and "rollbackDeploymentId" in d.get("rollbackInfo", {}) and d)
        events = s.events(id)
        assert events["AllowTraffic"] == "Failed" and events["AfterAllowTraffic"] == "Skipped", events
        assert "rollbackTriggeringDeploymentId" not in d["rollbackInfo"] and id in d["rollbackInfo"]["rollbackMessage"], d
    with case(60):
        record = ended(d["rollbackInfo"]["rollbackDeploymentId"])
        assert record["creator"] == "codeDeployRollback" and record["deploymentConfigName"] == "CodeDeployDefault.ECSAllAtOnce", record
        assert record["rollbackInfo"]["rollbackTriggeringDeploymentId"] == id and "rollbackDeploymentId" not in record["rollbackInfo"], record
        assert record["status"] == "Succeeded" and record["deploymentOverview"]["Succeeded"] == 1, record
        assert {t["id"] for t in s.sets()} <= before and s.sets()[0]["taskDefinition"].endswith(":1"), s.sets()
        assert s.weights() == {"t1": 100, "t2": 0} and get(s.production) == "v1" == get(s.test), s.weights()
        assert info(id)["status"] == "Stopped"
    until("green is gone", lambda: len(s.sets()) == 1)
    id = s.deploy("v3", deploymentConfigName="slow")
    with case(61):
        until("a tenth", lambda: s.weights() == {"t1": 90, "t2": 10})
        cd.stop_deployment(deploymentId=id, autoRollbackEnabled=False)
        d = ended(id)
        assert d["status"] == "Stopped" and "rollbackDeploymentId" not in d.get("rollbackInfo", {}), d
        assert s.weights() == {"t1": 90, "t2": 10} and [t["status"] for t in s.sets()] == ["PRIMARY", "ACTIVE"], s.sets()
        assert {get(s.production) for _ in range(200)} == {"v1", "v3"}


@story("aws", 71)
def hook_says_no(case):
    s = site("no", group={"autoRollbackConfiguration": {"enabled": True, "events": ["DEPLOYMENT_FAILURE"]}})
    gate("no-gate")
    id = s.deploy("v2", hooks={"AfterAllowTestTraffic": "no-gate"})
    with case(71):
        report(payload("no-gate", id), "Failed")
        d = ended(id)
        assert d["status"] == "Failed" and d["errorInformation"]["code"] == "HOOK_EXECUTION_FAILURE", d
        events = s.events(id)
        assert events["AfterAllowTestTraffic"] == "Failed" and set(list(events.values())[5:]) == {"Skipped"}, events
        assert ended(d["rollbackInfo"]["rollbackDeploymentId"])["status"] == "Succeeded"
        assert get(s.production) == "v1" and s.weights()["t1"] == 100, s.weights()


@story("aws", 72)
def hook_crashes(case):
    s = site("crash")
    gate("crash-gate", "gate.crash")
    id = s.deploy("v2", hooks={"BeforeInstall": "crash-gate"})
    with case(72):
        reached(s, id, "BeforeInstall")
        until("it has crashed", lambda: logs.filter_log_events(logGroupName="/aws/lambda/crash-gate", filterPattern='"the hook is broken"')["events"])
        assert info(id)["status"] == "InProgress"
        d = ended(id, 150)
        event = s.target(id)["lifecycleEvents"][0]
        assert d["status"] == "Failed" and d["errorInformation"]["code"] == "HOOK_EXECUTION_FAILURE", d
        assert event["status"] == "Failed" and (event["endTime"] - event["startTime"]).total_seconds() >= 60, event


@story("aws", 44, 74, 75, 76, 77, 78, 80)
def without_a_test_listener(case):
    s = site("plain", test=False)
    id = s.deploy("v2", hooks={"AfterAllowTestTraffic": gate("plain-gate")})
    with case(74):
        assert ended(id)["status"] == "Succeeded"
        assert never_called("plain-gate")
    with case(44):
        assert list(s.events(id)) == UNTESTED and set(s.events(id).values()) == {"Succeeded"}, s.events(id)
    both_forms(case, s)
    before = [t["id"] for t in s.sets()]
    with case(76):
        rejected(s, "}{ no appspec")
    with case(77):
        rejected(s, s.appspec("<TASK_DEFINITION>"))
        assert [t["id"] for t in s.sets()] == before
    with case(78):
        spec = json.loads(s.appspec(s.task("v5")))
        spec["Resources"][0]["TargetService"]["Properties"]["NetworkConfiguration"] = {"AwsvpcConfiguration": {"Subnets": ["subnet-a"]}}
        rejected(s, json.dumps(spec))
    with case(80):
        idle = s.groups[1] if s.weights()["t1"] == 100 else s.groups[0]
        elb.modify_listener(ListenerArn=s.arn, DefaultActions=[{"Type": "forward", "TargetGroupArn": idle}])
        rejected(s, s.appspec(s.task("v5")), "ECS_UPDATE_ERROR")


def never_called(function):
    """Whether a function has no log, or an empty one."""
    groups = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/" + function)["logGroups"]
    return not groups or not logs.filter_log_events(logGroupName="/aws/lambda/" + function)["events"]


def both_forms(case, s):
    with case(75):
        yaml = f"""version: 0.0
resources:
  - targetService:
      type: AWS::ECS::Service
      properties:
        taskDefinition: {s.task("v3")}
        loadBalancerInfo:
          containerName: app
          containerPort: 80
"""
        for version, content in (("v3", yaml), ("v4", s.appspec(s.task("v4")).replace('"version": 0.0', '"version": "0.0"'))):
            until("blue is gone", lambda: len(s.sets()) == 1)
            d = ended(s.deploy(content=content))
            assert d["status"] == "Succeeded" and get(s.production) == version, d
        until("blue is gone", lambda: len(s.sets()) == 1)


def rejected(s, content, code="INVALID_REVISION"):
    """The request is taken, the deployment fails with the code, and production is where it was."""
    d = ended(s.deploy(content=content))
    assert d["status"] == "Failed" and d["errorInformation"]["code"] == code and d["errorInformation"]["message"], d
    assert set(s.events(d["deploymentId"]).values()) == {"Skipped"}, s.events(d["deploymentId"])


@story("aws", 86)
def ecs_deploy(case):
    s = site("ecsdeploy")
    folder = os.environ["FOLDER"]
    definition = ecs.describe_task_definition(taskDefinition=s.task("v2"))["taskDefinition"]
    for key in ("taskDefinitionArn", "revision", "status", "registeredAt", "registeredBy", "compatibilities", "requiresAttributes"):
        definition.pop(key, None)
    with open(f"{folder}/taskdef.json", "w") as f:
        json.dump(definition, f)
    with open(f"{folder}/appspec.json", "w") as f:
        f.write(s.appspec("<TASK_DEFINITION>"))
    with case(86):
        out = subprocess.run(["aws", "ecs", "deploy", "--cluster", "c", "--service", s.name, "--task-definition", f"{folder}/taskdef.json",
                              "--codedeploy-appspec", f"{folder}/appspec.json", "--codedeploy-application", s.name, "--codedeploy-deployment-group", "g"],
                             capture_output=True, text=True)
        assert out.returncode == 0 and "Successfully deployed" in out.stdout, out
        assert get(s.production) == "v2"


# What Greengate does otherwise by default, and the tags by which a group has AWS's way.

@story("default", "test-traffic")
def test_listener_moves_early(case):
    s = site("early")
    gate("early-gate")
    arn = f"arn:aws:codedeploy:us-east-1:000000000000:deploymentgroup:{s.name}/g"
    for tag, version, serves in ((None, "v2", "v2"), ("strict", "v3", "v2")):
        if tag:
            cd.tag_resource(ResourceArn=arn, Tags=[{"Key": "greengate:test-traffic", "Value": tag}])
        id = s.deploy(version, hooks={"AfterInstall": "early-gate"})
        with case("test-traffic"):
            given = payload("early-gate", id)
            assert get(s.test) == serves and s.events(id)["AllowTestTraffic"] == "Pending", get(s.test)
            report(given)
            assert ended(id)["status"] == "Succeeded" and get(s.test) == version == get(s.production)
        until("blue is gone", lambda: len(s.sets()) == 1)


@story("default", "hook-return")
def crashed_hook_fails_at_once(case):
    s = site("atonce")
    gate("atonce-gate", "gate.crash")
    id = s.deploy("v2", hooks={"BeforeInstall": "atonce-gate"})
    with case("hook-return"):
        d = ended(id)
        event = s.target(id)["lifecycleEvents"][0]
        assert d["status"] == "Failed" and d["errorInformation"]["code"] == "HOOK_EXECUTION_FAILURE" and "the hook is broken" in d["errorInformation"]["message"], d
        assert (event["endTime"] - event["startTime"]).total_seconds() < 60, event  # the hour of the wire
    cd.tag_resource(ResourceArn=f"arn:aws:codedeploy:us-east-1:000000000000:deploymentgroup:{s.name}/g", Tags=[
        {"Key": "greengate:hook-return", "Value": "strict"}])
    id = s.deploy("v2", hooks={"BeforeInstall": "atonce-gate"})
    with case("hook-return"):
        until("it has crashed again", lambda: len(logs.filter_log_events(
            logGroupName="/aws/lambda/atonce-gate", filterPattern='"REPORT RequestId"')["events"]) == 2)
        time.sleep(1)  # that nothing follows cannot be awaited
        assert s.events(id)["BeforeInstall"] == "InProgress"
        cd.stop_deployment(deploymentId=id)
        assert ended(id)["status"] == "Stopped"


@story("default", "promote")
def tag_of_promotion(case):
    s = site("promote")
    cd.tag_resource(ResourceArn=f"arn:aws:codedeploy:us-east-1:000000000000:deploymentgroup:{s.name}/g", Tags=[{"Key": "greengate:promote", "Value": "manual"}])
    id = s.deploy("v2")
    with case("promote"):
        until("ready", lambda: info(id)["status"] == "Ready")
        cd.continue_deployment(deploymentId=id)
        assert ended(id)["status"] == "Succeeded"
