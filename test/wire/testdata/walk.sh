# A load balancer gets an address of its own; here production is port 80 of it, the test listener port 8080.
lb=$(aws elbv2 create-load-balancer --name shop --subnets subnet-a subnet-b --query 'LoadBalancers[0].LoadBalancerArn' --output text)
address=$(aws elbv2 describe-load-balancers --names shop --query 'LoadBalancers[0].DNSName' --output text)
blue=$(aws elbv2 create-target-group --name shop-blue --protocol HTTP --port 80 --target-type ip --vpc-id vpc-1 \
  --health-check-interval-seconds 5 --healthy-threshold-count 2 --query 'TargetGroups[0].TargetGroupArn' --output text)
aws elbv2 create-target-group --name shop-green --protocol HTTP --port 80 --target-type ip --vpc-id vpc-1 \
  --health-check-interval-seconds 5 --healthy-threshold-count 2
production=$(aws elbv2 create-listener --load-balancer-arn "$lb" --protocol HTTP --port 80 \
  --default-actions Type=forward,TargetGroupArn="$blue" --query 'Listeners[0].ListenerArn' --output text)
test=$(aws elbv2 create-listener --load-balancer-arn "$lb" --protocol HTTP --port 8080 \
  --default-actions Type=forward,TargetGroupArn="$blue" --query 'Listeners[0].ListenerArn' --output text)

# A container whose image is "process:" runs as a process of this machine. It listens on $PORT.
task() {
  aws ecs register-task-definition --family shop --query taskDefinition.taskDefinitionArn --output text --container-definitions '[{
    "name": "app", "image": "process:", "portMappings": [{"containerPort": 80}], "entryPoint": ["sh", "-c"],
    "command": ["mkdir -p /tmp/shop-'"$1"' && echo '"$1"' > /tmp/shop-'"$1"'/index.html && exec python3 -m http.server -d /tmp/shop-'"$1"' $PORT"]}]'
}
aws ecs create-service --service-name shop --task-definition "$(task v1)" --desired-count 2 --deployment-controller type=CODE_DEPLOY \
  --load-balancers targetGroupArn="$blue",containerName=app,containerPort=80
aws ecs wait services-stable --services shop

# CodeDeploy acts with a service role: it must be allowed to invoke the hook. The function runs as a role of its own, which
# must be allowed to report.
trust() {
  echo '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "'"$1"'.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
}
service_role=$(aws iam create-role --role-name codedeploy --assume-role-policy-document "$(trust codedeploy)" --query Role.Arn --output text)
aws iam attach-role-policy --role-name codedeploy --policy-arn arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS
hook_role=$(aws iam create-role --role-name hook --assume-role-policy-document "$(trust lambda)" --query Role.Arn --output text)
aws iam put-role-policy --role-name hook --policy-name report --policy-document '{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "codedeploy:PutLifecycleEventHookExecutionStatus", "Resource": "arn:aws:codedeploy:*:*:deploymentgroup:shop/live"}]}'
aws iam simulate-principal-policy --policy-source-arn "$service_role" --action-names lambda:InvokeFunction --query 'EvaluationResults[].EvalDecision'

# The application, and a deployment group that goes back by itself.
aws deploy create-application --application-name shop --compute-platform ECS
aws deploy create-deployment-group --application-name shop --deployment-group-name live \
  --service-role-arn "$service_role" \
  --deployment-style deploymentType=BLUE_GREEN,deploymentOption=WITH_TRAFFIC_CONTROL \
  --blue-green-deployment-configuration 'deploymentReadyOption={actionOnTimeout=CONTINUE_DEPLOYMENT},terminateBlueInstancesOnDeploymentSuccess={action=TERMINATE}' \
  --auto-rollback-configuration enabled=true,events=DEPLOYMENT_FAILURE \
  --ecs-services clusterName=default,serviceName=shop --load-balancer-info "$(cat <<JSON
{"targetGroupPairInfoList": [{"targetGroups": [{"name": "shop-blue"}, {"name": "shop-green"}],
  "prodTrafficRoute": {"listenerArns": ["$production"]}, "testTrafficRoute": {"listenerArns": ["$test"]}}]}
JSON
)"

# The hook: it asks the test listener, and reports.
cat > check.py <<'PY'
import os
import urllib.request

import boto3


def handler(event, context):
    body = urllib.request.urlopen(os.environ["URL"]).read().decode().strip()
    print("the test listener says", body)
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"], lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status="Succeeded" if body == "v2" else "Failed")
PY
python3 -m zipfile -c check.zip check.py
aws lambda create-function --function-name shop-check --runtime python3.11 --handler check.handler --timeout 30 \
  --role "$hook_role" --zip-file fileb://check.zip --environment "Variables={URL=http://$address:8080/}"

deploy() {
  aws deploy create-deployment --application-name shop --deployment-group-name live --query deploymentId --output text --revision "$(
    python3 -c 'import json, sys; print(json.dumps({"revisionType": "AppSpecContent", "appSpecContent": {"content": sys.stdin.read()}}))' <<YAML
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: "$(task "$1")"
        LoadBalancerInfo: {ContainerName: app, ContainerPort: 80}
Hooks:
  - AfterAllowTestTraffic: shop-check
YAML
  )"
}

# v2 passes and gets production; v3 does not, and production never sees it.
aws deploy wait deployment-successful --deployment-id "$(deploy v2)"
curl -s "http://$address/"
failed=$(deploy v3)
aws deploy wait deployment-successful --deployment-id "$failed" || aws deploy get-deployment --deployment-id "$failed" \
  --query 'deploymentInfo.[status, errorInformation.message, rollbackInfo.rollbackDeploymentId]'
curl -s "http://$address/"
aws logs filter-log-events --log-group-name /aws/lambda/shop-check --query 'events[].message'
