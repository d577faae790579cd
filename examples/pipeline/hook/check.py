"""The hook: it orders something from the new version on the test listener, and reports."""
import json
import os
import urllib.request

import boto3


def handler(event, context):
    status = "Failed"
    try:
        request = urllib.request.Request(os.environ["TEST_URL"] + "/orders", data=json.dumps({"quantity": 3}).encode())
        with urllib.request.urlopen(request, timeout=5) as response:
            order = json.load(response)
        print("the test listener answered", order)
        if order["total"] == 750:
            status = "Succeeded"
    finally:
        boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
            deploymentId=event["DeploymentId"], lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"], status=status)
