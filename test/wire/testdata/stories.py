"""Stories over the wire, each by its name: `python3 stories.py NAME`. Every one works on resources of its own."""
import base64
import io
import subprocess
import sys
import zipfile

from site_of import *  # noqa: F403
from site_of import cd, ecs, elb, ended, get, hook_role, info, refused, until, Site

EVENTS = ["BeforeInstall", "Install", "AfterInstall", "AllowTestTraffic", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"]
ROLLBACK = {"enabled": True, "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST", "DEPLOYMENT_STOP_ON_ALARM"]}


def function(name, handler="hook.handler", **env):
    import boto3
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as z:
        z.write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "hook.py"), "hook.py")
    made = boto3.client("lambda").create_function(
        FunctionName=name, Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}", Handler=handler, Role=hook_role(),
        Code={"ZipFile": data.getvalue()}, Timeout=20, Environment={"Variables": env})
    assert made["State"] == "Active" and made["FunctionArn"].endswith(":function:" + name), made
    return made["FunctionArn"]


def tutorial():
    """AWS's tutorial for the CLI: two deployments in a row, each green in the group that the other left."""
    s = Site("tutorial")
    for version, group in (("v2", "t2"), ("v3", "t1")):
        id = s.deploy(version)
        assert re.fullmatch(r"d-[0-9A-Z]{9}", id), id
        assert "content" not in info(id)["revision"]["appSpecContent"]
        d = ended(id)
        assert d["status"] == "Succeeded" and d["deploymentOverview"]["Succeeded"] == 1 and d["creator"] == "user", d
        t = s.target(id)
        assert [e["lifecycleEventName"] for e in t["lifecycleEvents"]] == EVENTS and t["status"] == "Succeeded", t
        assert set(s.events(id).values()) == {"Succeeded"}
        assert get(s.production) == version and get(s.test) == version
        weights = s.weights()
        assert weights[group] == 100 and sum(weights.values()) == 100 and len(weights) == 2, weights
        primary = s.sets()[0]
        assert primary["status"] == "PRIMARY" and primary["externalId"] == id and primary["startedBy"] == "CODE_DEPLOY", primary
        until("blue is gone", lambda: len(s.sets()) == 1)
    assert cd.list_deployments(applicationName=s.name, deploymentGroupName="g")["deployments"][0] == id
    assert cd.list_deployment_targets(deploymentId=id)["targetIds"] == [f"c:{s.name}"]
    back = cd.get_application_revision(applicationName=s.name, revision=info(id)["revision"])
    assert json.loads(back["revision"]["appSpecContent"]["content"])["Resources"]
    ecs.get_waiter("services_stable").wait(cluster="c", services=[s.name], WaiterConfig={"Delay": 1, "MaxAttempts": 20})


def validation_test():
    """AWS's tutorial with a validation test: a function from a zip decides, by its ARN and by its name."""
    import boto3
    s = Site("validate", group={"autoRollbackConfiguration": ROLLBACK})
    s_url = f"http://{s.test}/"
    arn = function("CodeDeployHook_good", URL=s_url, WANT="v2")
    id = s.deploy("v2", hooks={"AfterAllowTestTraffic": arn})
    d = ended(id)
    assert d["status"] == "Succeeded" and get(s.production) == "v2", d
    function("CodeDeployHook_bad", URL=s_url, WANT="v9")
    id = s.deploy("v3", hooks={"AfterInstall": "CodeDeployHook_bad"})
    d = ended(id)
    assert d["status"] == "Failed" and d["errorInformation"]["code"] == "HOOK_EXECUTION_FAILURE", d
    events = s.events(id)
    assert events["AfterInstall"] == "Failed" and events["AllowTraffic"] == "Skipped", events
    assert get(s.production) == "v2" and s.weights() == {"t1": 0, "t2": 100}, s.weights()
    record = ended(d["rollbackInfo"]["rollbackDeploymentId"])
    assert record["creator"] == "codeDeployRollback" and record["status"] == "Succeeded", record
    assert record["rollbackInfo"]["rollbackTriggeringDeploymentId"] == id and record["deploymentConfigName"] == "CodeDeployDefault.ECSAllAtOnce"
    lines = until("the log", lambda: [e["message"] for e in boto3.client("logs").filter_log_events(
        logGroupName="/aws/lambda/CodeDeployHook_bad", filterPattern='"want v9"')["events"]])
    assert lines == ["got v3, want v9: Failed"], lines
    # Version 1 of the CLI has no `aws logs tail`; this is the call that it makes.
    version = subprocess.run(["aws", "--version"], capture_output=True, text=True).stdout
    command = ["logs", "filter-log-events", "--log-group-name"] if version.startswith("aws-cli/1") else ["logs", "tail", "--since", "1h"]
    tail = subprocess.run(["aws", *command, "/aws/lambda/CodeDeployHook_bad"], capture_output=True, text=True)
    assert tail.returncode == 0 and "got v3, want v9: Failed" in tail.stdout and "REPORT RequestId" in tail.stdout, tail


