"""A CodeDeploy hook function as it runs on AWS, unmodified."""
import json
import os
import urllib.request

import boto3

codedeploy = boto3.client("codedeploy")


def handler(event, context):
    status = "Succeeded"
    try:
        url = os.environ["GREENGATE_TEST_URL"]
        with urllib.request.urlopen(url + "/version", timeout=5) as response:
            version = response.read().decode().strip()
        print(json.dumps({"version": version}))
        assert version.startswith("v"), f"unexpected version {version}"
    except Exception as error:
        print(f"verification failed: {error}")
        status = "Failed"
    codedeploy.put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=status,
    )
