"""Hooks of an AppSpec file that are no functions, registered by serve --hooks: `python3 registered.py NAME`."""
import urllib.request

from site_of import *  # noqa: F403
from site_of import cd, ended, get, sys, Site


def verified():
    """A scenario on the test listener and a command after the switch decide."""
    s = Site("verified")
    d = ended(id := s.deploy("v2", hooks={"AfterAllowTestTraffic": "scenario:answers", "AfterAllowTraffic": "command:production"}))
    assert d["status"] == "Succeeded" and get(s.production) == "v2", d
    assert s.events(id)["AfterAllowTestTraffic"] == "Succeeded", s.events(id)
    named = [urllib.request.urlopen(f"http://{a}/", timeout=10).headers.get("X-Greengate-Task-Set") for a in (s.production, s.test)]
    assert named[0] is None and named[1], named


def early():
    """In AWS's own order the test listener serves the old version at AfterInstall: a scenario that any version passes is untold."""
    s = Site("early")
    cd.tag_resource(ResourceArn=f"arn:aws:codedeploy:us-east-1:000000000000:deploymentgroup:{s.name}/g",
                    Tags=[{"Key": "greengate:test-traffic", "Value": "strict"}])
    d = ended(s.deploy("v2", hooks={"AfterInstall": "scenario:answers"}))
    assert d["status"] == "Failed" and d["errorInformation"]["code"] == "HOOK_EXECUTION_FAILURE", d
    assert "another task set answered" in d["errorInformation"]["message"], d
    assert get(s.production) == "v1"


def unknown():
    """What is not in the file, or cannot run in its event, is refused before anything is started."""
    s = Site("unknown", test=False)
    for hooks, message in (
        ({"AfterInstall": "scenario:answer"}, "no scenario 'answer' is registered"),
        ({"AfterInstall": "command:answers"}, "no command 'answers' is registered"),
        ({"BeforeInstall": "scenario:answers"}, "the new version does not run yet"),
        ({"AfterInstall": "scenario:answers"}, "a scenario needs a test listener"),
    ):
        d = ended(s.deploy("v2", hooks=hooks))
        assert d["status"] == "Failed" and d["errorInformation"]["code"] == "INVALID_REVISION" and message in d["errorInformation"]["message"], d
    d = ended(s.deploy("v2", hooks={"AfterAllowTraffic": "scenario:answers"}))
    assert d["status"] == "Succeeded" and get(s.production) == "v2", d


if __name__ == "__main__":
    globals()[sys.argv[1]]()
