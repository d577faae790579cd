#!/bin/sh
# Makes what the pipeline deploys into, once: setup.sh VERSION. Prints the URL of production.
set -eu
cd "$(dirname "$0")"
image=$(./build.sh "$1")

# The load balancer: production on port 80, the test listener on 8080.
lb=$(aws elbv2 create-load-balancer --name shop --subnets subnet-a subnet-b --query 'LoadBalancers[0].LoadBalancerArn' --output text)
address=$(aws elbv2 describe-load-balancers --names shop --query 'LoadBalancers[0].DNSName' --output text)
group() {
  aws elbv2 create-target-group --name "$1" --protocol HTTP --port 80 --target-type ip --vpc-id vpc-1 --health-check-path /healthz \
    --health-check-interval-seconds 5 --healthy-threshold-count 2 --query 'TargetGroups[0].TargetGroupArn' --output text
}
blue=$(group shop-blue)
group shop-green > /dev/null
listener() {
  aws elbv2 create-listener --load-balancer-arn "$lb" --protocol HTTP --port "$1" \
    --default-actions "Type=forward,TargetGroupArn=$blue" --query 'Listeners[0].ListenerArn' --output text
}
production=$(listener 80)
test=$(listener 8080)

# The service runs the first version.
task=$(aws ecs register-task-definition --cli-input-json "$(sed "s|<IMAGE1_NAME>|$image|" taskdef.json)" \
  --query taskDefinition.taskDefinitionArn --output text)
aws ecs create-service --service-name shop --task-definition "$task" --desired-count 2 --deployment-controller type=CODE_DEPLOY \
  --load-balancers "targetGroupArn=$blue,containerName=app,containerPort=80" > /dev/null
aws ecs wait services-stable --services shop

# CodeDeploy may invoke the hook, and the hook may report.
trust() {
  printf '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "%s.amazonaws.com"}, "Action": "sts:AssumeRole"}]}' "$1"
}
deployer=$(aws iam create-role --role-name shop-deploy --assume-role-policy-document "$(trust codedeploy)" --query Role.Arn --output text)
aws iam attach-role-policy --role-name shop-deploy --policy-arn arn:aws:iam::aws:policy/AWSCodeDeployRoleForECS
checker=$(aws iam create-role --role-name shop-check --assume-role-policy-document "$(trust lambda)" --query Role.Arn --output text)
aws iam put-role-policy --role-name shop-check --policy-name report --policy-document '{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Action": "codedeploy:PutLifecycleEventHookExecutionStatus", "Resource": "arn:aws:codedeploy:*:*:deploymentgroup:shop/live"}]}'
mkdir -p dist
rm -f dist/hook.zip
python3 -m zipfile -c dist/hook.zip hook/check.py
aws lambda create-function --function-name shop-check --handler check.handler --timeout 30 --role "$checker" \
  --runtime "$(python3 -c 'import sys; print("python%d.%d" % sys.version_info[:2])')" \
  --zip-file fileb://dist/hook.zip --environment "Variables={TEST_URL=http://$address:8080}" > /dev/null

# The deployment group goes back by itself.
aws deploy create-application --application-name shop --compute-platform ECS > /dev/null
aws deploy create-deployment-group --application-name shop --deployment-group-name live --service-role-arn "$deployer" \
  --deployment-style deploymentType=BLUE_GREEN,deploymentOption=WITH_TRAFFIC_CONTROL \
  --blue-green-deployment-configuration 'deploymentReadyOption={actionOnTimeout=CONTINUE_DEPLOYMENT},terminateBlueInstancesOnDeploymentSuccess={action=TERMINATE}' \
  --auto-rollback-configuration enabled=true,events=DEPLOYMENT_FAILURE --ecs-services clusterName=default,serviceName=shop \
  --load-balancer-info "{\"targetGroupPairInfoList\": [{\"targetGroups\": [{\"name\": \"shop-blue\"}, {\"name\": \"shop-green\"}],
    \"prodTrafficRoute\": {\"listenerArns\": [\"$production\"]}, \"testTrafficRoute\": {\"listenerArns\": [\"$test\"]}}]}" > /dev/null

# The pipeline's user; `aws iam create-access-key --user-name shop-pipeline` makes its keys.
aws iam create-user --user-name shop-pipeline > /dev/null
aws iam put-user-policy --user-name shop-pipeline --policy-name deploy --policy-document file://policy.json
echo "http://$address"
