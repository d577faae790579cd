"""Who may do what, each story by its name: `python3 permissions.py NAME`."""
import io
import json
import os
import subprocess
import sys
import urllib.request
import zipfile

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from site_of import REPORT, Site, allow, document, ended, get, hook_role, iam, refused, role

ACCOUNT = "000000000000"
sts = boto3.client("sts")


def code(name="hook.py"):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as z:
        z.write(os.path.join(os.path.dirname(os.path.abspath(__file__)), name), name)
    return data.getvalue()


def function(name, role, handler="hook.handler", **env):
    return boto3.client("lambda").create_function(
        FunctionName=name, Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}", Handler=handler, Role=role,
        Code={"ZipFile": code()}, Timeout=20, Environment={"Variables": env})["FunctionArn"]


class User:
    """A user with a key, and clients that sign with it."""
    def __init__(self, name, *statements, attach=()):
        self.name = name
        self.arn = iam.create_user(UserName=name)["User"]["Arn"]
        if statements:
            self.may(*statements)
        for policy in attach:
            iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/" + policy)
        self.key = iam.create_access_key(UserName=name)["AccessKey"]
        self.session = boto3.Session(aws_access_key_id=self.key["AccessKeyId"], aws_secret_access_key=self.key["SecretAccessKey"])

    def client(self, service, **other):
        return self.session.client(service, **other)

    def may(self, *statements):
        iam.put_user_policy(UserName=self.name, PolicyName="own", PolicyDocument=document(*statements))


