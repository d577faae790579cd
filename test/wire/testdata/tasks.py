"""Stories of ECS tasks and rolling services, each by its name: `python3 tasks.py NAME`."""
import subprocess
import threading

from site_of import *  # noqa: F403
from site_of import ecs, elb, get, refused, until, Site, SERVER


def definition(family, command, entry=("/bin/sh", "-c"), **other):
    return ecs.register_task_definition(family=family, cpu="256", memory="512", containerDefinitions=[{
        "name": "app", "image": "process:", "entryPoint": list(entry), "command": command, "stopTimeout": 2,
        "environment": [{"name": "WHO", "value": "definition"}]} | other])["taskDefinition"]["taskDefinitionArn"]


def task(arn):
    return ecs.describe_tasks(tasks=[arn])["tasks"][0]


def one_off():
    """A migration: it runs to its end, with what RunTask overrides, and tells its exit code."""
    folder = os.environ["FOLDER"]
    arn = definition("one-off", [f"echo $WHO $EXTRA > {folder}/out; exit 7"])
    t = ecs.run_task(taskDefinition=arn, startedBy="ci", overrides={"containerOverrides": [
        {"name": "app", "environment": [{"name": "EXTRA", "value": "more"}]}]})["tasks"][0]
    ecs.get_waiter("tasks_stopped").wait(tasks=[t["taskArn"]], WaiterConfig={"Delay": 1, "MaxAttempts": 30})
    t = task(t["taskArn"])
    assert t["containers"][0]["exitCode"] == 7 and t["stopCode"] == "EssentialContainerExited" and t["stoppedAt"] >= t["startedAt"], t
    assert open(f"{folder}/out").read() == "definition more\n"
    assert ecs.list_tasks(startedBy="ci")["taskArns"] == [] and ecs.list_tasks(startedBy="ci", desiredStatus="STOPPED")["taskArns"] == [t["taskArn"]]
    t = ecs.run_task(taskDefinition=arn, overrides={"containerOverrides": [{"name": "app", "command": ["exit 0"]}]})["tasks"][0]["taskArn"]
    until("it ended with 0", lambda: task(t)["containers"][0].get("exitCode") == 0)
    missing = definition("missing", ["x"], entry=["/no/such/program"])
    t = ecs.run_task(taskDefinition=missing)["tasks"][0]["taskArn"]
    until("it failed to start", lambda: task(t).get("stopCode") == "TaskFailedToStart")
    assert "exitCode" not in task(t)["containers"][0] and "/no/such/program" in task(t)["stoppedReason"], task(t)


