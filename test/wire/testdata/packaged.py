"""A packaged scenario as a function: `python3 packaged.py NAME`. $GREENGATE is the program, $FOLDER a folder of the story's own."""
import subprocess

import boto3

from site_of import *  # noqa: F403
from site_of import document, ended, get, iam, info, role, until, Site

functions, logs = boto3.client("lambda"), boto3.client("logs")
FOLDER = os.environ["FOLDER"]
SCENARIO = """version: 1
name: the new version answers
secrets: [PASSWORD]
steps:
  - name: home
    request: GET /
    headers: {X-Password: "${{ secrets.PASSWORD }}"}
    assert: [status == 200, raw == release.version]
"""
SLOW = """version: 1
name: takes its time
steps:
  - wait: 30s
  - request: GET /
"""


def greengate(*args):
    done = subprocess.run([os.environ["GREENGATE"], *args], capture_output=True, text=True)
    assert done.returncode == 0, done
    return done.stdout


def written(name, text):
    path = f"{FOLDER}/{name}.yaml"
    with open(path, "w") as f:
        f.write(text)
    return path


def packaged(name, scenario, *flags):
    zip = f"{FOLDER}/{name}.zip"
    out = json.loads(greengate("package", "hook", "--scenario", scenario, "-o", zip, "--json", *flags))
    with open(zip, "rb") as f:
        content = f.read()
    assert out["bytes"] == len(content) and out["arch"] == "x86_64" and out["runtime"] == "provided.al2023", out
    return content


def policies(function, application):
    return json.loads(greengate("package", "policy", "--application", application, "--deployment-group", "g", "--function", function))


def own_role(name, trust, policy):
    """A role with exactly one printed policy."""
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName=name, PolicyName="hook", PolicyDocument=json.dumps(policy))
    return "arn:aws:iam::000000000000:role/" + name


def function(name, content, role, timeout=40, **env):
    return functions.create_function(
        FunctionName=name, Runtime="provided.al2023", Handler="bootstrap", Role=role, Code={"ZipFile": content}, Timeout=timeout, MemorySize=256,
        Environment={"Variables": env})["FunctionArn"]


def log(name):
    events = logs.filter_log_events(logGroupName="/aws/lambda/" + name)["events"]
    return [e["message"].rstrip("\n") for e in events]


def ours(name):
    """What the function itself said, without what Lambda says of an invocation."""
    return [line for line in log(name) if not line.startswith(("START ", "END ", "REPORT ", "INIT_START "))]


def codedeploy():
    """The zip as a hook of CodeDeploy, with the printed policies and, for CodeDeploy's own work, AWS's: one deployment passes, one fails."""
    content = packaged("check", written("check", SCENARIO), "--release", "version=v2")
    s = Site("packaged")
    p = policies("packaged-check", s.name)
    s.change(serviceRoleArn=own_role("packaged-deploy", p["serviceTrust"], p["service"]))
    iam.attach_role_policy(RoleName="packaged-deploy", PolicyArn="arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited")  # no function of this name
    arn = function("packaged-check", content, own_role("packaged-check", p["functionTrust"], p["function"]),
                   TEST_URL=f"http://{s.test}", PASSWORD="open sesame")
    id = s.deploy("v2", hooks={"AfterAllowTestTraffic": arn})
    d = ended(id)
    assert d["status"] == "Succeeded" and get(s.production) == "v2", (d, log("packaged-check"))
    verdict = until("the verdict is logged", lambda: [line for line in ours("packaged-check") if line.startswith("GREENGATE VERDICT ")])
    assert verdict[0].startswith(f"GREENGATE VERDICT pass deployment={id} execution=") and " told=Succeeded the new version answers in " in verdict[0], verdict
    assert ours("packaged-check")[-1] == verdict[-1], ours("packaged-check")

    id = s.deploy("v3", hooks={"AfterAllowTestTraffic": arn})
    d = ended(id)
    assert d["status"] == "Failed" and d["errorInformation"]["code"] == "HOOK_EXECUTION_FAILURE" and get(s.production) == "v2", d
    verdict = until("the verdict is logged", lambda: [line for line in ours("packaged-check") if f"VERDICT fail deployment={id} " in line])
    assert " told=Failed " in verdict[0], verdict
    text = "\n".join(log("packaged-check"))
    assert 'left   "v3"' in text and 'right  "v2"' in text and "open sesame" not in text, text


