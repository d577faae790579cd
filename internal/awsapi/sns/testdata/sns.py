"""Topics, subscriptions and messages by boto3, with a subscriber that listens."""
import http.server
import json
import threading
import time

import boto3
import botocore.exceptions

sns = boto3.client("sns")
got = []


class Subscriber(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        got.append((self.headers, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Subscriber)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/hook"


def until(what, ok, limit=30):
    end = time.time() + limit
    while time.time() < end:
        if v := ok():
            return v
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {limit} s; got {got}")


def refused(code, f, **args):
    try:
        answer = f(**args)
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return e.response["Error"]["Message"]
    raise AssertionError(f"{args} was answered {answer}")


arn = sns.create_topic(Name="deploys", Tags=[{"Key": "a", "Value": "b"}])["TopicArn"]
assert arn == "arn:aws:sns:us-east-1:000000000000:deploys", arn
assert sns.create_topic(Name="deploys")["TopicArn"] == arn
refused("InvalidParameter", sns.create_topic, Name="deploys", Tags=[{"Key": "a", "Value": "other"}])
refused("InvalidParameter", sns.create_topic, Name="a b")
refused("InvalidParameter", sns.create_topic, Name="x.fifo", Attributes={"FifoTopic": "true"})
for i in range(120):
    sns.create_topic(Name=f"many-{i:03}")
names = [t["TopicArn"] for p in sns.get_paginator("list_topics").paginate() for t in p["Topics"]]
assert len(names) == 121 and len(set(names)) == 121, len(names)
for i in range(120):
    sns.delete_topic(TopicArn=f"{arn.rsplit(':', 1)[0]}:many-{i:03}")
sns.delete_topic(TopicArn=arn + "-none")

sns.set_topic_attributes(TopicArn=arn, AttributeName="DisplayName", AttributeValue="Deployments")
attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
assert attributes["DisplayName"] == "Deployments" and attributes["SubscriptionsConfirmed"] == "0", attributes
refused("NotFound", sns.get_topic_attributes, TopicArn=arn + "x")
refused("InvalidParameter", sns.get_topic_attributes, TopicArn="nonsense")
refused("InvalidParameter", sns.set_topic_attributes, TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue="k")

sns.tag_resource(ResourceArn=arn, Tags=[{"Key": "c", "Value": "d"}])
sns.untag_resource(ResourceArn=arn, TagKeys=["a"])
assert sns.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "c", "Value": "d"}]
refused("ResourceNotFound", sns.list_tags_for_resource, ResourceArn=arn + "x")

# The handshake.
assert sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=url)["SubscriptionArn"] == "pending confirmation"
headers, body = until("the confirmation", lambda: got and got.pop(0))
message = json.loads(body)
assert headers["x-amz-sns-message-type"] == message["Type"] == "SubscriptionConfirmation" and message["TopicArn"] == arn, message
assert "Action=ConfirmSubscription" in message["SubscribeURL"] and message["Token"] in message["SubscribeURL"], message
assert sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"][0]["SubscriptionArn"] == "PendingConfirmation"
sns.publish(TopicArn=arn, Message="nobody hears this")
refused("InvalidParameter", sns.confirm_subscription, TopicArn=arn, Token="0" * 128)
subscription = sns.confirm_subscription(TopicArn=arn, Token=message["Token"])["SubscriptionArn"]
assert subscription.startswith(arn + ":"), subscription
assert sns.subscribe(TopicArn=arn, Protocol="http", Endpoint=url)["SubscriptionArn"] == subscription
assert sns.list_subscriptions()["Subscriptions"] == [
    {"SubscriptionArn": subscription, "Owner": "000000000000", "Protocol": "http", "Endpoint": url, "TopicArn": arn}]
assert sns.get_topic_attributes(TopicArn=arn)["Attributes"]["SubscriptionsConfirmed"] == "1"

for endpoint in ("http://169.254.169.254/latest", "ftp://example.org/", "http://u:p@example.org/", "nonsense"):
    refused("InvalidParameter", sns.subscribe, TopicArn=arn, Protocol="http", Endpoint=endpoint)
assert "protocol" in refused("InvalidParameter", sns.subscribe, TopicArn=arn, Protocol="email", Endpoint="a@example.org")
assert "FilterPolicy" in refused("InvalidParameter", sns.subscribe, TopicArn=arn, Protocol="http", Endpoint=url + "2", Attributes={"FilterPolicy": "{}"})
for protocol in ("http", "sqs"):
    refused("NotFound", sns.subscribe, TopicArn=arn + "x", Protocol=protocol, Endpoint=url)
