"""What deployments tell topics, and the logs and objects of a pipeline, each story by its name: `python3 notices.py NAME`."""
import http.server
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile

import boto3

from site_of import Site, cd, ended, get, info, refused, until

sns = boto3.client("sns")
EVENTS = ["DeploymentStart", "DeploymentSuccess", "DeploymentFailure", "DeploymentStop", "DeploymentRollback", "DeploymentReady"]
ROLLBACK = {"enabled": True, "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST"]}


class Subscriber:
    """An http endpoint that confirms itself and keeps what it gets; it refuses as often as it is told to."""

    def __init__(self):
        self.refuse, self.tries, self.got = 0, [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if message["Type"] == "SubscriptionConfirmation":
                    with urllib.request.urlopen(message["SubscribeURL"], timeout=20) as answer:
                        assert b"SubscriptionArn" in answer.read()
                else:
                    outer.tries.append(message["MessageId"])
                status = 200
                if outer.refuse > 0 and message["Type"] == "Notification":
                    outer.refuse, status = outer.refuse - 1, 500
                elif message["Type"] == "Notification" and message["MessageId"] not in [m["MessageId"] for m in outer.got]:
                    outer.got.append(message)  # at least once: the id tells a message that came twice
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    def told(self):
        return [(m["Subject"].split(":")[0], json.loads(m["Message"])["deploymentId"]) for m in list(self.got)]


def topic(name, subscriber):
    arn = sns.create_topic(Name=name)["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=subscriber.url)
    until("the subscription is confirmed", lambda: sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"][0]["SubscriptionArn"].startswith(arn))
    return arn


def kill_controller():
    data = os.path.dirname(os.environ["AWS_SHARED_CREDENTIALS_FILE"])
    killed = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        if "controller" in words[1:3] and any(data in w for w in words):
            os.kill(int(pid), signal.SIGKILL)
            killed.append(pid)
    assert len(killed) == 1, killed


def answers():
    try:
        return sns.list_topics()
    except Exception:  # noqa: BLE001 the controller is away
        return None


def function(name, handler):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as z:
        z.write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "hook.py"), "hook.py")
    boto3.client("lambda").create_function(
        FunctionName=name, Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}", Handler=handler,
        Role="arn:aws:iam::000000000000:role/hook", Code={"ZipFile": data.getvalue()}, Timeout=20)
    return name


def triggers():
    """A deployment that fails and its rollback: one message an event, in order, though the subscriber refuses two times and
    the controller is killed twice."""
    subscriber = Subscriber()
    arn = topic("deploys", subscriber)
    s = Site("notices", group={"autoRollbackConfiguration": ROLLBACK, "triggerConfigurations": [
        {"triggerName": "all", "triggerTargetArn": arn, "triggerEvents": EVENTS}]})
    s.waits(ready=60)
    subscriber.refuse = 2
    good = s.deploy("v2")
    until("ready", lambda: info(good)["status"] == "Ready")
    until("told", lambda: subscriber.told() == [("CREATED", good), ("READY", good)])
    assert subscriber.tries[:3] == [subscriber.tries[0]] * 3 and len(subscriber.tries) == 4, subscriber.tries
    kill_controller()
    until("the next controller", answers)
    cd.continue_deployment(deploymentId=good, deploymentWaitType="READY_WAIT")
    assert ended(good)["status"] == "Succeeded"
    s.waits()
    bad = s.deploy("v3", hooks={"AfterInstall": function("notices_broken", "hook.broken")})
    d = ended(bad)
    assert d["status"] == "Failed" and get(s.production) == "v2", d
    kill_controller()
    until("the next controller", answers)
    back = until("the rollback", lambda: info(bad).get("rollbackInfo", {}).get("rollbackDeploymentId"))
    assert ended(back)["status"] == "Succeeded"
    want = [("CREATED", good), ("READY", good), ("SUCCEEDED", good), ("CREATED", bad), ("FAILED", bad),
            ("CREATED", back), ("IN_PROGRESS", back), ("SUCCEEDED", back)]
    until("all is told", lambda: len(subscriber.told()) >= len(want))
    # What comes after everything shows that nothing comes twice.
    sns.publish(TopicArn=arn, Subject="LAST:", Message=json.dumps({"deploymentId": ""}))
    until("the last", lambda: subscriber.told()[-1][0] == "LAST")
    assert subscriber.told()[:-1] == want, subscriber.told()
    failed = next(m for m in subscriber.got if m["Subject"].startswith("FAILED"))
    assert failed["Subject"] == f"FAILED: AWS CodeDeploy {bad} in us-east-1 to {s.name}", failed
    body = json.loads(failed["Message"])
    assert json.loads(body["errorInformation"])["ErrorCode"] == d["errorInformation"]["code"], (body, d)
    assert body["status"] == "FAILED" and body["eventTriggerName"] == "all" and body["deploymentGroupName"] == "g", body
    assert json.loads(body["deploymentOverview"]).keys() == {"Succeeded", "Failed", "Skipped", "InProgress", "Pending"}, body
    assert time.strptime(body["createTime"].replace("UTC ", ""), "%a %b %d %H:%M:%S %Y") and body["completeTime"], body
    record = next(m for m in subscriber.got if m["Subject"].startswith("IN_PROGRESS"))
    assert json.loads(json.loads(record["Message"])["rollbackInformation"])["RollbackTriggeringDeploymentId"] == bad, record