EVENT = {  # as ECS sends it: AWS's blog, "Build custom lifecycle hooks for Amazon ECS blue/green deployments"
    "executionId": "b9b5c8b3-0b0e-4a7c-9a62-3f1b2c4d5e6f", "lifecycleStage": "POST_TEST_TRAFFIC_SHIFT",
    "resourceArn": "arn:aws:ecs:us-east-1:000000000000:service-deployment/c/web/Nf7RUZ0vcTnMVmPfRe5mE",
    "executionDetails": {
        "serviceArn": "arn:aws:ecs:us-east-1:000000000000:service/c/web",
        "targetServiceRevisionArn": "arn:aws:ecs:us-east-1:000000000000:service-revision/c/web/4980306466373577095",
        "testTrafficWeights": {}, "productionTrafficWeights": {}},
    "hookDetails": {"team": "shop"}}


def invoke(name, event):
    out = functions.invoke(FunctionName=name, Payload=json.dumps(event))
    answer = json.loads(out["Payload"].read())
    assert "FunctionError" not in out, answer
    return answer


def native():
    """ECS's own lifecycle hooks: the verdict is what the function returns."""
    s = Site("native")
    p = policies("native-check", s.name)
    reporter = own_role("native-check", p["functionTrust"], p["function"])
    content = packaged("native", written("native", SCENARIO), "--base-url", f"http://{s.test}")
    function("native-check", content, reporter, PASSWORD="x", RELEASE_VERSION="v1")
    assert invoke("native-check", EVENT) == {"hookStatus": "SUCCEEDED"}
    functions.update_function_configuration(FunctionName="native-check", Environment={"Variables": {"PASSWORD": "x", "RELEASE_VERSION": "v2"}})
    assert invoke("native-check", EVENT) == {"hookStatus": "FAILED"}
    verdict = until("the verdict is logged", lambda: [line for line in ours("native-check") if "VERDICT fail " in line])
    assert f'deployment={EVENT["resourceArn"]} execution={EVENT["executionId"]} told=FAILED ' in verdict[0], verdict

    slow = packaged("slow", written("slow", SLOW), "--base-url", f"http://{s.test}")
    function("native-slow", slow, reporter, timeout=4)
    answer = invoke("native-slow", EVENT)
    assert answer["hookStatus"] == "IN_PROGRESS" and answer["callBackDelay"] == 30 and answer["hookDetails"]["team"] == "shop", answer
    since = answer["hookDetails"]["greengate"]["since"]
    answer = invoke("native-slow", {**EVENT, "hookDetails": answer["hookDetails"]})
    assert answer["hookDetails"]["greengate"]["since"] == since, answer
    answer["hookDetails"]["greengate"]["since"] = "2026-01-01T00:00:00Z"
    assert invoke("native-slow", {**EVENT, "hookDetails": answer["hookDetails"]}) == {"hookStatus": "FAILED"}


SAME = """version: 1
name: one file everywhere
vars: {path: /}
steps:
  - name: home
    request: GET ${{ vars.path }}
    capture: {said: raw}
    assert: [status == 200]
  - name: another release
    request: GET /
    query: {of: "${{ steps.home.said }}"}
    assert: [raw == release.version]
  - request: GET /never
"""
VOLATILE = {"traceId", "start", "seconds", "dns", "connect", "tls", "firstByte", "total"}


def steady(v):
    """A result without what differs from run to run."""
    if isinstance(v, list):
        return [steady(item) for item in v]
    if not isinstance(v, dict):
        return v
    if v.get("name", "").lower() in ("traceparent", "date"):
        return {**v, "value": "x"}
    return {key: type(value).__name__.replace("int", "float") if key in VOLATILE else steady(value) for key, value in v.items()}