def after_the_switch():
    """A function that fails at AfterAllowTraffic takes real traffic back."""
    s = Site("after", group={"autoRollbackConfiguration": ROLLBACK})
    function("after_bad", URL=f"http://{s.production}/", WANT="v1")
    id = s.deploy("v2", hooks={"AfterAllowTraffic": "after_bad"})
    until("green in production", lambda: get(s.production) == "v2" or info(id)["status"] == "Failed")
    d = ended(id)
    assert d["status"] == "Failed", d
    assert ended(d["rollbackInfo"]["rollbackDeploymentId"])["status"] == "Succeeded"
    assert get(s.production) == "v1" and s.weights() == {"t1": 100, "t2": 0}, s.weights()
    assert s.sets()[0]["status"] == "PRIMARY" and s.sets()[0]["taskDefinition"].endswith(":1"), s.sets()


def silent_hook():
    """A function that returns without a callback is waited for; the callback may come from anybody."""
    s = Site("silent")
    function("silent", handler="hook.silent")
    id = s.deploy("v2", hooks={"BeforeAllowTraffic": "silent"})
    until("the hook runs", lambda: s.events(id).get("BeforeAllowTraffic") == "InProgress")
    refused("InvalidLifecycleEventHookExecutionIdException", cd.put_lifecycle_event_hook_execution_status, deploymentId=id,
            lifecycleEventHookExecutionId="garbage", status="Succeeded")
    d = ended(id, 150)  # an hour of the wire is a minute here
    assert d["status"] == "Failed" and d["errorInformation"]["code"] == "HOOK_EXECUTION_FAILURE", d
    assert get(s.production) == "v1"


def broken_hook():
    """A function that raises fails its event at once, with the reason."""
    s = Site("broken")
    function("broken", handler="hook.broken")
    d = ended(s.deploy("v2", hooks={"AfterInstall": "broken"}), 40)
    assert d["status"] == "Failed" and "the hook is broken" in d["errorInformation"]["message"], d


def ecs_deploy():
    """`aws ecs deploy` to exit 0."""
    s = Site("cli")
    folder = os.environ["FOLDER"]
    definition = ecs.describe_task_definition(taskDefinition=s.task("v2"))["taskDefinition"]
    for key in ("taskDefinitionArn", "revision", "status", "registeredAt", "registeredBy", "compatibilities", "requiresAttributes"):
        definition.pop(key, None)
    with open(f"{folder}/taskdef.json", "w") as f:
        json.dump(definition, f)
    with open(f"{folder}/appspec.yaml", "w") as f:
        f.write("version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n        TaskDefinition: <TASK_DEFINITION>\n"
                "        LoadBalancerInfo:\n          ContainerName: \"app\"\n          ContainerPort: 80\n")
    out = subprocess.run(["aws", "ecs", "deploy", "--cluster", "c", "--service", s.name, "--task-definition", f"{folder}/taskdef.json",
                          "--codedeploy-appspec", f"{folder}/appspec.yaml", "--codedeploy-application", s.name, "--codedeploy-deployment-group", "g"],
                         capture_output=True, text=True)
    assert out.returncode == 0 and "Successfully deployed" in out.stdout, out
    assert get(s.production) == "v2"


