"""A listener on a port that something else has."""
import boto3
import botocore.exceptions

elb = boto3.client("elbv2")
lb = elb.create_load_balancer(Name="a", Subnets=["s"])["LoadBalancers"][0]
try:
    elb.create_listener(LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=[
        {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200"}}])
except botocore.exceptions.ClientError as e:
    assert e.response["Error"]["Code"] == "InvalidConfigurationRequest" and "is in use" in str(e), e
else:
    raise AssertionError("not refused")
