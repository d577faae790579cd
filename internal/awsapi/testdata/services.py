"""Drives one operation or two of each service with boto3 against stub handlers; prints, as JSON, what a program would see."""

import io
import json
import socket
import sys
import urllib.error
import urllib.request
import zipfile

import boto3
import botocore.config
import botocore.exceptions

out = {}
resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *more, **kw: resolve("127.0.0.1" if host.endswith("localhost") else host, *more, **kw)


def client(name, **config):
    return boto3.client(name, region_name="us-east-1", config=botocore.config.Config(retries={"total_max_attempts": 1}, **config))


def error(call, **kw):
    try:
        call(**kw)
    except botocore.exceptions.ClientError as e:
        r = e.response
        return [r["Error"]["Code"], type(e).__name__, r["ResponseMetadata"]["HTTPStatusCode"], r["ResponseMetadata"].get("RequestId", "") != "",
                r["Error"].get("Message", "")]
    return "no error"


def wrong(name):
    return boto3.client(name, region_name="us-east-1", aws_access_key_id="AKIAROOT", aws_secret_access_key="guess",
                        config=botocore.config.Config(retries={"total_max_attempts": 1}))


ecs = client("ecs")
s = ecs.describe_services(cluster="c", services=["web"], include=["TAGS"])["services"][0]
out["ecs"] = [s["serviceName"], s["desiredCount"], s["createdAt"].timestamp(), [t["status"] for t in s["taskSets"]]]
out["ecs_error"] = error(ecs.describe_services, services=["missing"])
out["ecs_unserved"] = error(ecs.list_clusters)

elb = client("elbv2")
page = elb.get_paginator("describe_load_balancers").paginate(Names=["a", "b"], PaginationConfig={"PageSize": 1}).build_full_result()
out["elbv2"] = [[b["LoadBalancerName"], b["State"]["Code"], b["CreatedTime"].timestamp(), b["AvailabilityZones"]] for b in page["LoadBalancers"]]
out["elbv2_error"] = error(elb.describe_load_balancers, Names=["missing"])
out["elbv2_unserved"] = error(elb.describe_rules)
out["elbv2_wrong"] = error(wrong("elbv2").describe_load_balancers)

lam = client("lambda")
z = io.BytesIO()
with zipfile.ZipFile(z, "w") as archive:
    archive.writestr("index.py", "def handler(event, context): pass\n" + "#" * 100000)
made = lam.create_function(FunctionName="hook", Runtime="python3.12", Role="arn:aws:iam::000000000000:role/r", Handler="index.handler",
                           Code={"ZipFile": z.getvalue()}, Environment={"Variables": {"A": "1"}}, Timeout=30)
out["lambda_create"] = [made["ResponseMetadata"]["HTTPStatusCode"], made["FunctionArn"], made["CodeSize"] == len(z.getvalue()), made["Environment"]]
out["lambda_list"] = [f["FunctionName"] for f in lam.list_functions(MaxItems=5)["Functions"]]
call = lam.invoke(FunctionName="arn:aws:lambda:us-east-1:000000000000:function:hook", Payload=b'{"a": 1}', LogType="Tail", Qualifier="1")
out["lambda_invoke"] = [call["StatusCode"], call["Payload"].read().decode(), call["LogResult"], call["FunctionError"], call["ExecutedVersion"]]
out["lambda_event"] = [lam.invoke(FunctionName="hook", InvocationType="Event")[k] for k in ("StatusCode",)]
out["lambda_untag"] = lam.untag_resource(Resource="arn:aws:lambda:us-east-1:000000000000:function:hook", TagKeys=["a", "b&c"])["ResponseMetadata"]["HTTPStatusCode"]
out["lambda_error"] = error(lam.invoke, FunctionName="missing")
out["lambda_unserved"] = error(lam.list_layers)
out["lambda_wrong"] = error(wrong("lambda").list_functions)

logs = client("logs")
out["logs"] = logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[{"timestamp": 1795348800000, "message": "täßt\n"}])["nextSequenceToken"]
out["logs_error"] = error(logs.put_log_events, logGroupName="missing", logStreamName="s", logEvents=[{"timestamp": 1, "message": "m"}])

cw = client("cloudwatch")
cw.put_metric_alarm(AlarmName="5xx", MetricName="m", Namespace="n", Period=60, EvaluationPeriods=1, Threshold=0.5, ComparisonOperator="GreaterThanThreshold",
                    Statistic="Sum", ActionsEnabled=False, Dimensions=[{"Name": "d", "Value": "v"}])