def revision_in_s3():
    """The tutorial puts its AppSpec file into a bucket."""
    import boto3
    s = Site("bucket")
    s3 = boto3.client("s3")
    folder = os.environ["FOLDER"]
    with open(f"{folder}/appspec.yaml", "w") as f:
        f.write(s.appspec(s.task("v2")))
    for command in (["mb", "s3://revisions"], ["cp", f"{folder}/appspec.yaml", "s3://revisions/a/appspec.yaml"], ["ls", "s3://revisions/a/"]):
        out = subprocess.run(["aws", "s3", *command], capture_output=True, text=True)
        assert out.returncode == 0, out
    assert "appspec.yaml" in out.stdout, out
    place = {"bucket": "revisions", "key": "a/appspec.yaml", "bundleType": "YAML"}
    revision = {"revisionType": "S3", "s3Location": place}
    id = cd.create_deployment(applicationName=s.name, deploymentGroupName="g", revision=revision)["deploymentId"]
    d = ended(id)
    assert d["status"] == "Succeeded" and d["revision"] == revision and get(s.production) == "v2", d
    for wrong in ({"key": "nothing"}, {"eTag": "0" * 32}):
        d = ended(cd.create_deployment(applicationName=s.name, deploymentGroupName="g", revision={
            "revisionType": "S3", "s3Location": {**place, **wrong}})["deploymentId"])
        assert d["status"] == "Failed" and d["errorInformation"]["code"] == "REVISION_MISSING", d
    s3.put_object(Bucket="revisions", Key="b/c d+é", Body=b"x" * 100000, Metadata={"who": "me"}, ContentType="text/plain")
    got = s3.get_object(Bucket="revisions", Key="b/c d+é")
    assert got["Body"].read() == b"x" * 100000 and got["Metadata"] == {"who": "me"} and got["ContentType"] == "text/plain", got
    assert s3.head_object(Bucket="revisions", Key="b/c d+é")["ContentLength"] == 100000
    listed = s3.list_objects_v2(Bucket="revisions", Delimiter="/")
    assert [p["Prefix"] for p in listed["CommonPrefixes"]] == ["a/", "b/"], listed
    page = s3.list_objects_v2(Bucket="revisions", MaxKeys=1)
    assert page["IsTruncated"] and s3.list_objects_v2(Bucket="revisions", ContinuationToken=page["NextContinuationToken"])["Contents"][0]["Key"] == "b/c d+é"
    refused("BucketNotEmpty", s3.delete_bucket, Bucket="revisions")
    refused("NoSuchKey", s3.get_object, Bucket="revisions", Key="nothing")
    refused("NoSuchBucket", s3.get_object, Bucket="nothing", Key="nothing")
    refused("BucketAlreadyOwnedByYou", s3.create_bucket, Bucket="revisions")
    refused("InvalidBucketName", s3.create_bucket, Bucket="Revisions_")
    s3.delete_object(Bucket="revisions", Key="b/c d+é")
    assert subprocess.run(["aws", "s3", "rm", "s3://revisions/a/appspec.yaml"], capture_output=True).returncode == 0
    assert subprocess.run(["aws", "s3", "rb", "s3://revisions"], capture_output=True).returncode == 0


def waits():
    """A person presses the button: READY_WAIT, then TERMINATION_WAIT; without anybody the wait stops the deployment."""
    s = Site("waits")
    s.waits(ready=60, termination=60)
    id = s.deploy("v2")
    until("ready", lambda: info(id)["status"] == "Ready")
    assert get(s.production) == "v1" and get(s.test) == "v2"
    message = refused("DeploymentLimitExceededException", cd.create_deployment, applicationName=s.name, deploymentGroupName="g",
                      revision={"revisionType": "AppSpecContent", "appSpecContent": {"content": "x"}})
    assert f"already has an active Deployment '{id}'" in message, message
    refused("InvalidDeploymentWaitTypeException", cd.continue_deployment, deploymentId=id, deploymentWaitType="X")
    refused("DeploymentIsNotInReadyStateException", cd.continue_deployment, deploymentId=id, deploymentWaitType="TERMINATION_WAIT")
    cd.continue_deployment(deploymentId=id, deploymentWaitType="READY_WAIT")
    until("production", lambda: get(s.production) == "v2")
    until("all events", lambda: set(s.events(id).values()) == {"Succeeded"})
    assert info(id)["status"] == "InProgress" and s.target(id)["status"] == "Succeeded"
    assert [t["status"] for t in s.sets()] == ["PRIMARY", "ACTIVE"] and s.sets()[1]["scale"]["value"] == 100
    cd.continue_deployment(deploymentId=id, deploymentWaitType="TERMINATION_WAIT")
    assert ended(id)["status"] == "Succeeded"
    refused("DeploymentAlreadyCompletedException", cd.continue_deployment, deploymentId=id)
    refused("DeploymentAlreadyCompletedException", cd.stop_deployment, deploymentId=id)
    s.waits(ready=1)
    d = ended(s.deploy("v3"))
    assert d["status"] == "Stopped" and get(s.production) == "v2", d


