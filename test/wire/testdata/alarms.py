"""Stories of alarms, each by its name: `python3 alarms.py NAME`. Every one works on resources of its own. A minute lasts a second."""
import datetime
import sys

import boto3

from site_of import *  # noqa: F403
from site_of import cd, elb, ended, get, info, until, Site

cw = boto3.client("cloudwatch")
ROLLBACK = {"enabled": True, "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_REQUEST", "DEPLOYMENT_STOP_ON_ALARM"]}


def watched(name, **other):
    """A deployment group that an alarm of its own name watches."""
    return {"autoRollbackConfiguration": ROLLBACK, "alarmConfiguration": {"enabled": True, "alarms": [{"name": name}], **other}}


def dimension(arn, mark):
    return arn.split(f":{mark}", 1)[1]


def alarm(name, site, metric, group=None, **other):
    dims = [{"Name": "LoadBalancer", "Value": dimension(site.lb["LoadBalancerArn"], "loadbalancer/")}]
    if group is not None:
        dims.append({"Name": "TargetGroup", "Value": "targetgroup/" + dimension(site.groups[group], "targetgroup/")})
    members = dict(
        AlarmName=name, Namespace="AWS/ApplicationELB", MetricName=metric, Dimensions=dims, Period=60, EvaluationPeriods=1,
        ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching") | other
    cw.put_metric_alarm(**members)


def config(name, percent):
    cd.create_deployment_config(deploymentConfigName=name, computePlatform="ECS", trafficRoutingConfig={
        "type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": percent, "linearInterval": 600}})
    return name


def state(name):
    return cw.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"]


def stopped(s, id):
    """The deployment once it, and what goes back, have ended."""
    d = ended(id)
    assert (d["status"], d["errorInformation"]["code"]) == ("Stopped", "ALARM_ACTIVE"), d
    until("the rollback has ended", lambda: not cd.list_deployments(
        applicationName=s.name, deploymentGroupName="g", includeOnlyStatuses=["Created", "InProgress", "Ready"])["deployments"])
    return d["errorInformation"]["message"]


def went_back(s, id, name):
    d = until("stopped and rolled back", lambda: (d := info(id))["status"] == "Stopped" and "rollbackDeploymentId" in d.get("rollbackInfo", {}) and d)
    assert d["errorInformation"]["code"] == "ALARM_ACTIVE" and f"<{name}>" in d["errorInformation"]["message"], d["errorInformation"]
    back = ended(d["rollbackInfo"]["rollbackDeploymentId"])
    assert back["status"] == "Succeeded" and back["creator"] == "codeDeployRollback", back
    assert s.weights() == {"t1": 100, "t2": 0}, s.weights()
    assert {get(s.production) for _ in range(20)} == {"v1"}


def by_hand():
    """Conformance cases 64 and 65: set-alarm-state stops a linear deployment, which goes back; one that was told not to look at
    alarms goes on."""
    s = Site("byhand", group=watched("byhand"))
    # Without data the state would not stay: TreatMissingData ignore keeps it.
    alarm("byhand", s, "Nothing", Statistic="Sum", Threshold=1, TreatMissingData="ignore")
    id = s.deploy("v2", deploymentConfigName=config("byhand", 20))
    until("a fifth", lambda: s.weights() == {"t1": 80, "t2": 20})
    cw.set_alarm_state(AlarmName="byhand", StateValue="ALARM", StateReason="drill")
    went_back(s, id, "byhand")
    events = s.events(id)
    assert (events["AllowTraffic"], events["AfterAllowTraffic"]) == ("Failed", "Skipped"), events
    # One that begins while the alarm is in ALARM stops at once.
    assert "<byhand>" in stopped(s, s.deploy("v3"))
    id = s.deploy("v4", overrideAlarmConfiguration={"enabled": False, "alarms": []})
    d = ended(id)
    assert d["status"] == "Succeeded" and get(s.production) == "v4"
    assert d["overrideAlarmConfiguration"] == {"enabled": False, "ignorePollAlarmFailure": False, "alarms": []}, d
    assert state("byhand") == "ALARM"


def rate(s):
    """An alarm on the share of 5xx answers of all requests of the load balancer."""
    def sum_of(id, metric):
        dims = [{"Name": "LoadBalancer", "Value": dimension(s.lb["LoadBalancerArn"], "loadbalancer/")}]
        return {"Id": id, "ReturnData": False, "MetricStat": {"Stat": "Sum", "Period": 60, "Metric": {
            "Namespace": "AWS/ApplicationELB", "MetricName": metric, "Dimensions": dims}}}
    cw.put_metric_alarm(
        AlarmName="burst-rate", EvaluationPeriods=1, Threshold=20, ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching", Metrics=[
            sum_of("failed", "HTTPCode_Target_5XX_Count"), sum_of("all", "RequestCount"), {"Id": "rate", "Expression": "100 * FILL(failed, 0) / all"}])