def links():
    """The link at the end of a message ends the subscription; the certificate of its signature is served; the API is no
    subscriber."""
    subscriber = Subscriber()
    arn = topic("links", subscriber)
    sns.publish(TopicArn=arn, Message="hello")
    until("told", lambda: subscriber.got)
    with urllib.request.urlopen(subscriber.got[0]["SigningCertURL"], timeout=20) as answer:
        assert b"BEGIN CERTIFICATE" in answer.read()
    try:
        urllib.request.urlopen(subscriber.got[0]["UnsubscribeURL"].replace("Token=", "Token=0"), timeout=20)
        raise AssertionError("a wrong token ends a subscription")
    except urllib.error.HTTPError as e:
        assert e.code == 403, e
    urllib.request.urlopen(subscriber.got[0]["UnsubscribeURL"], timeout=20).close()
    assert sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"] == []
    sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=os.environ["AWS_ENDPOINT_URL"] + "/?Action=DeleteTopic")
    refused("InvalidParameter", sns.subscribe, TopicArn=arn, Protocol="http", Endpoint="http://169.254.169.254/")


def functions():
    """The tutorial's clean-up takes a function and its log; permissions of a function are kept as its policy."""
    logs, lambda_ = boto3.client("logs"), boto3.client("lambda")
    name, group = function("logged", "hook.broken"), "/aws/lambda/logged"
    for _ in range(2):
        assert lambda_.invoke(FunctionName=name, Payload=b"{}")["FunctionError"]
    until("the log", lambda: "the hook is broken" in str(logs.filter_log_events(logGroupName=group)["events"]))
    stream = logs.describe_log_streams(logGroupName=group)["logStreams"][0]
    assert stream["lastEventTimestamp"] >= stream["firstEventTimestamp"] > 1.7e12, stream
    page = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
    assert page["events"][0]["message"].startswith("INIT_START") or "START" in page["events"][0]["message"], page["events"][0]
    assert logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], nextToken=page["nextForwardToken"])["events"] == []
    logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    statement = json.loads(lambda_.add_permission(FunctionName=name, StatementId="deploy", Action="lambda:InvokeFunction", Principal="codedeploy.amazonaws.com",
                                                  SourceAccount="000000000000")["Statement"])
    assert statement["Principal"] == {"Service": "codedeploy.amazonaws.com"} and statement["Resource"].endswith(":function:logged"), statement
    refused("ResourceConflictException", lambda_.add_permission, FunctionName=name, StatementId="deploy", Action="lambda:InvokeFunction", Principal="*")
    policy = lambda_.get_policy(FunctionName=name)
    assert json.loads(policy["Policy"])["Statement"] == [statement], policy
    refused("PreconditionFailedException", lambda_.remove_permission, FunctionName=name, StatementId="deploy", RevisionId="other")
    lambda_.remove_permission(FunctionName=name, StatementId="deploy", RevisionId=policy["RevisionId"])
    refused("ResourceNotFoundException", lambda_.get_policy, FunctionName=name)
    lambda_.delete_function(FunctionName=name)
    assert logs.filter_log_events(logGroupName=group)["events"], "the log goes with the function"
    logs.delete_log_group(logGroupName=group)
    refused("ResourceNotFoundException", logs.filter_log_events, logGroupName=group)
    assert group not in [g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]]


def groups():
    """A log group of one's own outlives the controller; what is put meanwhile is followed."""
    logs = boto3.client("logs")
    logs.create_log_group(logGroupName="pipeline")
    logs.create_log_stream(logGroupName="pipeline", logStreamName="build/1")
    now, seen = int(time.time() * 1000), {}
    for i in range(4):
        logs.put_log_events(logGroupName="pipeline", logStreamName="build/1", logEvents=[{"timestamp": now + i, "message": f"step {i}"}])
        if i == 1:
            kill_controller()
            until("the next controller", answers)
        for e in logs.filter_log_events(logGroupName="pipeline", startTime=now)["events"]:
            seen.setdefault(e["eventId"], e["message"])
    assert list(seen.values()) == [f"step {i}" for i in range(4)], seen
    if "aws-cli/1" not in subprocess.run(["aws", "--version"], capture_output=True, text=True).stdout:  # version 1 has no tail
        tail = subprocess.Popen(["aws", "logs", "tail", "pipeline", "--follow", "--since", "1h", "--format", "short"], stdout=subprocess.PIPE, text=True)
        assert "step 0" in tail.stdout.readline()
        logs.put_log_events(logGroupName="pipeline", logStreamName="build/1", logEvents=[{"timestamp": now + 9, "message": "the last"}])
        until("followed", lambda: "the last" in tail.stdout.readline())
        tail.terminate()
    logs.delete_log_group(logGroupName="pipeline")


