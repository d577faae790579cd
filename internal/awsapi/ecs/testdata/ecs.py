"""Drives the ECS operations with boto3, as the tutorials, ecspresso and PipeCD do."""
import boto3
import botocore.exceptions

ecs, elb = boto3.client("ecs"), boto3.client("elbv2")


def refused(code, call, **kwargs):
    try:
        call(**kwargs)
    except botocore.exceptions.ClientError as e:
        got = e.response["Error"]["Code"]
        assert got == code, f"{call.__name__}: {got}, want {code}: {e}"
        return e.response["Error"]["Message"]
    raise AssertionError(f"{call.__name__} was not refused with {code}")


lb = elb.create_load_balancer(Name="lb", Subnets=["a", "b"])["LoadBalancers"][0]["LoadBalancerArn"]
groups = [elb.create_target_group(Name=n, Protocol="HTTP", Port=80, TargetType="ip", VpcId="v")["TargetGroups"][0]["TargetGroupArn"] for n in ("t1", "t2")]

cluster = ecs.create_cluster(clusterName="c")["cluster"]
assert cluster["clusterArn"].endswith(":cluster/c") and cluster["status"] == "ACTIVE"
assert ecs.describe_clusters(clusters=["nope"])["failures"][0]["reason"] == "MISSING"
assert len(ecs.list_clusters()["clusterArns"]) == 2

definition = dict(family="web", networkMode="awsvpc", requiresCompatibilities=["FARGATE"], cpu="256", memory="512", containerDefinitions=[
    {"name": "app", "image": "process:", "command": ["/bin/sleep", "60"], "portMappings": [{"containerPort": 80, "protocol": "tcp"}], "essential": True,
     "environment": [{"name": "A", "value": "1"}]}])
first = ecs.register_task_definition(**definition)["taskDefinition"]
assert first["revision"] == 1 and first["containerDefinitions"][0]["environment"] == [{"name": "A", "value": "1"}] and first["cpu"] == "256"
second = ecs.register_task_definition(**definition, tags=[{"key": "k", "value": "v"}])["taskDefinition"]
assert second["taskDefinitionArn"].endswith("web:2")
assert ecs.describe_task_definition(taskDefinition="web", include=["TAGS"])["tags"] == [{"key": "k", "value": "v"}]
assert ecs.list_task_definitions(familyPrefix="web", sort="DESC", maxResults=1)["taskDefinitionArns"] == [second["taskDefinitionArn"]]
assert ecs.list_task_definition_families()["families"] == ["web"]
refused("ClientException", ecs.describe_task_definition, taskDefinition="nope")
refused("ClientException", ecs.register_task_definition, family="a b", containerDefinitions=[])

service = dict(cluster="c", serviceName="s", taskDefinition="web:1", desiredCount=2, deploymentController={"type": "CODE_DEPLOY"},
               launchType="FARGATE", schedulingStrategy="REPLICA", platformVersion="LATEST",
               loadBalancers=[{"targetGroupArn": groups[0], "containerName": "app", "containerPort": 80}],
               networkConfiguration={"awsvpcConfiguration": {"subnets": ["a"], "securityGroups": ["g"], "assignPublicIp": "ENABLED"}})
assert "does not have an associated load balancer" in refused("InvalidParameterException", ecs.create_service, **service)
elb.create_listener(LoadBalancerArn=lb, Protocol="HTTP", Port=80, DefaultActions=[{"Type": "forward", "TargetGroupArn": groups[0]}])
made = ecs.create_service(**service)["service"]
assert made["status"] == "ACTIVE" and made["deploymentController"]["type"] == "CODE_DEPLOY" and made["taskSets"][0]["status"] == "PRIMARY"
refused("InvalidParameterException", ecs.create_service, **service)
refused("ClusterNotFoundException", ecs.create_service, **{**service, "cluster": "nope"})
docker = ecs.register_task_definition(family="docker", containerDefinitions=[{"name": "app", "image": "nginx", "portMappings": [{"containerPort": 80}]}])
assert "Docker" in refused("InvalidParameterException", ecs.create_service, **{**service, "serviceName": "d", "taskDefinition": "docker"})

ecs.get_waiter("services_stable").wait(cluster="c", services=["s"], WaiterConfig={"Delay": 1, "MaxAttempts": 3})
described = ecs.describe_services(cluster=cluster["clusterArn"], services=[made["serviceArn"], "nope"])
assert described["failures"] == [{"arn": made["serviceArn"][:-1] + "nope", "reason": "MISSING"}], described["failures"]
v = described["services"][0]
assert v["runningCount"] == v["desiredCount"] == 2 and len(v["deployments"]) == 1 and v["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"] == "ENABLED"
ts = v["taskSets"][0]
assert ts["stabilityStatus"] == "STEADY_STATE" and ts["scale"] == {"value": 100.0, "unit": "PERCENT"} and ts["id"].startswith("ecs-svc/"), ts
assert ts["loadBalancers"][0]["targetGroupArn"] == groups[0] and ts["launchType"] == "FARGATE"
old = f"arn:aws:ecs:us-east-1:000000000000:service/s"
assert ecs.describe_services(cluster="c", services=[old])["services"][0]["serviceName"] == "s"

