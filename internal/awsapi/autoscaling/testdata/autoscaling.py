"""What clients of pipelines do with Application Auto Scaling: look, suspend, resume."""
import boto3
import botocore.exceptions

scaling = boto3.client("application-autoscaling")
target = {"ServiceNamespace": "ecs", "ResourceId": "service/c/s", "ScalableDimension": "ecs:service:DesiredCount"}


def refused(code, f, **args):
    try:
        answer = f(**args)
    except botocore.exceptions.ClientError as e:
        assert e.response["Error"]["Code"] == code, e
        return
    raise AssertionError(f"{args} was answered {answer}")


def suspended():
    return scaling.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=["service/c/s"])["ScalableTargets"][0]["SuspendedState"]


assert scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []
assert scaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"] == []
assert scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"] == []
refused("ValidationException", scaling.register_scalable_target, **{**target, "ResourceId": "service/c/none"}, MinCapacity=1, MaxCapacity=2)
refused("ValidationException", scaling.register_scalable_target, **target, MinCapacity=3, MaxCapacity=2)
refused("ValidationException", scaling.register_scalable_target, **target)
refused("ValidationException", scaling.register_scalable_target, ServiceNamespace="dynamodb", ResourceId="table/t",
        ScalableDimension="dynamodb:table:ReadCapacityUnits", MinCapacity=1, MaxCapacity=2)
arn = scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=4)["ScalableTargetARN"]

# Suspending keeps the rest, and so does resuming.
scaling.register_scalable_target(**target, SuspendedState={"DynamicScalingInSuspended": True, "DynamicScalingOutSuspended": True, "ScheduledScalingSuspended": True})
assert suspended() == {"DynamicScalingInSuspended": True, "DynamicScalingOutSuspended": True, "ScheduledScalingSuspended": True}, suspended()
assert scaling.register_scalable_target(**target, SuspendedState={"DynamicScalingInSuspended": False})["ScalableTargetARN"] == arn
assert suspended() == {"DynamicScalingInSuspended": False, "DynamicScalingOutSuspended": True, "ScheduledScalingSuspended": True}, suspended()
listed = scaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
assert [(t["MinCapacity"], t["MaxCapacity"], t["ResourceId"]) for t in listed] == [(1, 4, "service/c/s")], listed

tracking = {"TargetValue": 75.0, "PredefinedMetricSpecification": {"PredefinedMetricType": "ALBRequestCountPerTarget", "ResourceLabel": "app/a/b/targetgroup/c/d"}}
policy = scaling.put_scaling_policy(**target, PolicyName="p", PolicyType="TargetTrackingScaling", TargetTrackingScalingPolicyConfiguration=tracking)["PolicyARN"]
tracking["PredefinedMetricSpecification"]["ResourceLabel"] = "app/a/b/targetgroup/e/f"  # as a hook does after the switch
assert scaling.put_scaling_policy(**target, PolicyName="p", TargetTrackingScalingPolicyConfiguration=tracking)["PolicyARN"] == policy
listed = scaling.describe_scaling_policies(ServiceNamespace="ecs", ResourceId="service/c/s", ScalableDimension="ecs:service:DesiredCount")["ScalingPolicies"]
assert len(listed) == 1 and listed[0]["TargetTrackingScalingPolicyConfiguration"] == tracking and listed[0]["PolicyARN"] == policy, listed
refused("ValidationException", scaling.put_scaling_policy, **target, PolicyName="p", PolicyType="StepScaling")
for i in range(60):
    if i == 49:
        refused("LimitExceededException", scaling.put_scaling_policy, **target, PolicyName=f"n{i}", PolicyType="StepScaling")
        break
    scaling.put_scaling_policy(**target, PolicyName=f"n{i}", PolicyType="StepScaling")
names = [p["PolicyName"] for page in scaling.get_paginator("describe_scaling_policies").paginate(ServiceNamespace="ecs", PaginationConfig={"PageSize": 7})
         for p in page["ScalingPolicies"]]
assert len(names) == len(set(names)) == 50, names
scaling.delete_scaling_policy(**target, PolicyName="p")
refused("ObjectNotFoundException", scaling.delete_scaling_policy, **target, PolicyName="p")
scaling.deregister_scalable_target(**target)
refused("ObjectNotFoundException", scaling.deregister_scalable_target, **target)
refused("ObjectNotFoundException", scaling.put_scaling_policy, **target, PolicyName="p", PolicyType="StepScaling")