def cli():
    """The aws CLI's waiters, on a task that serves and is then stopped."""
    arn = definition("cli", [SERVER], entry=[sys.executable], environment=[{"name": "VERSION", "value": "cli"}])
    t = ecs.run_task(taskDefinition=arn)["tasks"][0]["taskArn"]
    subprocess.run(["aws", "ecs", "wait", "tasks-running", "--tasks", t], check=True)
    v = task(t)
    ip = v["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
    assert v["lastStatus"] == "RUNNING" and {"name": "privateIPv4Address", "value": ip} in v["attachments"][0]["details"], v
    ecs.stop_task(task=t, reason="enough")
    subprocess.run(["aws", "ecs", "wait", "tasks-stopped", "--tasks", t], check=True)
    v = task(t)
    assert v["stopCode"] == "UserInitiated" and v["stoppedReason"] == "enough" and v["containers"][0]["exitCode"] == 143, v


def replaced():
    """A service's task that is stopped gets a replacement, and no request is lost."""
    s = Site("replaced", test=False)
    arns = ecs.list_tasks(cluster="c", serviceName=s.name)["taskArns"]
    assert len(arns) == 2, arns
    with Load(s.production) as load:
        ecs.stop_task(cluster="c", task=arns[0], reason="old")
        until("another runs in its place", lambda: len(now := ecs.list_tasks(cluster="c", serviceName=s.name)["taskArns"]) == 2 and arns[0] not in now)
        gone = until("it has stopped", lambda: (t := ecs.describe_tasks(cluster="c", tasks=[arns[0]])["tasks"][0])["lastStatus"] == "STOPPED" and t)
        assert gone["stopCode"] == "UserInitiated" and gone["group"] == "service:" + s.name, gone
        until("both are healthy", lambda: s.sets()[0]["stabilityStatus"] == "STEADY_STATE")
        ecs.update_service(cluster="c", service=s.name, desiredCount=1)
        until("one is left", lambda: len(ecs.list_tasks(cluster="c", serviceName=s.name)["taskArns"]) == 1)
    assert load.answers > 20 and not load.lost, (load.answers, load.lost[:5])


def no_docker():
    """An image that needs a container runtime can be registered, and is refused where something would start it."""
    arn = ecs.register_task_definition(family="docker", containerDefinitions=[{"name": "app", "image": "nginx:1"}])["taskDefinition"]["taskDefinitionArn"]
    for call, more in ((ecs.run_task, {}), (ecs.create_service, {"serviceName": "docker", "desiredCount": 1})):
        why = refused("InvalidParameterException", call, taskDefinition=arn, **more)
        assert "nginx:1" in why and "process:" in why, why


def steady(cluster, name):
    """The service, once its deployment has ended as `aws ecs wait services-stable` asks."""
    ecs.get_waiter("services_stable").wait(cluster=cluster, services=[name], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return ecs.describe_services(cluster=cluster, services=[name])["services"][0]


class Rolling(Site):
    """A service with the ECS deployment controller behind a load balancer."""
    def __init__(self, name, desired=2, **configuration):
        self.name = name
        self.lb = elb.create_load_balancer(Name=name, Subnets=["subnet-a", "subnet-b"])["LoadBalancers"][0]
        self.groups = [self.target_group(f"{name}-t1")]
        self.production, self.arn = self.listener(80)
        ecs.create_cluster(clusterName="c")
        ecs.create_service(
            cluster="c", serviceName=name, taskDefinition=self.task("v1"), desiredCount=desired, deploymentConfiguration=configuration,
            loadBalancers=[{"targetGroupArn": self.groups[0], "containerName": "app", "containerPort": 80}])
        steady("c", name)
        until("v1 is rolled out", lambda: self.service()["deployments"][0]["rolloutState"] == "COMPLETED")
        assert get(self.production) == "v1"

    def update(self, **change):
        return ecs.update_service(cluster="c", service=self.name, **change)["service"]

    def service(self):
        return ecs.describe_services(cluster="c", services=[self.name])["services"][0]


def rolls():
    """A rolling update under load: no request is lost, and no more tasks exist and no fewer are healthy than may."""
    for name, configuration, most in (("rolls", {}, 4), ("rolls-tight", {"minimumHealthyPercent": 50, "maximumPercent": 100}, 2)):
        s = Rolling(name, **configuration)
        with Load(s.production) as load:
            d = s.update(taskDefinition=s.task("v2"))["deployments"]
            assert [x["status"] for x in d] == ["PRIMARY", "ACTIVE"] and d[0]["rolloutState"] == "IN_PROGRESS", d

            def ended():
                d = s.service()["deployments"]
                assert sum(x["desiredCount"] for x in d if x["status"] == "ACTIVE") <= 2, d
                running = ecs.list_tasks(cluster="c", serviceName=name)["taskArns"]
                assert len(running) <= most, (most, running)
                return len(d) == 1 and d[0]["rolloutState"] == "COMPLETED"
            until("it is rolled out", ended)
            first = s.service()["deployments"][0]["id"]
            s.update(forceNewDeployment=True)
            until("another deployment took its place", lambda: (d := s.service()["deployments"])[0]["id"] != first and ended())
        assert load.seen == {"v1", "v2"} and load.answers > 50 and not load.lost, (load.seen, load.answers, load.lost[:5])
        v = steady("c", name)
        assert v["taskDefinition"].endswith(":2") and any("steady state" in e["message"] for e in v["events"]), v["events"]
        list_ = ecs.list_service_deployments(cluster="c", service=name)["serviceDeployments"]
        assert [x["status"] for x in list_] == ["SUCCESSFUL"] * 3, list_
        one = ecs.describe_service_deployments(serviceDeploymentArns=[list_[0]["serviceDeploymentArn"]])["serviceDeployments"][0]
        assert one["status"] == "SUCCESSFUL" and one["finishedAt"] >= one["createdAt"], one
        assert s.update(desiredCount=3)["desiredCount"] == 3 and steady("c", name)["runningCount"] == 3
    refused("InvalidParameterException", s.update, deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 100})
    s.update(desiredCount=1)
    steady("c", name)
    assert "could not begin" in refused("InvalidParameterException", s.update, forceNewDeployment=True)


def breaker():
    """A version whose tasks end at once: the circuit breaker goes back, and production does not notice."""
    s = Rolling("breaker", deploymentCircuitBreaker={"enable": True, "rollback": True})
    bad = definition("breaker", ["exit 1"], portMappings=[{"containerPort": 80}])
    with Load(s.production) as load:
        s.update(taskDefinition=bad)
        failed = until("it failed", lambda: [x for x in ecs.list_service_deployments(cluster="c", service=s.name)["serviceDeployments"]
                                             if x["status"] == "ROLLBACK_SUCCESSFUL"])[0]
        assert "rolling back" in failed["statusReason"], failed
        until("v1 is all that is left", lambda: len(d := s.service()["deployments"]) == 1 and d[0]["rolloutState"] == "COMPLETED")
    assert load.seen == {"v1"} and load.answers > 20 and not load.lost, (load.seen, load.answers, load.lost[:5])
    v = steady("c", s.name)
    assert v["taskDefinition"].endswith(":1"), v["taskDefinition"]
    stopped = ecs.list_tasks(cluster="c", family="breaker", desiredStatus="STOPPED")["taskArns"]
    codes = [t["containers"][0].get("exitCode") for t in ecs.describe_tasks(cluster="c", tasks=stopped)["tasks"]]
    assert 1 in codes, codes
    s.update(deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": False}}, taskDefinition=bad)
    d = until("it failed and stays", lambda: (d := s.service()["deployments"])[0]["rolloutState"] == "FAILED" and d)
    assert d[0]["status"] == "PRIMARY" and d[0]["failedTasks"] >= 3 and "circuit breaker" in d[0]["rolloutStateReason"], d
    assert get(s.production) == "v1"
    s.update(taskDefinition=s.task("v3"))
    until("v3 mends it", lambda: get(s.production) == "v3" and len(s.service()["deployments"]) == 1)


class Load:
    """Requests without pause, each on a connection of its own, from two threads."""
    def __init__(self, address):
        self.address, self.answers, self.lost, self.end = address, 0, [], threading.Event()
        self.seen = set()
        self.threads = [threading.Thread(target=self.run) for _ in range(2)]

    def run(self):
        while not self.end.is_set():
            try:
                answer = get(self.address)
            except Exception as e:
                answer = repr(e)
            if isinstance(answer, str) and len(answer) < 20:
                self.answers += 1
                self.seen.add(answer)
            else:
                self.lost.append(answer)

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *why):
        self.end.set()
        for t in self.threads:
            t.join()


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("done")
