"""Drives the server with boto3 and prints, as JSON, what a user's program would see.

Every answer is compared with botocore's own model: a key that the model does not have is reported.
"""

import datetime
import json
import sys

import boto3
import botocore.config
import botocore.exceptions

SHIFTING, STOPPED, FIRST, READY = "d-AB12CD34E", "d-FAILED001", "d-FIRST0001", "d-READY0001"
out = {"unknown_keys": [], "answers": 0}


def unknown(shape, value, path):
    if value is None or shape is None:
        return
    if shape.type_name == "structure":
        for key, member in value.items():
            if key not in shape.members:
                out["unknown_keys"].append(path + "." + key)
            else:
                unknown(shape.members[key], member, path + "." + key)
    elif shape.type_name == "list":
        for member in value:
            unknown(shape.member, member, path + "[]")


def before_parse(operation_model, response_dict, **_):
    if response_dict["status_code"] == 200:
        out["answers"] += 1
        body = json.loads(response_dict["body"] or "{}")
        if operation_model.output_shape is None:
            out["unknown_keys"] += list(body)
        else:
            unknown(operation_model.output_shape, body, operation_model.name)


def client(**keys):
    c = boto3.client("codedeploy", region_name="eu-west-1", config=botocore.config.Config(retries={"total_max_attempts": 1}), **keys)
    c.meta.events.register("before-parse.codedeploy.*", before_parse)
    return c


def error(call, **kw):
    try:
        call(**kw)
    except botocore.exceptions.ClientError as e:
        r = e.response
        return [r["Error"]["Code"], type(e).__name__, r["ResponseMetadata"]["HTTPStatusCode"],
                r["ResponseMetadata"].get("RequestId", "") != "", bool(r["Error"]["Message"])]
    return "no error"


c = client()
info = c.get_deployment(deploymentId=SHIFTING)["deploymentInfo"]
out["get_deployment"] = [info["status"], info["creator"], info["computePlatform"], info["createTime"].timestamp(),
                         isinstance(info["createTime"], datetime.datetime), "deploymentOverview" in info]
stopped = c.get_deployment(deploymentId=STOPPED)["deploymentInfo"]
out["stopped"] = [stopped["status"], stopped["errorInformation"]["code"], stopped["rollbackInfo"]["rollbackDeploymentId"]]
target = c.get_deployment_target(deploymentId=SHIFTING, targetId="c:s")["deploymentTarget"]["ecsTarget"]
out["target"] = [[e["lifecycleEventName"] for e in target["lifecycleEvents"]], [t["trafficWeight"] for t in target["taskSetsInfo"]],
                 [t["identifer"][:8] for t in target["taskSetsInfo"]]]
out["batch"] = [d["deploymentId"] for d in c.batch_get_deployments(deploymentIds=[READY, STOPPED])["deploymentsInfo"]]
out["batch_targets"] = len(c.batch_get_deployment_targets(deploymentId=SHIFTING, targetIds=["c:s"])["deploymentTargets"])
out["targets"] = c.list_deployment_targets(deploymentId=SHIFTING)["targetIds"]
pages = c.get_paginator("list_deployments").paginate(
    applicationName="shop", deploymentGroupName="web",
    createTimeRange={"start": datetime.datetime(2026, 1, 1), "end": datetime.datetime(2027, 1, 1)})
out["deployments"] = [d for p in pages for d in p["deployments"]]
group = c.get_deployment_group(applicationName="shop", deploymentGroupName="web")["deploymentGroupInfo"]
bg = group["blueGreenDeploymentConfiguration"]
out["group"] = [bg["deploymentReadyOption"]["waitTimeInMinutes"], bg["terminateBlueInstancesOnDeploymentSuccess"]["terminationWaitTimeInMinutes"],
                group["ecsServices"]]
out["groups"] = c.list_deployment_groups(applicationName="shop")["deploymentGroups"]
out["application"] = c.get_application(applicationName="shop")["application"]["computePlatform"]
out["applications"] = c.list_applications()["applications"]
out["config"] = c.get_deployment_config(deploymentConfigName="CodeDeployDefault.ECSCanary10Percent5Minutes")[
    "deploymentConfigInfo"]["trafficRoutingConfig"]
out["configs"] = len(c.list_deployment_configs()["deploymentConfigsList"])

# As a hook function does it: with session credentials, and a region of its own.
hook = client(aws_access_key_id=sys.argv[1], aws_secret_access_key=sys.argv[2], aws_session_token=sys.argv[3])
put = dict(deploymentId=SHIFTING, lifecycleEventHookExecutionId="execution-1", status="Succeeded")
out["put"] = hook.put_lifecycle_event_hook_execution_status(**put)["lifecycleEventHookExecutionId"]
out["put_again"] = error(hook.put_lifecycle_event_hook_execution_status, **put)
out["denied"] = error(hook.stop_deployment, deploymentId=SHIFTING)
out["forged"] = error(client(aws_access_key_id=sys.argv[1], aws_secret_access_key=sys.argv[2],
                             aws_session_token=sys.argv[3][:-4] + "AAAA").get_deployment, deploymentId=SHIFTING)

out["continue"] = c.continue_deployment(deploymentId=READY, deploymentWaitType="READY_WAIT")["ResponseMetadata"]["HTTPStatusCode"]
out["stop"] = c.stop_deployment(deploymentId=SHIFTING, autoRollbackEnabled=True)["status"]
out["not_found"] = error(c.get_deployment, deploymentId="d-NOBODY001")
out["bad_id"] = error(c.get_deployment, deploymentId="x")
out["bad_status"] = error(c.list_deployments, includeOnlyStatuses=["Nope"])
out["wrong_secret"] = error(client(aws_access_key_id="AKIAROOT", aws_secret_access_key="guess").list_applications)
out["not_served"] = error(c.list_git_hub_account_token_names)
try:
    c.get_waiter("deployment_successful").wait(deploymentId=FIRST)
    c.get_waiter("deployment_successful").wait(deploymentId=STOPPED)
except botocore.exceptions.WaiterError as e:
    out["waiter"] = e.last_response["deploymentInfo"]["deploymentId"]
print(json.dumps(out))