assert "CodeDeploy" in refused("InvalidParameterException", ecs.update_service, cluster="c", service="s", taskDefinition="web:2")
assert ecs.update_service(cluster="c", service="s", desiredCount=3, deploymentConfiguration={"maximumPercent": 150})["service"]["desiredCount"] == 3
assert ecs.describe_services(cluster="c", services=["s"])["services"][0]["deploymentConfiguration"]["maximumPercent"] == 150
refused("ServiceNotFoundException", ecs.update_service, cluster="c", service="nope", desiredCount=1)

ecs.tag_resource(resourceArn=made["serviceArn"], tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "2"}])
ecs.untag_resource(resourceArn=made["serviceArn"], tagKeys=["a"])
assert ecs.list_tags_for_resource(resourceArn=made["serviceArn"])["tags"] == [{"key": "b", "value": "2"}]
assert "tags" not in ecs.describe_services(cluster="c", services=["s"])["services"][0]

ext = ecs.create_service(cluster="c", serviceName="e", desiredCount=3, deploymentController={"type": "EXTERNAL"})["service"]
assert "taskDefinition" not in ext and ext["taskSets"] == []
one = dict(cluster="c", service="e", taskDefinition="web:1", externalId="x", scale={"value": 50.0, "unit": "PERCENT"}, clientToken="t",
           loadBalancers=[{"targetGroupArn": groups[0], "containerName": "app", "containerPort": 80}], tags=[{"key": "k", "value": "v"}])
blue = ecs.create_task_set(**one)["taskSet"]
assert blue["computedDesiredCount"] == 2 and blue["externalId"] == "x" and blue["status"] == "ACTIVE", blue
assert ecs.create_task_set(**one)["taskSet"]["id"] == blue["id"]
assert ecs.update_service_primary_task_set(cluster="c", service="e", primaryTaskSet=blue["taskSetArn"])["taskSet"]["status"] == "PRIMARY"
assert ecs.describe_services(cluster="c", services=["e"])["services"][0]["taskDefinition"].endswith("web:1")
assert ecs.update_task_set(cluster="c", service="e", taskSet=blue["id"], scale={"value": 100.0, "unit": "PERCENT"})["taskSet"]["computedDesiredCount"] == 3
assert ecs.describe_task_sets(cluster="c", service="e", taskSets=[blue["id"], "ecs-svc/1"], include=["TAGS"])["failures"][0]["reason"] == "MISSING"
refused("InvalidParameterException", ecs.delete_task_set, cluster="c", service="e", taskSet=blue["id"])
assert ecs.delete_task_set(cluster="c", service="e", taskSet=blue["id"], force=True)["taskSet"]["status"] == "DRAINING"
refused("TaskSetNotFoundException", ecs.delete_task_set, cluster="c", service="e", taskSet="ecs-svc/1")
refused("InvalidParameterException", ecs.create_task_set, **{**one, "service": "s"})

# Tasks, of services and single ones.
arns = ecs.list_tasks(cluster="c", serviceName="s")["taskArns"]
assert len(arns) == 3 and ecs.list_tasks(cluster="c", family="web")["taskArns"][:3] and ecs.list_tasks(cluster="c", family="other")["taskArns"] == []
t = ecs.describe_tasks(cluster="c", tasks=[arns[0], "nope"])
assert t["failures"] == [{"arn": arns[0].rsplit("/", 1)[0] + "/nope", "reason": "MISSING"}], t["failures"]
t = t["tasks"][0]
assert t["group"] == "service:s" and t["lastStatus"] == t["desiredStatus"] == "RUNNING" and t["startedBy"].startswith("ecs-svc/"), t
assert t["containers"][0]["networkInterfaces"][0]["privateIpv4Address"] == "127.64.0.1" and "exitCode" not in t["containers"][0], t
assert {"name": "privateIPv4Address", "value": "127.64.0.1"} in t["attachments"][0]["details"] and t["launchType"] == "FARGATE", t
assert ecs.describe_clusters(clusters=["c"])["clusters"][0]["runningTasksCount"] >= 3
run = dict(cluster="c", taskDefinition="web", count=2, startedBy="me", tags=[{"key": "k", "value": "v"}], clientToken="once", overrides={
    "cpu": "512", "containerOverrides": [{"name": "app", "command": ["/bin/true"], "environment": [{"name": "A", "value": "2"}], "memory": 64}]})