def own(user, operation):
    """An action of Greengate's own: its status, and the name of its error."""
    request = AWSRequest("POST", os.environ["AWS_ENDPOINT_URL"] + "/", data="{}", headers={
        "Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "Greengate_20261122." + operation})
    SigV4Auth(user.session.get_credentials(), "codedeploy", "us-east-1").add_auth(request)
    try:
        with urllib.request.urlopen(urllib.request.Request(request.url, data=b"{}", headers=dict(request.headers))) as answer:
            return answer.status, None
    except urllib.error.HTTPError as e:
        return e.code, json.load(e)["__type"]


def users():
    """Nothing is allowed that no policy allows, a Deny wins, and the messages are AWS's."""
    u = User("ann")
    ecs, deploy = u.client("ecs"), u.client("codedeploy")
    message = refused("AccessDeniedException", ecs.create_cluster, clusterName="denied")
    assert message == f"User: {u.arn} is not authorized to perform: ecs:CreateCluster on resource: * because no identity-based policy allows the ecs:CreateCluster action", message
    message = refused("AccessDeniedException", deploy.get_application, applicationName="mine")
    assert f"codedeploy:GetApplication on resource: arn:aws:codedeploy:us-east-1:{ACCOUNT}:application:mine because" in message, message
    u.may(allow(["ecs:CreateCluster", "ecs:DescribeClusters"]), allow("codedeploy:*", f"arn:aws:codedeploy:*:{ACCOUNT}:application:mine"))
    ecs.create_cluster(clusterName="allowed")
    deploy.create_application(applicationName="mine", computePlatform="ECS")
    assert deploy.get_application(applicationName="mine")["application"]["applicationName"] == "mine"
    refused("AccessDeniedException", deploy.create_application, applicationName="other", computePlatform="ECS")
    refused("AccessDeniedException", deploy.list_applications)
    refused("AccessDeniedException", ecs.delete_cluster, cluster="allowed")
    u.may(allow("*"), {"Effect": "Deny", "Action": "ecs:Delete*", "Resource": "*"})
    message = refused("AccessDeniedException", ecs.delete_cluster, cluster="allowed")
    assert message.endswith("with an explicit deny in an identity-based policy"), message
    assert "mine" in deploy.list_applications()["applications"]
    # Other services word it their own way.
    u.may(allow("ecs:*"))
    refused("AccessDenied", u.client("iam").list_roles)
    refused("AccessDenied", u.client("elbv2").describe_load_balancers)
    refused("AccessDeniedException", u.client("lambda").list_functions)
    refused("AccessDeniedException", u.client("logs").describe_log_groups)
    refused("AccessDenied", u.client("s3").list_buckets)
    # So are Greengate's own actions.
    assert own(u, "ListServices") == (400, "AccessDeniedException")
    u.may(allow("greengate:List*"))
    assert own(u, "ListServices")[0] == 200 and own(u, "Down") == (400, "AccessDeniedException")
    # Conditions see where a request comes from and which region it is for.
    u.may(allow("ecs:ListClusters", Condition={"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}, "StringEquals": {"aws:RequestedRegion": "eu-west-1"}}))
    u.client("ecs", region_name="eu-west-1").list_clusters()
    refused("AccessDeniedException", ecs.list_clusters)
    u.may(allow("ecs:ListClusters", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
    refused("AccessDeniedException", ecs.list_clusters)


def administrators():
    """With AdministratorAccess a user may everything; handing roles on is a permission of its own."""
    admin = User("admin", attach=["AdministratorAccess"])
    assert admin.client("sts").get_caller_identity()["Arn"] == admin.arn
    admin.client("iam").create_role(RoleName="by-admin", AssumeRolePolicyDocument=document(
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}))
    arn = f"arn:aws:iam::{ACCOUNT}:role/by-admin"
    admin.client("lambda").create_function(FunctionName="by-admin", Runtime="python3.11", Handler="hook.echo", Role=arn, Code={"ZipFile": code()})
    dev = User("dev", allow("lambda:*"), allow("ecs:*"))
    f = dev.client("lambda")
    new = dict(FunctionName="by-dev", Runtime="python3.11", Handler="hook.echo", Role=arn, Code={"ZipFile": code()})
    message = refused("AccessDeniedException", f.create_function, **new)
    assert f"iam:PassRole on resource: {arn}" in message, message
    task = dict(family="by-dev", taskRoleArn="by-admin", containerDefinitions=[{"name": "a", "image": "process:", "entryPoint": ["true"]}])
    refused("AccessDeniedException", dev.client("ecs").register_task_definition, **task)
    dev.may(allow("lambda:*"), allow("ecs:*"), allow("iam:PassRole", arn, Condition={"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}))
    f.create_function(**new)
    refused("AccessDeniedException", f.update_function_configuration, FunctionName="by-dev", Role=f"arn:aws:iam::{ACCOUNT}:role/other")
    refused("AccessDeniedException", dev.client("ecs").register_task_definition, **task)


def keys():
    """A key works while it is active, and not a moment longer."""
    u = User("carl", allow("sts:*"))
    who = u.client("sts")
    me = who.get_caller_identity()
    assert me["Arn"] == u.arn and me["Account"] == ACCOUNT and me["UserId"] == iam.get_user(UserName="carl")["User"]["UserId"], me
    iam.update_access_key(UserName="carl", AccessKeyId=u.key["AccessKeyId"], Status="Inactive")
    refused("InvalidClientTokenId", who.get_caller_identity)
    refused("UnrecognizedClientException", u.client("ecs").list_clusters)
    iam.update_access_key(UserName="carl", AccessKeyId=u.key["AccessKeyId"], Status="Active")
    assert who.get_caller_identity()["Arn"] == u.arn
    wrong = boto3.Session(aws_access_key_id=u.key["AccessKeyId"], aws_secret_access_key="x" * 40).client("sts")
    refused("SignatureDoesNotMatch", wrong.get_caller_identity)
    token = boto3.Session(u.key["AccessKeyId"], u.key["SecretAccessKey"], "token").client("sts")
    refused("InvalidClientTokenId", token.get_caller_identity)
    iam.delete_access_key(UserName="carl", AccessKeyId=u.key["AccessKeyId"])
    refused("InvalidClientTokenId", who.get_caller_identity)
    # What was kept of the keys does not hold their secrets.
    data = os.path.dirname(os.environ["AWS_SHARED_CREDENTIALS_FILE"])
    for folder, _, files in os.walk(data):
        for name in files:
            if not os.path.isfile(os.path.join(folder, name)):
                continue  # a socket, or a pipe that would never end
            with open(os.path.join(folder, name), "rb") as f:
                assert u.key["SecretAccessKey"].encode() not in f.read(), os.path.join(folder, name)


def outsiders():
    """AssumeRole is refused to everybody, so that clients do not go on with AWS itself; roles can be simulated."""
    arn = role("simulated", "codedeploy", invoke=allow("lambda:InvokeFunction", f"arn:aws:lambda:*:{ACCOUNT}:function:a"))
    message = refused("AccessDenied", sts.assume_role, RoleArn=arn, RoleSessionName="me")
    assert message == f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: sts:AssumeRole on resource: {arn}", message
    admin = User("eve", attach=["AdministratorAccess"])
    refused("AccessDenied", admin.client("sts").assume_role, RoleArn=arn, RoleSessionName="me")
    results = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["lambda:InvokeFunction", REPORT], ResourceArns=[
        f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:a"])["EvaluationResults"]
    assert [r["EvalDecision"] for r in results] == ["allowed", "implicitDeny"], results
    out = subprocess.run(["aws", "iam", "simulate-principal-policy", "--policy-source-arn", arn, "--action-names", "lambda:InvokeFunction", "--resource-arns",
                          f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:b", "--query", "EvaluationResults[0].EvalDecision", "--output", "text"],
                         capture_output=True, text=True)
    assert out.stdout.strip() == "implicitDeny", out


def failed(s, hook, event="AfterInstall"):
    """A deployment with a hook that fails; production stays on the old version."""
    d = ended(s.deploy("v2", hooks={event: hook}), 150)
    assert d["status"] == "Failed" and get(s.production) == "v1", d
    return d["deploymentId"], d["errorInformation"]


def service_role():
    """The service role must be there, trust CodeDeploy, allow its work and lambda:InvokeFunction on the hook."""
    s = Site("service-role")
    arn = function("invoked", hook_role(), URL=f"http://{s.test}/", WANT="v2")
    missing = f"arn:aws:iam::{ACCOUNT}:role/invoking"
    s.change(serviceRoleArn=missing)
    _, error = failed(s, "invoked")
    service = f"arn:aws:ecs:us-east-1:{ACCOUNT}:service/c/{s.name}"
    assert error["code"] == "IAM_ROLE_MISSING" and f"role {missing} cannot perform ecs:DescribeServices on {service}: the role does not exist" in error["message"], error
    assert "aws iam create-role --role-name invoking" in error["message"], error
    role("invoking", "lambda")
    _, error = failed(s, "invoked")
    assert error["code"] == "IAM_ROLE_PERMISSIONS" and "its trust policy does not let codedeploy.amazonaws.com assume it" in error["message"], error
    iam.delete_role(RoleName="invoking")
    role("invoking", "codedeploy", lambdas=allow("lambda:InvokeFunction"))
    id, error = failed(s, "invoked")
    assert error["code"] == "IAM_ROLE_PERMISSIONS" and f"role {missing} is not allowed to perform ecs:DescribeServices on {service}" in error["message"], error
    assert f"ecs:CreateTaskSet on {service.replace(':service/', ':task-set/')}/*" in error["message"], error
    assert f"elasticloadbalancing:ModifyListener on {s.arn}" in error["message"] and s.events(id)["Install"] == "Skipped", (error, s.events(id))
    iam.delete_role_policy(RoleName="invoking", PolicyName="lambdas")
    role("invoking", "codedeploy", ["AWSCodeDeployRoleForECSLimited"])
    id, error = failed(s, "invoked")
    assert error["code"] == "IAM_ROLE_PERMISSIONS", error
    assert f"role {missing} is not allowed to perform lambda:InvokeFunction on {arn}" in error["message"], error
    assert s.events(id)["AfterInstall"] == "Failed", s.events(id)
    # The function never ran: its log is empty.
    assert not boto3.client("logs").filter_log_events(logGroupName="/aws/lambda/invoked")["events"]
    iam.put_role_policy(RoleName="invoking", PolicyName="no", PolicyDocument=document(
        allow("lambda:*"), {"Sid": "Never", "Effect": "Deny", "Action": "lambda:InvokeFunction", "Resource": arn}))
    _, error = failed(s, "invoked")
    assert error["code"] == "IAM_ROLE_PERMISSIONS" and "policy no, statement Never denies it" in error["message"], error
    iam.put_role_policy(RoleName="invoking", PolicyName="no", PolicyDocument=document(allow("lambda:InvokeFunction", arn)))
    d = ended(s.deploy("v2", hooks={"AfterInstall": "invoked"}))
    assert d["status"] == "Succeeded", d


def function_role():
    """The function's role must be there, trust Lambda, and allow the callback; without that the version is not blamed."""
    s = Site("function-role")
    arn = f"arn:aws:iam::{ACCOUNT}:role/reporting"
    function("reporting", arn, URL=f"http://{s.test}/", WANT="v2")
    _, error = failed(s, "reporting")
    assert error["code"] == "IAM_ROLE_PERMISSIONS" and f"function reporting cannot run: role {arn}" in error["message"], error
    role("reporting", "lambda", report=allow(REPORT, f"arn:aws:codedeploy:*:{ACCOUNT}:deploymentgroup:other/*"))
    id, error = failed(s, "reporting")
    group = f"arn:aws:codedeploy:us-east-1:{ACCOUNT}:deploymentgroup:{s.name}/g"
    assert f"its verdict could not be reported: role {arn} is not allowed to perform {REPORT} on {group}" in error["message"], error
    assert error["code"] == "HOOK_EXECUTION_FAILURE", error
    lines = [e["message"] for e in boto3.client("logs").filter_log_events(logGroupName="/aws/lambda/reporting")["events"]]
    assert any("AccessDeniedException" in line and REPORT in line for line in lines), lines
    role("reporting", "lambda", report=allow(REPORT, group))
    d = ended(s.deploy("v2", hooks={"AfterInstall": "reporting"}))
    assert d["status"] == "Succeeded" and get(s.production) == "v2", d


def callers():
    """What a function calls is called by its role."""
    arn = role("caller", "lambda", who=allow("ecs:ListClusters"))
    function("caller", arn, handler="hook.who")
    f = boto3.client("lambda")
    answer = f.invoke(FunctionName="caller")
    said = answer["Payload"].read().decode()
    assert f"arn:aws:sts::{ACCOUNT}:assumed-role/caller/caller" in said and "AccessDeniedException" in said and "clusters" in said, said
    # A role that is not there gives no credentials: the function may compute, and call nothing.
    function("nobody", f"arn:aws:iam::{ACCOUNT}:role/nothing", handler="hook.who")
    answer = f.invoke(FunctionName="nobody")
    said = answer["Payload"].read().decode()
    assert answer["FunctionError"] and "NoCredentialsError" in said, said


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("ok", sys.argv[1])
