"""Stories of rolling services that lose something, each by its name: `python3 rolling.py NAME`."""
import collections
import signal

from site_of import *  # noqa: F403
from site_of import ecs, get, until
from tasks import Load, Rolling, definition, steady, task

FOLDER, DATA = os.environ["FOLDER"], os.path.dirname(os.environ["AWS_SHARED_CREDENTIALS_FILE"])


class Marked(Rolling):
    """A rolling service whose tasks can be told among all processes."""
    def task(self, version):
        return definition(self.name, [SERVER], entry=[sys.executable], portMappings=[{"containerPort": 80}], environment=[
            {"name": "VERSION", "value": version}, {"name": "STORY", "value": self.name}])


def processes():
    """The environment of each process whose arguments and environment can be read, with its arguments, by its pid."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline") as c, open(f"/proc/{pid}/environ", errors="replace") as e, open(f"/proc/{pid}/stat") as s:
                if s.read().rpartition(") ")[2][0] not in "ZX":
                    found[int(pid)] = c.read().split("\0"), dict(v.partition("=")[::2] for v in e.read().split("\0"))
        except OSError:
            pass
    return found


def units(story):
    """The environment of each task of a story, by its unit. None runs twice."""
    found = {}
    for _, env in processes().values():
        if env.get("STORY") == story and "GREENGATE_UNIT" in env:
            assert env["GREENGATE_UNIT"] not in found, f"{env['GREENGATE_UNIT']} runs twice"
            found[env["GREENGATE_UNIT"]] = env
    return found


def versions(story):
    return collections.Counter(env["VERSION"] for env in units(story).values())


def kill_controller():
    def controllers():
        return [pid for pid, (args, _) in processes().items() if args[1:2] == ["controller"] and DATA in args]
    before = controllers()
    assert len(before) == 1, before
    os.kill(before[0], signal.SIGKILL)
    until("another controller", lambda: (now := controllers()) and now != before)


def patient(look):
    """An answer of a controller that may just have been killed."""
    try:
        return look()
    except (botocore.exceptions.HTTPClientError, botocore.exceptions.ClientError):
        return None


def rolled_out(s):
    return len(d := s.service()["deployments"]) == 1 and d[0]["rolloutState"] == "COMPLETED"


def no_room():
    """Half of the old tasks do not serve, and no more than the desired count may exist: those go first, and the others serve on."""
    s = Marked("no-room", desired=2, minimumHealthyPercent=50, maximumPercent=100)
    s.update(healthCheckGracePeriodSeconds=7200)  # or they would be started again
    for unit, env in units("no-room").items():
        if unit.endswith("/0"):
            urllib.request.urlopen(f"http://{env['HOST']}:{env['PORT']}/break", timeout=10).read()
    until("one does not serve", lambda: [t["TargetHealth"]["State"] for t in elb.describe_target_health(
        TargetGroupArn=s.groups[0])["TargetHealthDescriptions"]].count("unhealthy") == 1)
    with Load(s.production) as load:
        s.update(taskDefinition=s.task("v2"))
        until("v2 is rolled out", lambda: rolled_out(s))
    assert load.seen == {"v1", "v2"} and not load.lost, (load.seen, load.lost[:5])
    assert any("has stopped 1 unhealthy tasks" in e["message"] for e in s.service()["events"]), s.service()["events"]
    until("no task of v1 is left", lambda: versions("no-room") == {"v2": 2})


def killed():
    """The controller is killed in the middle of a rolling update and right after RunTask: the service gets to the new version, no
    request is lost, and no task is doubled, orphaned or forgotten."""
    s = Marked("killed")
    single = definition("single", [f"echo x >> {FOLDER}/started; while [ ! -e {FOLDER}/go ]; do sleep 0.1; done; exit 7"])
    arn = ecs.run_task(taskDefinition=single, startedBy="killed")["tasks"][0]["taskArn"]
    kill_controller()
    until("it has started", lambda: os.path.exists(f"{FOLDER}/started"))
    with Load(s.production) as load:
        until("the update is taken", lambda: patient(lambda: s.update(taskDefinition=s.task("v2"))))
        for n in (1, 2):
            until(f"{n} new tasks run", lambda: versions("killed")["v2"] >= n)
            kill_controller()
            open(f"{FOLDER}/go", "w").close()  # the single task ends without it
        until("v2 is rolled out", lambda: versions("killed")["v1"] == 0 and patient(lambda: rolled_out(s)))
    assert load.seen == {"v1", "v2"} and not load.lost, (load.seen, load.lost[:5])
    v = steady("c", "killed")
    assert v["taskDefinition"].rpartition("/")[2].startswith("killed:") and v["runningCount"] == 2 and versions("killed") == {"v2": 2}, (v, versions("killed"))
    assert len(ecs.list_tasks(cluster="c", serviceName="killed")["taskArns"]) == 2
    until("its exit code is known", lambda: task(arn)["containers"][0].get("exitCode") == 7)
    with open(f"{FOLDER}/started") as f:
        assert f.read() == "x\n", "the single task was started more than once"
    assert ecs.list_tasks(startedBy="killed")["taskArns"] == [] and ecs.list_tasks(startedBy="killed", desiredStatus="STOPPED")["taskArns"] == [arn]


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    print("done")