def burst():
    """5xx answers of green under a canary trip an alarm on what the data plane counts, and the deployment goes back."""
    s = Site("burst", group=watched("burst"))
    alarm("burst", s, "HTTPCode_Target_5XX_Count", group=1, Statistic="Sum", Threshold=5)
    rate(s)
    until("calm", lambda: state("burst") == "OK")
    begin = datetime.datetime.now(datetime.timezone.utc)

    def total(metric, **dims):
        points = cw.get_metric_statistics(
            Namespace="AWS/ApplicationELB", MetricName=metric, Statistics=["Sum"], Period=60, StartTime=begin,
            EndTime=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1),
            Dimensions=[{"Name": k, "Value": v} for k, v in dims.items()])["Datapoints"]
        return sum(p["Sum"] for p in points)
    lb = dimension(s.lb["LoadBalancerArn"], "loadbalancer/")
    green = "targetgroup/" + dimension(s.groups[1], "targetgroup/")
    before = total("HTTPCode_ELB_5XX_Count", LoadBalancer=lb)  # the period of begin has what was asked before there were tasks
    id = s.deploy("failing", deploymentConfigName=config("burst", 50))
    until("half", lambda: s.weights() == {"t1": 50, "t2": 50})

    answers = []

    def load():
        answers.extend(get(s.production) for _ in range(50))
        return info(id)["status"] == "Stopped"
    until("the alarm stops it", load)
    went_back(s, id, "burst")
    history = cw.describe_alarm_history(AlarmName="burst", HistoryItemType="StateUpdate", ScanBy="TimestampAscending")["AlarmHistoryItems"]
    assert "Alarm updated from OK to ALARM" in [h["HistorySummary"] for h in history], history
    assert any("Threshold Crossed: 1 datapoint [" in h["HistoryData"] for h in history), history

    failed = total("HTTPCode_Target_5XX_Count", LoadBalancer=lb, TargetGroup=green)
    assert failed > 5 and failed == total("HTTPCode_Target_5XX_Count", LoadBalancer=lb) == total("RequestCount", LoadBalancer=lb, TargetGroup=green), failed
    assert total("RequestCount", LoadBalancer=lb) > failed
    own = [a for a in answers if a in (502, 503, 504)]  # a busy machine may make a target miss its health check
    assert total("HTTPCode_ELB_5XX_Count", LoadBalancer=lb) - before == len(own), own
    until("the rate was seen", lambda: "Alarm updated from OK to ALARM" in [
        h["HistorySummary"] for h in cw.describe_alarm_history(AlarmName="burst-rate", HistoryItemType="StateUpdate")["AlarmHistoryItems"]])
    until("calm again", lambda: state("burst") == "OK")


def percentile():
    """p99 of the response time trips an alarm."""
    s = Site("percentile", group=watched("percentile"))
    alarm("percentile", s, "TargetResponseTime", group=1, ExtendedStatistic="p99", Threshold=0.25)
    id = s.deploy("slow", deploymentConfigName=config("percentile", 50))
    until("half", lambda: s.weights() == {"t1": 50, "t2": 50})

    def load():
        for _ in range(5):
            get(s.production)
        return info(id)["status"] == "Stopped"
    until("the alarm stops it", load)
    went_back(s, id, "percentile")


def hosts():
    """A target that fails its health check is counted."""
    s = Site("hosts", desired=1)
    alarm("hosts", s, "UnHealthyHostCount", group=0, Statistic="Maximum", Threshold=0)
    alarm("hosts-up", s, "HealthyHostCount", group=0, Statistic="Minimum", Threshold=1, ComparisonOperator="LessThanThreshold")
    until("well", lambda: (state("hosts"), state("hosts-up")) == ("OK", "OK"))
    with urllib.request.urlopen(f"http://{s.production}/break", timeout=10):
        pass
    until("ill", lambda: (state("hosts"), state("hosts-up")) == ("ALARM", "ALARM"))
    assert elb.describe_target_health(TargetGroupArn=s.groups[0])["TargetHealthDescriptions"][0]["TargetHealth"]["State"] == "unhealthy"


def unknown():
    """An alarm that does not exist cannot be watched: that stops a deployment, unless ignorePollAlarmFailure is set."""
    s = Site("unknown", group=watched("unknown"))
    assert "alarm unknown does not exist" in stopped(s, s.deploy("v2"))
    s.change(**{"alarmConfiguration": watched("unknown", ignorePollAlarmFailure=True)["alarmConfiguration"]})
    assert ended(s.deploy("v3"))["status"] == "Succeeded"
    # What is put meanwhile is watched, also where polling may fail.
    id = s.deploy("v4", deploymentConfigName=config("unknown", 20))
    until("a fifth", lambda: sorted(s.weights().values()) == [20, 80])
    alarm("unknown", s, "Nothing", Statistic="Sum", Threshold=1, TreatMissingData="breaching")
    assert "<unknown>" in stopped(s, id)


globals()[sys.argv[1]]()