ran = ecs.run_task(**run)
assert ran["failures"] == [] and len(ran["tasks"]) == 2 and len({t["taskArn"] for t in ran["tasks"]}) == 2, ran
t = ran["tasks"][0]
assert t["group"] == "family:web" and t["lastStatus"] == "PROVISIONING" and t["overrides"]["cpu"] == t["cpu"] == "512" and t["memory"] == "512", t
assert {t["taskArn"] for t in ecs.run_task(**run)["tasks"]} == {t["taskArn"] for t in ran["tasks"]}, "a repeated token started other tasks"
assert len(ecs.list_tasks(cluster="c", startedBy="me")["taskArns"]) == 2
assert "tags" not in ecs.describe_tasks(cluster="c", tasks=[t["taskArn"]])["tasks"][0]
assert ecs.describe_tasks(cluster="c", tasks=[t["taskArn"]], include=["TAGS"])["tasks"][0]["tags"] == [{"key": "k", "value": "v"}]
stopped = ecs.stop_task(cluster="c", task=t["taskArn"], reason="enough")["task"]
assert stopped["desiredStatus"] == "STOPPED" and stopped["stopCode"] == "UserInitiated" and stopped["stoppedReason"] == "enough", stopped
assert ecs.list_tasks(cluster="c", startedBy="me", desiredStatus="STOPPED")["taskArns"] == [t["taskArn"]]
assert ecs.stop_task(cluster="c", task=arns[0])["task"]["stoppedReason"] == "Task stopped by user"
refused("InvalidParameterException", ecs.stop_task, cluster="c", task="nope")
refused("ClusterNotFoundException", ecs.run_task, cluster="nope", taskDefinition="web")
refused("ClientException", ecs.run_task, cluster="c", taskDefinition="nope")
refused("InvalidParameterException", ecs.run_task, cluster="c", taskDefinition="web", count=11)
refused("InvalidParameterException", ecs.run_task, cluster="c", taskDefinition="web", overrides={"containerOverrides": [{"name": "nope"}]})
refused("ClientException", ecs.run_task, cluster="c", taskDefinition="web", overrides={"memory": "much"})
why = refused("InvalidParameterException", ecs.run_task, cluster="c", taskDefinition="docker")
assert "nginx" in why and "process:" in why, why
refused("ServiceNotFoundException", ecs.list_tasks, cluster="c", serviceName="nope")

# Services that ECS itself deploys.
rolling = dict(cluster="c", serviceName="r", taskDefinition="web:1", desiredCount=1)
for bad in ({"minimumHealthyPercent": 100, "maximumPercent": 100}, {"maximumPercent": 300}, {"strategy": "BLUE_GREEN"},
            {"alarms": {"enable": True, "rollback": True, "alarmNames": ["a"]}}):
    refused("InvalidParameterException", ecs.create_service, **rolling, deploymentConfiguration=bad)
first = ecs.create_service(**rolling)["service"]["deployments"]
assert len(first) == 1 and first[0]["status"] == "PRIMARY" and first[0]["rolloutState"] == "IN_PROGRESS", first
refused("InvalidParameterException", ecs.update_service, cluster="c", service="r", taskDefinition="docker")
refused("ClientException", ecs.update_service, cluster="c", service="r", taskDefinition="nope")
assert len(ecs.update_service(cluster="c", service="r", taskDefinition="web:1")["service"]["deployments"]) == 1, "the same definition is rolled out"
moved = ecs.update_service(cluster="c", service="r", taskDefinition="web:2")["service"]
assert [d["status"] for d in moved["deployments"]] == ["PRIMARY", "ACTIVE"] and moved["taskDefinition"].endswith("web:2"), moved
assert moved["deployments"][0]["runningCount"] == 0 and moved["deployments"][0]["desiredCount"] == 1, moved["deployments"]
list_ = ecs.list_service_deployments(cluster="c", service="r")["serviceDeployments"]
assert [d["status"] for d in list_] == ["IN_PROGRESS", "STOPPED"], list_
assert [d["status"] for d in ecs.list_service_deployments(cluster="c", service="r", status=["STOPPED"])["serviceDeployments"]] == ["STOPPED"]
d = ecs.describe_service_deployments(serviceDeploymentArns=[list_[0]["serviceDeploymentArn"], list_[0]["serviceDeploymentArn"] + "0"])
assert d["failures"][0]["reason"] == "MISSING" and d["serviceDeployments"][0]["deploymentConfiguration"]["maximumPercent"] == 200, d
refused("ServiceNotFoundException", ecs.list_service_deployments, cluster="c", service="nope")
ecs.delete_service(cluster="c", service="r", force=True)

refused("ClusterContainsServicesException", ecs.delete_cluster, cluster="c")
refused("InvalidParameterException", ecs.delete_service, cluster="c", service="s")
assert ecs.delete_service(service=made["serviceArn"], force=True)["service"]["status"] == "DRAINING"
assert ecs.describe_services(cluster="c", services=["s"])["services"][0]["status"] == "INACTIVE"
ecs.delete_service(cluster="c", service="e", force=True)
assert ecs.list_services(cluster="c")["serviceArns"] == []
refused("ClusterContainsTasksException", ecs.delete_cluster, cluster="c")  # here they never end
assert ecs.deregister_task_definition(taskDefinition="web:1")["taskDefinition"]["status"] == "INACTIVE"
assert ecs.delete_task_definitions(taskDefinitions=["web:1", "web:2"])["failures"][0]["arn"] == "web:2"
print("done")