def shifts():
    """Canary and linear, and a stop in the middle that goes back."""
    s = Site("shifts", group={"autoRollbackConfiguration": ROLLBACK})
    for name, kind in (("canary", {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 25, "canaryInterval": 3}}),
                       ("linear", {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 40, "linearInterval": 3}}),
                       ("slow", {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 10, "canaryInterval": 600}})):
        cd.create_deployment_config(deploymentConfigName=name, computePlatform="ECS", trafficRoutingConfig=kind)
    seen = []

    def watch(id):
        over = info(id)["status"] == "Succeeded"  # asked first: the last shift may come between the two questions
        weights = s.weights()
        if not seen or seen[-1] != weights:
            seen.append(weights)
        return over

    first = s.deploy("v2", deploymentConfigName="canary")
    until("canary", lambda: watch(first))
    assert [w["t2"] for w in seen if w.get("t2")] == [25, 100], seen
    until("blue is gone", lambda: len(s.sets()) == 1)
    seen.clear()
    second = s.deploy("v3", deploymentConfigName="linear")
    until("linear", lambda: watch(second))
    assert [w["t1"] for w in seen if w["t1"]] == [40, 80, 100], seen
    assert info(second)["deploymentConfigName"] == "linear"
    refused("InvalidOperationException", cd.delete_deployment_config,
            deploymentConfigName="CodeDeployDefault.ECSAllAtOnce")
    until("blue is gone", lambda: len(s.sets()) == 1)
    third = s.deploy("v4", deploymentConfigName="slow")
    until("a tenth", lambda: s.weights() == {"t1": 90, "t2": 10})
    answers = {get(s.production) for _ in range(200)}
    assert answers == {"v3", "v4"}, answers
    assert cd.stop_deployment(deploymentId=third, autoRollbackEnabled=True)["status"] in ("Pending", "Succeeded")
    d = until("stopped", lambda: (d := info(third))["status"] == "Stopped" and "rollbackDeploymentId" in d.get("rollbackInfo", {}) and d)
    assert ended(d["rollbackInfo"]["rollbackDeploymentId"])["status"] == "Succeeded"
    assert s.weights() == {"t1": 100, "t2": 0} and {get(s.production) for _ in range(50)} == {"v3"}


def bad_revisions():
    """What is wrong with a revision fails the deployment when it begins; production is untouched."""
    s = Site("bad")
    good = s.appspec(s.task("v2"))
    for content, code, word in (
            ("}{ no appspec", "INVALID_REVISION", "AppSpec"),
            (s.appspec("<TASK_DEFINITION>"), "INVALID_REVISION", ""),
            (s.appspec("nothing:7"), "INVALID_REVISION", "nothing:7"),
            (good.replace('"app"', '"other"'), "INVALID_REVISION", "other"),
            (s.appspec(s.task("v2"), AfterInstall="nobody"), "HOOK_EXECUTION_FAILURE", "nobody")):
        id = s.deploy(content=content)
        d = ended(id, 20)
        assert d["status"] == "Failed" and d["errorInformation"]["code"] == code and word in d["errorInformation"]["message"], d
        assert set(s.events(id).values()) == {"Skipped"}, s.events(id)
    assert len(s.sets()) == 1 and get(s.production) == "v1" and s.weights() == {"t1": 1}, s.weights()
    d = ended(s.deploy("sick"), 150)
    assert d["status"] == "Failed" and d["errorInformation"]["code"] in ("TIMEOUT", "ECS_UPDATE_ERROR"), d
    assert get(s.production) == "v1"
    elb.modify_listener(ListenerArn=s.arn, DefaultActions=[{"Type": "forward", "TargetGroupArn": s.groups[1]}])
    d = ended(s.deploy("v2"), 20)
    assert d["errorInformation"]["code"] == "ECS_UPDATE_ERROR" and "must be behind listener" in d["errorInformation"]["message"], d