def objects():
    """The commands of `aws s3` on whole trees, and a file that is uploaded in parts."""
    s3, folder = boto3.client("s3"), os.environ["FOLDER"]

    def aws(*words, code=0):
        out = subprocess.run(["aws", "s3", *words], capture_output=True, text=True, cwd=folder)
        assert out.returncode == code, out
        return out.stdout

    os.makedirs(f"{folder}/tree/sub")
    for name in ("a", "sub/b c", "sub/d"):
        with open(f"{folder}/tree/{name}", "w") as f:
            f.write(name)
    big = os.urandom(1 << 20) * 17
    with open(f"{folder}/big", "wb") as f:
        f.write(big)
    aws("mb", "s3://trees")
    aws("mb", "s3://others")
    aws("sync", "tree", "s3://trees/t")
    assert aws("sync", "tree", "s3://trees/t") == ""
    os.remove(f"{folder}/tree/a")
    assert "delete" in aws("sync", "tree", "s3://trees/t", "--delete")
    assert sorted(o["Key"] for o in s3.list_objects(Bucket="trees")["Contents"]) == ["t/sub/b c", "t/sub/d"]
    aws("mv", "s3://trees/t/sub/b c", "s3://others/moved")
    assert s3.get_object(Bucket="others", Key="moved")["Body"].read() == b"sub/b c"
    aws("sync", "s3://trees/t", "back")
    assert open(f"{folder}/back/sub/d").read() == "sub/d"
    aws("cp", "big", "s3://trees/big", "--metadata", "who=me")
    got = s3.get_object(Bucket="trees", Key="big")
    assert got["Body"].read() == big and got["Metadata"] == {"who": "me"}, got["Metadata"]
    aws("cp", "s3://trees/big", "big.back")
    assert open(f"{folder}/big.back", "rb").read() == big
    part = s3.get_object(Bucket="trees", Key="big", Range="bytes=10-19")
    assert part["Body"].read() == big[10:20] and part["ContentRange"] == f"bytes 10-19/{len(big)}", part
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert s3.get_object(Bucket="trees", Key="big", Range="bytes=-5")["Body"].read() == big[-5:]
    refused("InvalidRange", s3.get_object, Bucket="trees", Key="big", Range=f"bytes={len(big)}-")
    upload = s3.create_multipart_upload(Bucket="trees", Key="parts")["UploadId"]
    tags = [s3.upload_part(Bucket="trees", Key="parts", UploadId=upload, PartNumber=n, Body=b)["ETag"] for n, b in ((1, b"x" * (5 << 20)), (2, b"end"))]
    assert [p["PartNumber"] for p in s3.list_parts(Bucket="trees", Key="parts", UploadId=upload)["Parts"]] == [1, 2]
    complete = lambda *parts: s3.complete_multipart_upload(  # noqa: E731
        Bucket="trees", Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": n, "ETag": tag} for n, tag in parts]})
    for code, parts in (("InvalidPart", [(1, tags[1])]), ("InvalidPartOrder", [(2, tags[1]), (1, tags[0])]), ("InvalidPart", [(3, tags[0])])):
        refused(code, lambda: complete(*parts))
    # A part that is copied is not served, and is not taken for an empty one.
    refused("NotImplemented", s3.upload_part_copy, Bucket="trees", Key="parts", UploadId=upload, PartNumber=3, CopySource="trees/big")
    complete((1, tags[0]), (2, tags[1]))
    assert s3.head_object(Bucket="trees", Key="parts")["ContentLength"] == (5 << 20) + 3
    refused("NoSuchUpload", lambda: complete((1, tags[0])))
    upload = s3.create_multipart_upload(Bucket="trees", Key="aborted")["UploadId"]
    s3.abort_multipart_upload(Bucket="trees", Key="aborted", UploadId=upload)
    refused("NoSuchUpload", s3.upload_part, Bucket="trees", Key="aborted", UploadId=upload, PartNumber=1, Body=b"x")
    refused("NoSuchKey", s3.copy_object, Bucket="others", Key="c", CopySource="trees/none")
    refused("InvalidRequest", s3.copy_object, Bucket="trees", Key="big", CopySource="trees/big")
    s3.copy_object(Bucket="trees", Key="big", CopySource="trees/big", MetadataDirective="REPLACE", ContentType="text/plain")
    assert s3.head_object(Bucket="trees", Key="big")["ContentType"] == "text/plain"
    keys = [{"Key": "parts"}, {"Key": "none"}]
    assert [d["Key"] for d in s3.delete_objects(Bucket="trees", Delete={"Objects": keys})["Deleted"]] == ["parts", "none"]
    aws("rb", "--force", "s3://trees")
    aws("rb", "--force", "s3://others")
    refused("NoSuchBucket", s3.list_objects, Bucket="trees")


globals()[sys.argv[1]]()