plain = sns.create_topic(Name="plain", Attributes={"FifoTopic": "false"})["TopicArn"]
attributes = sns.get_topic_attributes(TopicArn=plain)["Attributes"]
statement = json.loads(attributes["Policy"])["Statement"][0]
assert statement["Resource"] == plain and statement["Condition"] == {"StringEquals": {"AWS:SourceOwner": "000000000000"}}, statement
assert "FifoTopic" not in attributes and "SNS:Publish" in statement["Action"], attributes
assert "not valid for this topic type" in refused("InvalidParameter", sns.publish, TopicArn=plain, Message="m", MessageDeduplicationId="d")
sns.delete_topic(TopicArn=plain)

# Messages.
id = sns.publish(TopicArn=arn, Subject="hello", Message="<wörld>", MessageAttributes={
    "kind": {"DataType": "String", "StringValue": "greeting"}, "raw": {"DataType": "Binary", "BinaryValue": b"\x00\x01"}})["MessageId"]
headers, body = until("the message", lambda: got and got.pop(0))
message = json.loads(body)
assert (message["Type"], message["MessageId"], message["Subject"], message["Message"]) == ("Notification", id, "hello", "<wörld>"), message
assert message["MessageAttributes"] == {"kind": {"Type": "String", "Value": "greeting"}, "raw": {"Type": "Binary", "Value": "AAE="}}, message
assert headers["x-amz-sns-subscription-arn"] == subscription and headers["x-amz-sns-message-id"] == id, headers
sns.publish(TopicArn=arn, MessageStructure="json", Message=json.dumps({"default": "d", "http": "for http", "email": "e"}))
assert json.loads(until("the message for http", lambda: got and got.pop(0))[1])["Message"] == "for http"
for wrong in ({"Message": ""}, {"Message": "x" * (256 * 1024 + 1)}, {"Message": "m", "Subject": "s" * 101}, {"Message": "m", "Subject": "a\nb"},
              {"Message": "{}", "MessageStructure": "json"}, {"Message": "no json", "MessageStructure": "json"}):
    refused("InvalidParameter", sns.publish, TopicArn=arn, **wrong)
refused("ParameterValueInvalid", sns.publish, TopicArn=arn, Message="m", MessageAttributes={"k": {"DataType": "Odd", "StringValue": "v"}})
refused("NotFound", sns.publish, TopicArn=arn + "x", Message="m")

batch = sns.publish_batch(TopicArn=arn, PublishBatchRequestEntries=[
    {"Id": "1", "Message": "one"}, {"Id": "2", "Message": "two", "Subject": "a\nb"}, {"Id": "3", "Message": "three"}])
assert [e["Id"] for e in batch["Successful"]] == ["1", "3"] and batch["Failed"][0]["Code"] == "InvalidParameter", batch
until("both", lambda: len(got) == 2)
assert [json.loads(b)["Message"] for _, b in got] == ["one", "three"], got
got.clear()
refused("EmptyBatchRequest", sns.publish_batch, TopicArn=arn, PublishBatchRequestEntries=[])
refused("BatchEntryIdsNotDistinct", sns.publish_batch, TopicArn=arn, PublishBatchRequestEntries=[{"Id": "1", "Message": "a"}, {"Id": "1", "Message": "b"}])
refused("TooManyEntriesInBatchRequest", sns.publish_batch, TopicArn=arn, PublishBatchRequestEntries=[{"Id": str(i), "Message": "a"} for i in range(11)])

sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="RawMessageDelivery", AttributeValue="true")
assert sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]["RawMessageDelivery"] == "true"
sns.publish(TopicArn=arn, Subject="s", Message="as it is")
headers, body = until("the raw message", lambda: got and got.pop(0))
assert body == "as it is" and headers["x-amz-sns-rawdelivery"] == "true", (headers, body)

sns.unsubscribe(SubscriptionArn=subscription)
sns.unsubscribe(SubscriptionArn=subscription)
assert sns.list_subscriptions()["Subscriptions"] == []
refused("NotFound", sns.get_subscription_attributes, SubscriptionArn=subscription)
sns.delete_topic(TopicArn=arn)
assert sns.list_topics()["Topics"] == []