def rules():
    """Rules of the production listener move with it, other rules and groups are left alone."""
    s = Site("rules", test=False)
    header = [{"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Who", "Values": ["me"]}}]
    elb.create_rule(ListenerArn=s.arn, Priority=1, Conditions=header, Actions=[{"Type": "forward", "TargetGroupArn": s.groups[0]}])
    elb.create_rule(ListenerArn=s.arn, Priority=2, Conditions=[{"Field": "path-pattern", "Values": ["/teapot*"]}], Actions=[
        {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "418", "MessageBody": "tea"}}])
    assert get(s.production + "/teapot") == 418
    id = s.deploy("v2", hooks={"AfterAllowTestTraffic": "never"})
    d = ended(id)
    assert d["status"] == "Succeeded", d
    assert [e for e in s.events(id)] == ["BeforeInstall", "Install", "AfterInstall", "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"]
    assert get(s.production, **{"X-Who": "me"}) == "v2" and get(s.production + "/teapot") == 418


def conflict():
    """Somebody else's edit of the two groups' weights during a deployment fails it."""
    s = Site("conflict", group={"autoRollbackConfiguration": ROLLBACK})
    cd.create_deployment_config(deploymentConfigName="halves", computePlatform="ECS", trafficRoutingConfig={
        "type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 50, "canaryInterval": 5}})
    id = s.deploy("v2", deploymentConfigName="halves")
    until("half", lambda: s.weights() == {"t1": 50, "t2": 50})
    elb.modify_listener(ListenerArn=s.arn, DefaultActions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": [
        {"TargetGroupArn": s.groups[0], "Weight": 1}, {"TargetGroupArn": s.groups[1], "Weight": 3}]}}])
    d = ended(id)
    assert d["status"] == "Failed" and "changed by somebody else" in d["errorInformation"]["message"], d
    until("back on blue", lambda: s.weights() == {"t1": 100, "t2": 0})


def invoke():
    """Functions on request: answers, errors, the log, versions and aliases."""
    import boto3
    f = boto3.client("lambda")
    arn, ROLE = function("echo", handler="hook.echo"), hook_role()
    out = f.invoke(FunctionName=arn, Payload=b'{"a": 1}', LogType="Tail")
    assert out["StatusCode"] == 200 and json.loads(out["Payload"].read()) == {"got": {"a": 1}} and out["ExecutedVersion"] == "$LATEST", out
    assert "echo {'a': 1}" in base64.b64decode(out["LogResult"]).decode()
    assert f.invoke(FunctionName="echo", InvocationType="DryRun")["StatusCode"] == 204
    assert f.invoke(FunctionName="echo", InvocationType="Event")["StatusCode"] == 202
    assert f.publish_version(FunctionName="echo")["Version"] == "1"
    f.create_alias(FunctionName="echo", Name="live", FunctionVersion="1")
    assert f.invoke(FunctionName="echo:live")["ExecutedVersion"] == "1"
    f.update_function_configuration(FunctionName="echo", Handler="hook.broken")
    out = f.invoke(FunctionName="echo")
    assert out["FunctionError"] and "the hook is broken" in json.loads(out["Payload"].read())["errorMessage"], out
    assert f.invoke(FunctionName="echo", Qualifier="live").get("FunctionError") is None
    versions = f.list_versions_by_function(FunctionName="echo")["Versions"]
    assert [v["Version"] for v in versions] == ["$LATEST", "1"] and versions[0]["FunctionArn"].endswith(":echo:$LATEST"), versions
    refused("ResourceConflictException", f.create_function, FunctionName="echo", Runtime="python3.11", Handler="h.h", Role=ROLE, Code={"ZipFile": b"x"})
    refused("InvalidZipFileException", f.create_function, FunctionName="e2", Runtime="python3.11", Handler="h.h", Role=ROLE, Code={"ZipFile": b"x"})
    refused("InvalidParameterValueException", f.create_function, FunctionName="e2", Runtime="java21", Handler="h.h", Role=ROLE, Code={"ZipFile": b"x"})
    f.tag_resource(Resource=arn, Tags={"k": "v"})
    assert f.get_function(FunctionName="echo")["Tags"] == {"k": "v"}
    f.delete_alias(FunctionName="echo", Name="live")
    f.delete_function(FunctionName="echo")
    refused("ResourceNotFoundException", f.get_function, FunctionName="echo")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("ok", sys.argv[1])
