"""`put` writes to two groups with a retention of a day, of which one is a function's; `get` counts what is there."""
import sys
import time

import boto3

logs = boto3.client("logs")
if sys.argv[1] == "put":
    logs.create_log_group(logGroupName="short")
    logs.create_log_stream(logGroupName="short", logStreamName="s")
    for group in ("short", "/aws/lambda/hook"):
        logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    logs.put_log_events(logGroupName="short", logStreamName="s", logEvents=[{"timestamp": int(time.time() * 1000), "message": "m"}])
    assert len(logs.filter_log_events(logGroupName="short")["events"]) == 1
    assert len(logs.filter_log_events(logGroupName="/aws/lambda/hook")["events"]) == 2
else:
    print(*(len(logs.filter_log_events(logGroupName=group)["events"]) for group in ("short", "/aws/lambda/hook")))
