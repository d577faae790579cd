"""Makes a service and a deployment at an endpoint, and prints the requests that ask for them as boto3 sends them, signed:
one JSON object a line, {"operation", "headers", "body"}. Arguments: the endpoint and a load balancer's port."""
import json
import sys

import boto3

endpoint, port = sys.argv[1], int(sys.argv[2])


def client(name):
    return boto3.client(name, endpoint_url=endpoint, region_name="us-east-1")


ecs, elb, cd, ec2, iam = client("ecs"), client("elbv2"), client("codedeploy"), client("ec2"), client("iam")
try:  # moto knows subnets
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{i}.0/24", AvailabilityZone=f"us-east-1{z}")["Subnet"]["SubnetId"] for i, z in enumerate("ab")]
except Exception:
    vpc, subnets = "vpc-1", ["subnet-a", "subnet-b"]
lb = elb.create_load_balancer(Name="bench", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
blue, green = [elb.create_target_group(Name=n, Protocol="HTTP", Port=80, TargetType="ip", VpcId=vpc)["TargetGroups"][0]["TargetGroupArn"] for n in ("blue", "green")]
listener = elb.create_listener(LoadBalancerArn=lb, Protocol="HTTP", Port=port, DefaultActions=[{"Type": "forward", "TargetGroupArn": blue}])["Listeners"][0]["ListenerArn"]
ecs.create_cluster(clusterName="bench")
ecs.register_task_definition(family="bench", containerDefinitions=[{
    "name": "app", "image": "process:", "command": ["/bin/sleep", "3600"], "memory": 64, "portMappings": [{"containerPort": 80}]}])
ecs.create_service(
    cluster="bench", serviceName="bench", taskDefinition="bench", desiredCount=2, deploymentController={"type": "CODE_DEPLOY"},
    loadBalancers=[{"targetGroupArn": blue, "containerName": "app", "containerPort": 80}])
iam.create_role(RoleName="codedeploy", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole"}]}))
iam.put_role_policy(RoleName="codedeploy", PolicyName="all", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["ecs:*", "elasticloadbalancing:*"], "Resource": "*"}]}))
cd.create_application(applicationName="bench", computePlatform="ECS")
cd.create_deployment_group(
    applicationName="bench", deploymentGroupName="bench", serviceRoleArn="arn:aws:iam::000000000000:role/codedeploy",
    deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
    blueGreenDeploymentConfiguration={
        "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT"},
        "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 60}},
    ecsServices=[{"clusterName": "bench", "serviceName": "bench"}],
    loadBalancerInfo={"targetGroupPairInfoList": [{"targetGroups": [{"name": "blue"}, {"name": "green"}], "prodTrafficRoute": {"listenerArns": [listener]}}]})
appspec = {"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": {
    "TaskDefinition": "bench", "LoadBalancerInfo": {"ContainerName": "app", "ContainerPort": 80}}}}]}
id = cd.create_deployment(applicationName="bench", deploymentGroupName="bench", revision={
    "revisionType": "AppSpecContent", "appSpecContent": {"content": json.dumps(appspec)}})["deploymentId"]


def sent(request, operation_name=None, **kwargs):
    print(json.dumps({"operation": request.headers["X-Amz-Target"].decode().split(".")[1] if isinstance(request.headers["X-Amz-Target"], bytes)
                      else request.headers["X-Amz-Target"].split(".")[1],
                      "headers": {k: v.decode() if isinstance(v, bytes) else v for k, v in request.headers.items()},
                      "body": request.body.decode()}))


for c, call, arguments in ((cd, "get_deployment", {"deploymentId": id}), (ecs, "describe_services", {"cluster": "bench", "services": ["bench"]})):
    c.meta.events.register("before-send", sent)
    getattr(c, call)(**arguments)
