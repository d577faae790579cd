"""What deployments tell topics, each story by its name: `python3 notices.py NAME`."""
import http.server
import io
import json
import os
import signal
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


def broken(name):
    """A function that raises."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as z:
        z.write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "hook.py"), "hook.py")
    boto3.client("lambda").create_function(
        FunctionName=name, Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}", Handler="hook.broken",
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
    bad = s.deploy("v3", hooks={"AfterInstall": broken("notices_broken")})
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


globals()[sys.argv[1]]()