def same():
    """One scenario gives one result by hand, as a job of a scenario hook, and as a packaged function."""
    import base64
    s = Site("same")
    path, base = written("same", SAME), f"http://{s.test}"
    details = EVENT["executionDetails"]
    release = {"service": details["serviceArn"], "version": "v9", "revision": details["targetServiceRevisionArn"], "deployment": EVENT["resourceArn"]}
    flags = [f"--release={key}={value}" for key, value in release.items()]
    done = subprocess.run([os.environ["GREENGATE"], "verify", "same.yaml", "--base-url", base, "--json", *flags], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 4, done
    by_hand = json.loads(done.stdout)["results"][0]

    with open(f"{FOLDER}/job.json", "w") as f:
        json.dump({"file": "same.yaml", "files": {"same.yaml": base64.b64encode(SAME.encode()).decode()}, "baseUrl": base, "release": release,
                   "allow": "write", "where": "by --allow", "result": f"{FOLDER}/result.json"}, f)
    done = subprocess.run([os.environ["GREENGATE"], "verify", "--hook", f"{FOLDER}/job.json"], cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 4, done
    with open(f"{FOLDER}/result.json") as f:
        as_hook = json.load(f)

    p = policies("same-check", s.name)
    function("same-check", packaged("same", path, "--base-url", base, "--allow", "write"), own_role("same-check", p["functionTrust"], p["function"]),
             RELEASE_VERSION="v9")
    assert invoke("same-check", EVENT) == {"hookStatus": "FAILED"}
    line = until("the result is logged", lambda: [line for line in ours("same-check") if line.startswith("GREENGATE RESULT ")])[0]
    packed = json.loads(line.split(" ", 4)[4])
    assert by_hand["verdict"] == "fail" and [step["verdict"] for step in by_hand["steps"]] == ["pass", "fail", "skipped"], by_hand
    for name, other in (("hook", as_hook), ("function", packed)):
        assert steady(other) == steady(by_hand), f"{name}: {json.dumps(steady(other))}\n{json.dumps(steady(by_hand))}"


def watcher(application, function):
    """The environment of somebody who may watch, and nothing else; a data folder of a controller is not there."""
    iam.create_user(UserName="watcher-" + application)
    iam.put_user_policy(UserName="watcher-" + application, PolicyName="watch", PolicyDocument=json.dumps(policies(function, application)["watch"]))
    key = iam.create_access_key(UserName="watcher-" + application)["AccessKey"]
    return {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"], "AWS_REGION": "us-east-1", "GREENGATE_DATA": "/nowhere",
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def watch():
    """greengate watch sees the verdicts, presses the button for a version that has passed, and only for that one."""
    s = Site("watched")
    p = policies("watched-check", s.name)
    function("watched-check", packaged("watched", written("watched", SCENARIO)), own_role("watched-check", p["functionTrust"], p["function"]),
             TEST_URL=f"http://{s.test}", PASSWORD="x", RELEASE_VERSION="v2")
    env = watcher(s.name, "watched-check")

    def see(id, code, *flags):
        done = subprocess.run([os.environ["GREENGATE"], "watch", id, "--aws", "--interval", "200ms", *flags], env=env, capture_output=True, text=True)
        assert done.returncode == code, done
        return done.stdout

    s.waits(ready=600)
    id = s.deploy("v2", hooks={"AfterAllowTestTraffic": "watched-check"})
    until("it waits", lambda: info(id)["status"] == "Ready", 90)
    out = see(id, 7, "--continue-when-verified", "--function", "nobody", "--timeout", "2s")
    assert "not continued: nobody has said no verdict in its log" in out and info(id)["status"] == "Ready", out
    out = see(id, 0, "--continue-when-verified")
    assert "verdict   watched-check  pass: the new version answers in " in out and "continue  rerouting traffic" in out and get(s.production) == "v2", out

    id = s.deploy("v3", hooks={"AfterAllowTestTraffic": "watched-check"})
    out = see(id, 4, "--continue-when-verified")
    assert "verdict   watched-check  fail: " in out and 'left   "v3"' in out and 'right  "v2"' in out and "rerouting" not in out, out
    assert get(s.production) == "v2"


def check():
    """greengate check --aws finds both permissions that a hook needs and has not."""
    import io
    import zipfile
    trust = policies("x", "x")
    empty = document({"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"})
    s = Site("checked")
    s.change(serviceRoleArn=own_role("checked-deploy", trust["serviceTrust"], json.loads(empty)))
    iam.attach_role_policy(RoleName="checked-deploy", PolicyArn="arn:aws:iam::aws:policy/AWSCodeDeployRoleForECSLimited")  # no function of this name
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as z:
        z.writestr("bootstrap", "#!/bin/sh\n")
    function("checked-check", code.getvalue(), own_role("checked-check", trust["functionTrust"], json.loads(empty)))
    spec = written("appspec", s.appspec(s.task("v2"), AfterAllowTestTraffic="checked-check"))
    session = boto3.Session().get_credentials()
    env = {"AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"], "AWS_REGION": "us-east-1", "GREENGATE_DATA": "/nowhere",
           "AWS_ACCESS_KEY_ID": session.access_key, "AWS_SECRET_ACCESS_KEY": session.secret_key}
    done = subprocess.run([os.environ["GREENGATE"], "check", "--aws", "--appspec", spec, "--application", s.name, "--deployment-group", "g", "--json"],
                          env=env, capture_output=True, text=True)
    findings = [f["message"] for f in json.loads(done.stdout)["findings"] if f["level"] == "error"]
    assert done.returncode == 3 and len(findings) == 2, done
    assert "checked-deploy does not allow lambda:InvokeFunction on " in findings[0], findings
    assert "checked-check does not allow codedeploy:PutLifecycleEventHookExecutionStatus on " in findings[1], findings


if __name__ == "__main__":
    {"codedeploy": codedeploy, "native": native, "same": same, "watch": watch, "check": check}[sys.argv[1]]()
