"""A hook function as people write them for AWS: it calls the test listener, and reports."""
import os
import urllib.request

import boto3

codedeploy = boto3.client("codedeploy", region_name="eu-west-1")


def handler(event, context):
    assert set(event) == {"DeploymentId", "LifecycleEventHookExecutionId"}, event
    print("checking", os.environ["URL"])
    with urllib.request.urlopen(os.environ["URL"], timeout=5) as answer:
        body = answer.read().decode()
    status = "Succeeded" if body == os.environ["WANT"] else "Failed"
    print(f"got {body}, want {os.environ['WANT']}: {status}")
    codedeploy.put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"], lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"], status=status)


def silent(event, context):
    print("no answer")


def broken(event, context):
    raise ValueError("the hook is broken")


def echo(event, context):
    print("echo", event)
    return {"got": event}


def who(event, context):
    """Says who it is, and what becomes of a call that its role allows and of one that it does not."""
    me = boto3.client("sts").get_caller_identity()["Arn"]
    clusters = len(boto3.client("ecs").list_clusters()["clusterArns"])
    try:
        boto3.client("ecs").create_cluster(clusterName="denied")
    except Exception as e:
        return {"me": me, "clusters": clusters, "denied": str(e)}
    return "not denied"
