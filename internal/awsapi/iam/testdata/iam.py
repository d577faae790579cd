"""IAM and STS over the wire, as the root of the account."""
import json

import boto3
import botocore.exceptions

iam, sts = boto3.client("iam"), boto3.client("sts")
ACCOUNT = "000000000000"


def refused(code, status, word, call, **kwargs):
    try:
        call(**kwargs)
    except botocore.exceptions.ClientError as e:
        got = e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]
        assert got == (code, status) and word in e.response["Error"]["Message"], (got, e)
        return
    raise AssertionError(f"{call.__name__} was not refused with {code}")


def trust(service):
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}]})


def statements(*all):
    return json.dumps({"Version": "2012-10-17", "Statement": list(all)})


ALLOW = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "arn:aws:lambda:*:*:function:check"}
DENY = {"Sid": "No", "Effect": "Deny", "Action": "lambda:*", "Resource": "*"}

# Roles.
made = iam.create_role(RoleName="hook", Path="/ci/", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"), Description="a hook",
                       MaxSessionDuration=7200, Tags=[{"Key": "team", "Value": "shop"}])["Role"]
assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/ci/hook" and made["RoleId"].startswith("AROA") and len(made["RoleId"]) == 21, made
assert made["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": "lambda.amazonaws.com"}, made
got = iam.get_role(RoleName="hook")["Role"]
assert got["MaxSessionDuration"] == 7200 and got["Description"] == "a hook" and got["Tags"] == [{"Key": "team", "Value": "shop"}], got
assert got["CreateDate"].year > 2000
refused("EntityAlreadyExists", 409, "Role with name hook already exists", iam.create_role, RoleName="hook", AssumeRolePolicyDocument=trust("x.amazonaws.com"))
refused("MalformedPolicyDocument", 400, "", iam.create_role, RoleName="bad", AssumeRolePolicyDocument="{")
refused("MalformedPolicyDocument", 400, "Principal", iam.create_role, RoleName="bad", AssumeRolePolicyDocument=statements(ALLOW))
refused("ValidationError", 400, "roleName", iam.create_role, RoleName="a b", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
refused("ValidationError", 400, "path", iam.create_role, RoleName="bad", Path="x", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
refused("InvalidInput", 400, "boundaries", iam.create_role, RoleName="bad", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"),
        PermissionsBoundary="arn:aws:iam::aws:policy/AdministratorAccess")
refused("NoSuchEntity", 404, "The role with name nobody cannot be found.", iam.get_role, RoleName="nobody")
iam.update_role(RoleName="hook", Description="other", MaxSessionDuration=3600)
iam.update_assume_role_policy(RoleName="hook", PolicyDocument=trust("codedeploy.amazonaws.com"))
got = iam.get_role(RoleName="hook")["Role"]
assert got["Description"] == "other" and got["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"] == "codedeploy.amazonaws.com", got
refused("MalformedPolicyDocument", 400, "", iam.update_assume_role_policy, RoleName="hook", PolicyDocument=statements(ALLOW))
iam.tag_role(RoleName="hook", Tags=[{"Key": "a", "Value": ""}])
assert {"Key": "a", "Value": ""} in iam.list_role_tags(RoleName="hook")["Tags"]
iam.tag_role(RoleName="hook", Tags=[{"Key": "a", "Value": "1"}, {"Key": "team", "Value": "x"}])
assert iam.list_role_tags(RoleName="hook")["Tags"] == [{"Key": "a", "Value": "1"}, {"Key": "team", "Value": "x"}]
iam.untag_role(RoleName="hook", TagKeys=["a"])
assert iam.list_role_tags(RoleName="hook")["Tags"] == [{"Key": "team", "Value": "x"}]
for n in range(5):
    iam.create_role(RoleName=f"r{n}", AssumeRolePolicyDocument=trust("lambda.amazonaws.com"))
first = iam.list_roles(MaxItems=4)
assert first["IsTruncated"] and len(first["Roles"]) == 4, first
rest = iam.list_roles(Marker=first["Marker"])
assert not rest["IsTruncated"] and [r["RoleName"] for r in first["Roles"] + rest["Roles"]] == ["hook", "r0", "r1", "r2", "r3", "r4"], rest
assert [r["RoleName"] for r in iam.list_roles(PathPrefix="/ci/")["Roles"]] == ["hook"]
refused("ValidationError", 400, "Marker", iam.list_roles, Marker="nonsense")
assert iam.list_instance_profiles_for_role(RoleName="hook")["InstanceProfiles"] == []

# Inline policies.
iam.put_role_policy(RoleName="hook", PolicyName="invoke", PolicyDocument=statements(ALLOW))
got = iam.get_role_policy(RoleName="hook", PolicyName="invoke")
assert got["PolicyDocument"]["Statement"][0] == ALLOW and got["RoleName"] == "hook", got
assert iam.list_role_policies(RoleName="hook")["PolicyNames"] == ["invoke"]
refused("MalformedPolicyDocument", 400, "", iam.put_role_policy, RoleName="hook", PolicyName="bad", PolicyDocument='{"Statement": 1}')
refused("LimitExceeded", 409, "", iam.put_role_policy, RoleName="hook", PolicyName="long", PolicyDocument=statements(
    {**ALLOW, "Resource": ["arn:aws:s3:::" + str(n).zfill(50) for n in range(200)]}))
refused("NoSuchEntity", 404, "The role policy with name nothing cannot be found.", iam.get_role_policy, RoleName="hook", PolicyName="nothing")
refused("NoSuchEntity", 404, "", iam.put_role_policy, RoleName="nobody", PolicyName="p", PolicyDocument=statements(ALLOW))

# Managed policies, AWS's and ours.
aws = "arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS"
iam.attach_role_policy(RoleName="hook", PolicyArn=aws)
iam.attach_role_policy(RoleName="hook", PolicyArn=aws)
policy = iam.create_policy(PolicyName="deny", PolicyDocument=statements(DENY), Description="no", Tags=[{"Key": "k", "Value": "v"}])["Policy"]
own = policy["Arn"]
assert own == f"arn:aws:iam::{ACCOUNT}:policy/deny" and policy["DefaultVersionId"] == "v1" and policy["AttachmentCount"] == 0, policy
refused("EntityAlreadyExists", 409, "A policy called deny already exists", iam.create_policy, PolicyName="deny", PolicyDocument=statements(DENY))
refused("MalformedPolicyDocument", 400, "", iam.create_policy, PolicyName="bad", PolicyDocument="x")
iam.attach_role_policy(RoleName="hook", PolicyArn=own)
attached = iam.list_attached_role_policies(RoleName="hook")["AttachedPolicies"]
assert attached == [{"PolicyName": "deny", "PolicyArn": own}, {"PolicyName": "AWSCodeDeployRoleForECS", "PolicyArn": aws}], attached
refused("NoSuchEntity", 404, "does not exist or is not attachable", iam.attach_role_policy, RoleName="hook", PolicyArn="arn:aws:iam::aws:policy/Nothing")
assert iam.get_policy(PolicyArn=own)["Policy"]["AttachmentCount"] == 1
assert iam.get_policy(PolicyArn=aws)["Policy"]["PolicyName"] == "AWSCodeDeployRoleForECS"
text = iam.get_policy_version(PolicyArn=aws, VersionId="v3")["PolicyVersion"]
assert text["IsDefaultVersion"] and "lambda:InvokeFunction" in text["Document"]["Statement"][0]["Action"], text
assert iam.list_entities_for_policy(PolicyArn=own)["PolicyRoles"][0]["RoleName"] == "hook"
names = {p["PolicyName"] for page in iam.get_paginator("list_policies").paginate(PaginationConfig={"PageSize": 3}) for p in page["Policies"]}
assert {"deny", "AdministratorAccess", "AWSLambdaBasicExecutionRole"} <= names, names
assert [p["PolicyName"] for p in iam.list_policies(Scope="Local")["Policies"]] == ["deny"]
assert [p["PolicyName"] for p in iam.list_policies(OnlyAttached=True, Scope="AWS")["Policies"]] == ["AWSCodeDeployRoleForECS"]
version = iam.create_policy_version(PolicyArn=own, PolicyDocument=statements(ALLOW))["PolicyVersion"]
assert version["VersionId"] == "v2" and not version["IsDefaultVersion"], version
iam.create_policy_version(PolicyArn=own, PolicyDocument=statements(DENY), SetAsDefault=True)
assert [(v["VersionId"], v["IsDefaultVersion"]) for v in iam.list_policy_versions(PolicyArn=own)["Versions"]] == [("v3", True), ("v2", False), ("v1", False)]
refused("DeleteConflict", 409, "default version", iam.delete_policy_version, PolicyArn=own, VersionId="v3")
iam.set_default_policy_version(PolicyArn=own, VersionId="v1")
assert iam.get_policy(PolicyArn=own)["Policy"]["DefaultVersionId"] == "v1"
refused("NoSuchEntity", 404, "v9", iam.set_default_policy_version, PolicyArn=own, VersionId="v9")
iam.set_default_policy_version(PolicyArn=own, VersionId="v3")
for v in ("v4", "v5"):
    iam.create_policy_version(PolicyArn=own, PolicyDocument=statements(ALLOW))
refused("LimitExceeded", 409, "up to 5 versions", iam.create_policy_version, PolicyArn=own, PolicyDocument=statements(ALLOW))
refused("NoSuchEntity", 404, "", iam.get_policy_version, PolicyArn=own, VersionId="v9")
refused("AccessDenied", 403, "AWS's own", iam.delete_policy, PolicyArn=aws)
refused("NoSuchEntity", 404, "was not found", iam.get_policy, PolicyArn=own + "x")

# What is in use is not deleted.
refused("DeleteConflict", 409, "attached to entities", iam.delete_policy, PolicyArn=own)
refused("DeleteConflict", 409, "must detach all policies first", iam.delete_role, RoleName="hook")

# Simulation.
check = f"arn:aws:lambda:us-east-1:{ACCOUNT}:function:check"
result = iam.simulate_principal_policy(PolicySourceArn=got and made["Arn"], ActionNames=["lambda:InvokeFunction"], ResourceArns=[check])["EvaluationResults"][0]
assert result["EvalDecision"] == "explicitDeny" and result["MatchedStatements"][0]["SourcePolicyId"] == own, result
assert result["MatchedStatements"][0]["SourcePolicyType"] == "user-managed" and result["MatchedStatements"][0]["StartPosition"]["Line"] == 1, result
iam.detach_role_policy(RoleName="hook", PolicyArn=own)
iam.detach_role_policy(RoleName="hook", PolicyArn=aws)
refused("NoSuchEntity", 404, "was not found", iam.detach_role_policy, RoleName="hook", PolicyArn=aws)
ask = dict(PolicySourceArn=made["Arn"], ActionNames=["lambda:InvokeFunction", "lambda:GetFunction"], ResourceArns=[check, check + "2"])
results = iam.simulate_principal_policy(**ask)["EvaluationResults"]
assert [(r["EvalActionName"], r["EvalResourceName"], r["EvalDecision"]) for r in results] == [
    ("lambda:InvokeFunction", check, "allowed"), ("lambda:InvokeFunction", check + "2", "implicitDeny"),
    ("lambda:GetFunction", check, "implicitDeny"), ("lambda:GetFunction", check + "2", "implicitDeny")], results
first = iam.simulate_principal_policy(MaxItems=3, **ask)
assert first["IsTruncated"] and len(iam.simulate_principal_policy(Marker=first["Marker"], **ask)["EvaluationResults"]) == 1
condition = {"Effect": "Allow", "Action": "iam:PassRole", "Resource": "*", "Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}}
result = iam.simulate_custom_policy(PolicyInputList=[statements(condition)], ActionNames=["iam:PassRole"])["EvaluationResults"][0]
assert result["EvalDecision"] == "implicitDeny" and result["MissingContextValues"] == ["iam:PassedToService"], result
result = iam.simulate_custom_policy(PolicyInputList=[statements(condition)], ActionNames=["iam:PassRole"], ContextEntries=[
    {"ContextKeyName": "iam:PassedToService", "ContextKeyType": "string", "ContextKeyValues": ["lambda.amazonaws.com"]}])["EvaluationResults"][0]
assert result["EvalDecision"] == "allowed", result
refused("InvalidInput", 400, "", iam.simulate_custom_policy, PolicyInputList=["{"], ActionNames=["iam:PassRole"])
refused("InvalidInput", 400, "wildcards", iam.simulate_custom_policy, PolicyInputList=[statements(ALLOW)], ActionNames=["iam:*"])
refused("NoSuchEntity", 404, "", iam.simulate_principal_policy, PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/nobody", ActionNames=["iam:PassRole"])

# Users and keys.
user = iam.create_user(UserName="ann", Path="/staff/", Tags=[{"Key": "k", "Value": "v"}])["User"]
assert user["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/staff/ann" and user["UserId"].startswith("AIDA"), user
refused("EntityAlreadyExists", 409, "User with name ann already exists.", iam.create_user, UserName="ann")
refused("NoSuchEntity", 404, "The user with name bob cannot be found.", iam.get_user, UserName="bob")
assert iam.get_user()["User"]["Arn"].endswith(":root")
assert [u["UserName"] for u in iam.list_users()["Users"]] == ["ann"]
iam.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=statements(ALLOW))
assert iam.get_user_policy(UserName="ann", PolicyName="p")["PolicyDocument"]["Statement"][0] == ALLOW
assert iam.list_user_policies(UserName="ann")["PolicyNames"] == ["p"]
iam.attach_user_policy(UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
assert iam.list_attached_user_policies(UserName="ann")["AttachedPolicies"][0]["PolicyName"] == "AdministratorAccess"
key = iam.create_access_key(UserName="ann")["AccessKey"]
assert key["AccessKeyId"].startswith("AKIA") and len(key["AccessKeyId"]) == 20 and len(key["SecretAccessKey"]) == 40 and key["Status"] == "Active", key
second = iam.create_access_key(UserName="ann")["AccessKey"]
assert second["SecretAccessKey"] != key["SecretAccessKey"]
refused("LimitExceeded", 409, "AccessKeysPerUser: 2", iam.create_access_key, UserName="ann")
refused("ValidationError", 400, "userName", iam.create_access_key)
iam.update_access_key(UserName="ann", AccessKeyId=second["AccessKeyId"], Status="Inactive")
listed = iam.list_access_keys(UserName="ann")["AccessKeyMetadata"]
assert [(k["AccessKeyId"], k["Status"]) for k in listed] == [(key["AccessKeyId"], "Active"), (second["AccessKeyId"], "Inactive")], listed
assert all("SecretAccessKey" not in k for k in listed)
assert iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])["UserName"] == "ann"
refused("NoSuchEntity", 404, "cannot be found", iam.update_access_key, UserName="ann", AccessKeyId="AKIANOBODYNOBODY0000", Status="Active")
refused("DeleteConflict", 409, "access keys", iam.delete_user, UserName="ann")
for k in (key, second):
    iam.delete_access_key(UserName="ann", AccessKeyId=k["AccessKeyId"])
refused("DeleteConflict", 409, "detach", iam.delete_user, UserName="ann")
iam.detach_user_policy(UserName="ann", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
refused("DeleteConflict", 409, "policies", iam.delete_user, UserName="ann")
iam.delete_user_policy(UserName="ann", PolicyName="p")
iam.delete_user(UserName="ann")
assert iam.list_users()["Users"] == []

# Everything goes again.
refused("DeleteConflict", 409, "must delete policies first", iam.delete_role, RoleName="hook")
iam.delete_role_policy(RoleName="hook", PolicyName="invoke")
refused("NoSuchEntity", 404, "", iam.delete_role_policy, RoleName="hook", PolicyName="invoke")
iam.delete_role(RoleName="hook")
refused("NoSuchEntity", 404, "", iam.delete_role, RoleName="hook")
refused("DeleteConflict", 409, "more than one version", iam.delete_policy, PolicyArn=own)
for v in ("v1", "v2", "v4", "v5"):
    iam.delete_policy_version(PolicyArn=own, VersionId=v)
iam.delete_policy(PolicyArn=own)
refused("NoSuchEntity", 404, "", iam.delete_policy, PolicyArn=own)

# STS.
who = sts.get_caller_identity()
assert who["Account"] == ACCOUNT and who["Arn"] == f"arn:aws:iam::{ACCOUNT}:root" and who["UserId"] == ACCOUNT, who
refused("AccessDenied", 403, "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::000000000000:role/r0", sts.assume_role,
        RoleArn="arn:aws:iam::000000000000:role/r0", RoleSessionName="me")
