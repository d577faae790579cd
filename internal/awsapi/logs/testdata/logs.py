"""Log groups by boto3: those of one's own, and those of functions."""
import json
import time

import boto3
import botocore.exceptions

logs = boto3.client("logs")
now = int(time.time() * 1000)


def refused(code, f, *args, **named):
    try:
        answer = f(*args, **named)
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return e.response["Error"]["Message"]
    raise AssertionError(f"{named} was answered {answer}")


def put(*messages, at=now, stream="s", **other):
    events = [{"timestamp": at + i, "message": m} for i, m in enumerate(messages)]
    return logs.put_log_events(logGroupName="app", logStreamName=stream, logEvents=events, **other)


def found(pattern="", group="app", **other):
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern=pattern, **other)
    return [e["message"] for p in pages for e in p["events"]]


# Groups and streams.
logs.create_log_group(logGroupName="app", tags={"a": "b"})
refused("ResourceAlreadyExistsException", logs.create_log_group, logGroupName="app")
refused("InvalidParameterException", logs.create_log_group, logGroupName="a b")
refused("InvalidParameterException", logs.create_log_group, logGroupName="c", logGroupClass="INFREQUENT_ACCESS")
refused("ResourceNotFoundException", logs.create_log_stream, logGroupName="none", logStreamName="s")
logs.create_log_stream(logGroupName="app", logStreamName="s")
logs.create_log_stream(logGroupName="app", logStreamName="../t")
refused("ResourceAlreadyExistsException", logs.create_log_stream, logGroupName="app", logStreamName="s")
refused("InvalidParameterException", logs.create_log_stream, logGroupName="app", logStreamName="a:b")
names = [g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]]
assert names == ["/aws/lambda/gone", "/aws/lambda/hook", "app"], names
group = logs.describe_log_groups(logGroupNamePrefix="app")["logGroups"][0]
assert group["arn"] == "arn:aws:logs:us-east-1:000000000000:log-group:app:*" and abs(group["creationTime"] - now) < 60000, group

# Events.
assert put("one", "two")["nextSequenceToken"]
put("three\nwith a second line", sequenceToken="anything")
assert found() == ["one", "three\nwith a second line", "two"], found()
refused("ResourceNotFoundException", put, "x", stream="none")
assert "chronological" in refused("InvalidParameterException", logs.put_log_events, logGroupName="app", logStreamName="s", logEvents=[
    {"timestamp": now, "message": "a"}, {"timestamp": now - 1, "message": "b"}])
assert "24 hours" in refused("InvalidParameterException", logs.put_log_events, logGroupName="app", logStreamName="s", logEvents=[
    {"timestamp": now - 25 * 3600 * 1000, "message": "a"}, {"timestamp": now, "message": "b"}])