alarm = cw.describe_alarms(AlarmNames=["5xx"])["MetricAlarms"][0]
out["cloudwatch"] = [alarm["AlarmName"], alarm["Threshold"], alarm["ActionsEnabled"], alarm["Dimensions"], alarm["StateUpdatedTimestamp"].timestamp()]
cw.put_metric_data(Namespace="big", MetricData=[{"MetricName": "m%d" % i, "Value": i, "Dimensions": [{"Name": "dimension", "Value": "v" * 50}]} for i in range(200)])
out["cloudwatch_error"] = error(cw.set_alarm_state, AlarmName="missing", StateValue="OK", StateReason="r")
out["cloudwatch_unserved"] = error(cw.list_dashboards)
out["cloudwatch_wrong"] = error(wrong("cloudwatch").describe_alarms)

iam = client("iam")
role = iam.get_role(RoleName="deployer")["Role"]
out["iam"] = [role["RoleName"], role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"], role["CreateDate"].timestamp()]
out["iam_error"] = error(iam.get_role, RoleName="missing")

sts = client("sts")
out["sts"] = sts.get_caller_identity()["Arn"]
out["sts_denied"] = error(sts.assume_role, RoleArn="arn:aws:iam::000000000000:role/r", RoleSessionName="session")
with urllib.request.urlopen(sts.generate_presigned_url("get_caller_identity", HttpMethod="GET")) as answer:
    out["sts_presigned"] = b"<Arn>arn:aws:iam::000000000000:root</Arn>" in answer.read()

sns = client("sns")
out["sns"] = sns.publish(TopicArn="arn:aws:sns:us-east-1:000000000000:t", Message="a&b", MessageAttributes={"k": {"DataType": "String", "StringValue": "v"}})["MessageId"]

for style in ("path", "virtual"):
    s3 = client("s3", signature_version="s3v4", s3={"addressing_style": style}) if style == "path" else boto3.client(
        "s3", region_name="us-east-1", endpoint_url=sys.argv[1], config=botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "virtual"}))
    bucket = "revisions-" + style
    seen = [s3.create_bucket(Bucket=bucket)["Location"]]
    for key, body in (("app/spec ä+.yaml", b"version: 0.0\n"), ("empty", b""), ("big", b"x" * 3000000)):
        put = s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="text/yaml", Metadata={"Colour": "red"})
        got = s3.get_object(Bucket=bucket, Key=key)
        seen.append([put["ETag"] == got["ETag"], got["Body"].read() == body, got["ContentType"], got["Metadata"], got["ContentLength"] == len(body)])
    head = s3.head_object(Bucket=bucket, Key="big")
    seen.append([head["ContentLength"], head["LastModified"].timestamp()])
    listed = s3.list_objects_v2(Bucket=bucket)
    seen.append([[o["Key"], o["Size"]] for o in listed["Contents"]] + [listed["KeyCount"]])
    seen.append(s3.get_bucket_location(Bucket=bucket)["LocationConstraint"])
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "empty"}, {"Key": "a<b"}]})
    seen.append([d["Key"] for d in deleted["Deleted"]])
    out["s3_" + style] = seen
    out["s3_errors_" + style] = [error(s3.get_object, Bucket=bucket, Key="missing"), error(s3.head_object, Bucket=bucket, Key="missing"),
                                 error(s3.get_bucket_policy, Bucket=bucket), error(s3.get_object_acl, Bucket=bucket, Key="big")]
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "app/spec ä+.yaml"})
    with urllib.request.urlopen(url) as answer:
        seen.append(answer.read().decode())
    try:
        urllib.request.urlopen(url.replace("spec", "other"))
    except urllib.error.HTTPError as e:
        seen.append([e.code, b"<Code>SignatureDoesNotMatch</Code>" in e.read()])
    put = urllib.request.Request(s3.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "put"}), data=b"presigned", method="PUT")
    with urllib.request.urlopen(put) as answer:
        seen.append(answer.status)
    seen.append(s3.get_object(Bucket=bucket, Key="put")["Body"].read().decode())
unsigned = boto3.client("s3", region_name="us-east-1", config=botocore.config.Config(signature_version=botocore.UNSIGNED))
out["s3_anonymous"] = error(unsigned.get_object, Bucket="revisions-path", Key="big")
out["s3_wrong"] = error(wrong("s3").get_object, Bucket="revisions-path", Key="big")
print(json.dumps(out, ensure_ascii=False))
