"""A verification as people write it for AWS, with one addition: its first act is a line in a file."""
import json
import os
import time
import urllib.request

import boto3

client = boto3.client("codedeploy")


def handler(event, context):
    line = {"kind": "start", "hook": "verify", "event": "AfterAllowTestTraffic", "deployment": event["DeploymentId"],
            "execution": event["LifecycleEventHookExecutionId"]}
    fd = os.open(os.environ["STARTS"], os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600)
    os.write(fd, (json.dumps(line) + "\n").encode())
    os.close(fd)
    status = "Succeeded"
    try:
        with open(os.environ["WANT_FILE"]) as f:
            want = json.load(f)
        time.sleep(want["hold"])
        with urllib.request.urlopen(os.environ["TEST_URL"] + "/version", timeout=20) as response:
            assert response.read().decode() == want["version"]
    except Exception as e:
        print("verification failed:", e)
        status = "Failed"
    client.put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status=status)