assert "too large" in refused("InvalidParameterException", put, "x" * (1024 * 1024 - 25))
refused("InvalidParameterException", put, *["x"] * 10001)
hour = 3600 * 1000
rejected = logs.put_log_events(logGroupName="app", logStreamName="s", logEvents=[{"timestamp": now - 20 * 24 * hour, "message": "too old"}])
assert rejected["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}, rejected
rejected = logs.put_log_events(logGroupName="app", logStreamName="s", logEvents=[
    {"timestamp": now + 2, "message": "fine"}, {"timestamp": now + 3 * hour, "message": "too new"}])
assert rejected["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}, rejected
assert "too new" not in found() and "too old" not in found() and "fine" in found()
put("in t", stream="../t", at=now + 1)
put("x" * (1024 * 1024 - 26), stream="../t", at=now + 10)
assert found('"in t"') == ["in t"] and found("", logStreamNames=["s"])[-1] == "fine" and found("", logStreamNamePrefix="../")[0] == "in t"

# Reading forward ends where the token repeats; reading back likewise.
logs.create_log_stream(logGroupName="app", logStreamName="many")
for i in range(3):
    put(*[f"{i * 1000 + j}" for j in range(1000)], stream="many", at=now + 100 + i * 1000)
read = dict(logGroupName="app", logStreamName="many", limit=1000)
got, token = [], None
while True:
    page = logs.get_log_events(**read, startFromHead=True, **({"nextToken": token} if token else {}))
    got += [e["message"] for e in page["events"]]
    if page["nextForwardToken"] == token:
        break
    token = page["nextForwardToken"]
assert got == [str(i) for i in range(3000)], len(got)
page = logs.get_log_events(**{**read, "limit": 3})
assert [e["message"] for e in page["events"]] == ["2997", "2998", "2999"], page
page = logs.get_log_events(**{**read, "limit": 2}, nextToken=page["nextBackwardToken"])
assert [e["message"] for e in page["events"]] == ["2995", "2996"], page
page = logs.get_log_events(**{**read, "limit": 1}, nextToken=page["nextForwardToken"])
assert [e["message"] for e in page["events"]] == ["2997"], page
assert [e["message"] for e in logs.get_log_events(**read, startTime=now + 100, endTime=now + 102)["events"]] == ["0", "1"]
refused("InvalidParameterException", logs.get_log_events, **read, nextToken="nonsense")
refused("ResourceNotFoundException", logs.get_log_events, logGroupName="app", logStreamName="none")
assert found("", logStreamNames=["many"], limit=1000) == got
events = [e["eventId"] for p in logs.get_paginator("filter_log_events").paginate(logGroupName="app") for e in p["events"]]
assert len(events) == len(set(events)) > 3000
streams = logs.describe_log_streams(logGroupName="app", orderBy="LastEventTime", descending=True)["logStreams"]
assert [s["logStreamName"] for s in streams] == ["many", "../t", "s"], streams
assert streams[0]["firstEventTimestamp"] == now + 100 and streams[0]["lastEventTimestamp"] == now + 100 + 2999, streams[0]
logs.delete_log_stream(logGroupName="app", logStreamName="many")
refused("ResourceNotFoundException", logs.delete_log_stream, logGroupName="app", logStreamName="many")

# What is out of bounds is refused in AWS's words.
group = {"logGroupName": "app"}
for f, most, args in ((logs.get_log_events, 10000, {**group, "logStreamName": "s"}), (logs.filter_log_events, 10000, group),
                      (logs.describe_log_groups, 50, {}), (logs.describe_log_streams, 50, group)):
    f(**args, limit=most)
    said = refused("InvalidParameterException", f, **args, limit=most + 1)
    assert said == (f"1 validation error detected: Value '{most + 1}' at 'limit' failed to satisfy constraint: "
                    f"Member must have value less than or equal to {most}"), said
said = refused("InvalidParameterException", logs.describe_log_streams, **group, orderBy="LogStreamname")
assert said == ("1 validation error detected: Value 'LogStreamname' at 'orderBy' failed to satisfy constraint: "
                "Member must satisfy enum value set: [LogStreamName, LastEventTime]"), said
arn = logs.describe_log_groups(logGroupNamePrefix="app")["logGroups"][0]["arn"]
for f, args in ((logs.get_log_events, {"logStreamName": "s"}), (logs.filter_log_events, {}), (logs.describe_log_streams, {})):
    f(**args, logGroupIdentifier=arn.removesuffix(":*"))
    said = refused("InvalidParameterException", f, **args, logGroupIdentifier=arn)
    assert said == (f"1 validation error detected: Value '{arn}' at 'logGroupIdentifier' failed to satisfy constraint: "
                    "Member must satisfy regular expression pattern: [\\w#+=/:,.@-]*"), said
refused("InvalidParameterException", logs.describe_log_streams, **group, nextToken="none")

# What `aws logs tail --follow` asks for: what came since, told apart by ids.
logs.create_log_stream(logGroupName="app", logStreamName="follow")
seen, start = {}, now + 1000
for i in range(5):
    put(f"line {i}", stream="follow", at=now + 1000 + i)
    for e in logs.filter_log_events(logGroupName="app", startTime=start, logStreamNames=["follow"])["events"]:
        seen[e["eventId"]] = e["message"]
        start = max(start, e["timestamp"])
assert list(seen.values()) == [f"line {i}" for i in range(5)], seen

# Patterns.
put(json.dumps({"level": "ERROR", "n": 5}), json.dumps({"level": "INFO", "n": 9}), "127.0.0.1 GET 503", "127.0.0.1 GET 200", stream="follow", at=now + 2000)
only = {"logStreamNames": ["follow"], "startTime": now + 2000}
assert found('{ $.level = "ERROR" && $.n > 3 }', **only) == ['{"level": "ERROR", "n": 5}']
assert found("[ip, method, status=5*]", **only) == ["127.0.0.1 GET 503"]
assert found("?ERROR ?503", **only) == ['{"level": "ERROR", "n": 5}', "127.0.0.1 GET 503"]
assert found("GET -200", **only) == ["127.0.0.1 GET 503"] and found('"GET 2"', **only) == ["127.0.0.1 GET 200"]
refused("InvalidParameterException", logs.filter_log_events, logGroupName="app", filterPattern="{ $.a = }")

# Retention and tags.
refused("InvalidParameterException", logs.put_retention_policy, logGroupName="app", retentionInDays=2)
logs.put_retention_policy(logGroupName="app", retentionInDays=3)
assert logs.describe_log_groups(logGroupNamePrefix="app")["logGroups"][0]["retentionInDays"] == 3
expired = logs.put_log_events(logGroupName="app", logStreamName="s", logEvents=[{"timestamp": now - 5 * 24 * hour, "message": "expired"}])
assert expired["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}, expired
logs.delete_retention_policy(logGroupName="app")
assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix="app")["logGroups"][0]
arn = "arn:aws:logs:us-east-1:000000000000:log-group:app"
logs.tag_resource(resourceArn=arn, tags={"c": "d"})
logs.untag_resource(resourceArn=arn, tagKeys=["a"])
assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"c": "d"} == logs.list_tags_log_group(logGroupName="app")["tags"]

# Functions.
assert found("got", group="/aws/lambda/hook") == ["got v3, want v9"] and found("", group="/aws/lambda/gone") == ["left behind"]
logs.put_retention_policy(logGroupName="/aws/lambda/hook", retentionInDays=7)
assert logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/hook")["logGroups"][0]["retentionInDays"] == 7
logs.delete_log_group(logGroupName="/aws/lambda/gone")
refused("ResourceNotFoundException", logs.delete_log_group, logGroupName="/aws/lambda/gone")
logs.delete_log_group(logGroupName="/aws/lambda/hook")
assert found("", group="/aws/lambda/hook") == []  # the function is there, so its group is

logs.delete_log_group(logGroupName="app")
refused("ResourceNotFoundException", logs.filter_log_events, logGroupName="app")
logs.create_log_group(logGroupName="app")
assert logs.describe_log_streams(logGroupName="app")["logStreams"] == [] and found() == []
