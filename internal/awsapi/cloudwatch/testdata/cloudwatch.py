"""Drives the CloudWatch operations with botocore in the protocol that is named, as SDKs of different ages speak."""
import datetime
import sys

import boto3
import botocore.exceptions
import botocore.session

protocol = sys.argv[1]
session = botocore.session.get_session()
loader = session.get_component("data_loader")
load = loader.load_service_model


def only(service, type_name, api_version=None):
    model = load(service, type_name, api_version)
    if type_name == "service-2":
        model["metadata"]["protocols"] = [protocol]
        model["metadata"]["protocol"] = protocol
    return model


loader.load_service_model = only
cw = boto3.Session(botocore_session=session).client("cloudwatch")
assert cw.meta.service_model.resolved_protocol == protocol, cw.meta.service_model.resolved_protocol


def refused(code, call, status=400, **kwargs):
    try:
        call(**kwargs)
    except botocore.exceptions.ClientError as e:
        got, http = e.response["Error"]["Code"], e.response["ResponseMetadata"]["HTTPStatusCode"]
        assert (got, http) == (code, status), f"{call.__name__}: {got} {http}, want {code}: {e}"
        assert e.response["Error"]["Message"], e.response
        return
    raise AssertionError(f"{call.__name__} was not refused with {code}")


TOPIC = "arn:aws:sns:us-east-1:000000000000:page"
ALARM = dict(
    AlarmName="5xx", AlarmDescription="too many", Namespace="AWS/ApplicationELB", MetricName="HTTPCode_Target_5XX_Count", Statistic="Sum",
    Dimensions=[{"Name": "LoadBalancer", "Value": "app/x/1"}], Period=60, EvaluationPeriods=2, DatapointsToAlarm=1, Threshold=5.5,
    ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching", AlarmActions=[TOPIC], Tags=[{"Key": "team", "Value": "a"}])


def bad(code, **change):
    members = {**ALARM, "AlarmName": "bad", **change}
    refused(code, cw.put_metric_alarm, **{k: v for k, v in members.items() if v is not None})


def describe(name="5xx"):
    found = cw.describe_alarms(AlarmNames=[name])
    assert found["CompositeAlarms"] == [], found
    return found["MetricAlarms"][0]


# Alarms.
cw.put_metric_alarm(**ALARM)
a = describe()
for member, value in ALARM.items():
    assert member == "Tags" or a[member] == value, (member, a)
assert a["StateValue"] == "INSUFFICIENT_DATA" and a["StateReason"] == "Unchecked: Initial alarm creation" and a["ActionsEnabled"] is True, a
assert a["AlarmArn"] == "arn:aws:cloudwatch:us-east-1:000000000000:alarm:5xx" and a["OKActions"] == [], a
assert abs(a["StateUpdatedTimestamp"].timestamp() - datetime.datetime.now().timestamp()) < 600, a
bad("ValidationError", Period=45)
bad("ValidationError", Period=3600, EvaluationPeriods=25)
bad("ValidationError", DatapointsToAlarm=3)
bad("ValidationError", TreatMissingData="perhaps")
bad("ValidationError", ComparisonOperator="IsBig")
bad("ValidationError", Statistic=None)
bad("ValidationError", Threshold=None)
bad("ValidationError", MetricName=None)
bad("ValidationError", AlarmActions=["page me"])
bad("InvalidParameterCombination", ExtendedStatistic="p99")
bad("InvalidParameterValue", Statistic=None, ExtendedStatistic="tm99")
cw.put_metric_alarm(**{**{k: v for k, v in ALARM.items() if k != "Statistic"}, "AlarmName": "p99", "ExtendedStatistic": "p99",
                       "MetricName": "TargetResponseTime"})
assert describe("p99")["ExtendedStatistic"] == "p99" and "Statistic" not in describe("p99")
assert cw.describe_alarms(AlarmNames=["nope"])["MetricAlarms"] == []
assert [x["AlarmName"] for x in cw.describe_alarms()["MetricAlarms"]] == ["5xx", "p99"]
assert [x["AlarmName"] for x in cw.describe_alarms(AlarmNamePrefix="p")["MetricAlarms"]] == ["p99"]
assert cw.describe_alarms(StateValue="ALARM")["MetricAlarms"] == []
assert [x["AlarmName"] for x in cw.describe_alarms(ActionPrefix=TOPIC)["MetricAlarms"]] == ["5xx", "p99"]
page = cw.describe_alarms(MaxRecords=1)
assert [x["AlarmName"] for x in cw.describe_alarms(NextToken=page["NextToken"])["MetricAlarms"]] == ["p99"]
assert [p["MetricAlarms"][0]["AlarmName"] for p in cw.get_paginator("describe_alarms").paginate(PaginationConfig={"PageSize": 1})] == ["5xx", "p99"]
refused("InvalidNextToken", cw.describe_alarms, NextToken="nonsense")
of = dict(Namespace=ALARM["Namespace"], MetricName=ALARM["MetricName"])
assert [x["AlarmName"] for x in cw.describe_alarms_for_metric(Dimensions=ALARM["Dimensions"], **of)["MetricAlarms"]] == ["5xx"]
assert cw.describe_alarms_for_metric(**of)["MetricAlarms"] == []

# States, actions and history.
cw.disable_alarm_actions(AlarmNames=["5xx", "nope"])
assert describe()["ActionsEnabled"] is False
cw.set_alarm_state(AlarmName="5xx", StateValue="ALARM", StateReason="muted")
cw.enable_alarm_actions(AlarmNames=["5xx"])
cw.set_alarm_state(AlarmName="5xx", StateValue="OK", StateReason="calm")
cw.set_alarm_state(AlarmName="5xx", StateValue="ALARM", StateReason="drill", StateReasonData='{"by": "me"}')
a = describe()
assert (a["StateValue"], a["StateReason"], a["StateReasonData"]) == ("ALARM", "drill", '{"by": "me"}'), a
assert [x["AlarmName"] for x in cw.describe_alarms(StateValue="ALARM")["MetricAlarms"]] == ["5xx"]
refused("ResourceNotFound", cw.set_alarm_state, 404, AlarmName="nope", StateValue="OK", StateReason="x")
refused("InvalidFormat", cw.set_alarm_state, AlarmName="5xx", StateValue="OK", StateReason="x", StateReasonData="{")
refused("ValidationError", cw.set_alarm_state, AlarmName="5xx", StateValue="FINE", StateReason="x")
history = cw.describe_alarm_history(AlarmName="5xx")["AlarmHistoryItems"]
assert [h["HistoryItemType"] for h in history] == ["Action"] + 2 * ["StateUpdate"] + ["ConfigurationUpdate", "StateUpdate"] + 2 * ["ConfigurationUpdate"], history
assert history[0]["HistorySummary"] == f"Successfully executed action {TOPIC}", history[0]
assert history[1]["HistorySummary"] == "Alarm updated from OK to ALARM" and '"stateReason":"drill"' in history[1]["HistoryData"], history[1]
updates = dict(AlarmName="5xx", HistoryItemType="StateUpdate", ScanBy="TimestampAscending")
pages = cw.get_paginator("describe_alarm_history").paginate(PaginationConfig={"PageSize": 2}, **updates)
assert [i["HistorySummary"].split()[-1] for p in pages for i in p["AlarmHistoryItems"]] == ["ALARM", "OK", "ALARM"]
cw.put_metric_alarm(**{**ALARM, "Threshold": 7})
assert describe()["StateValue"] == "ALARM" and describe()["Threshold"] == 7

# Tags.
arn = a["AlarmArn"]
cw.tag_resource(ResourceARN=arn, Tags=[{"Key": "env", "Value": "test"}])
cw.untag_resource(ResourceARN=arn, TagKeys=["team"])
assert cw.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "env", "Value": "test"}]
refused("ResourceNotFoundException", cw.list_tags_for_resource, 404, ResourceARN=arn + "x")
refused("InvalidParameterValue", cw.list_tags_for_resource, ResourceARN="arn:nonsense")

# Metrics.
now = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0) - datetime.timedelta(minutes=2)
dims = [{"Name": "d", "Value": "1"}]
cw.put_metric_data(Namespace="App", MetricData=[
    {"MetricName": "m", "Dimensions": dims, "Timestamp": now, "Unit": "Milliseconds", "Values": [1.0, 2.5, 10.0], "Counts": [1.0, 2.0, 1.0]},
    {"MetricName": "m", "Dimensions": dims, "Timestamp": now + datetime.timedelta(minutes=1), "Unit": "Milliseconds", "Value": 4},
    {"MetricName": "set", "Timestamp": now, "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4}}])
within = dict(StartTime=now - datetime.timedelta(hours=1), EndTime=now + datetime.timedelta(minutes=5), Period=60)
got = cw.get_metric_statistics(
    Namespace="App", MetricName="m", Dimensions=dims, Statistics=["Sum", "SampleCount", "Average", "Minimum", "Maximum"], **within)
assert got["Label"] == "m" and len(got["Datapoints"]) == 2, got
point = got["Datapoints"][0]
assert point.pop("Timestamp") == now, point
assert point == {"Sum": 16, "SampleCount": 4, "Average": 4, "Minimum": 1, "Maximum": 10, "Unit": "Milliseconds"}, point
got = cw.get_metric_statistics(Namespace="App", MetricName="m", Dimensions=dims, ExtendedStatistics=["p50", "p100"], **within)["Datapoints"][0]
assert abs(got["ExtendedStatistics"]["p50"] - 2.5) < 0.1 and got["ExtendedStatistics"]["p100"] == 10, got
assert cw.get_metric_statistics(Namespace="App", MetricName="set", Statistics=["Average"], **within)["Datapoints"][0]["Average"] == 2.5
assert cw.get_metric_statistics(Namespace="App", MetricName="m", Statistics=["Sum"], **within)["Datapoints"] == []
refused("InvalidParameterCombination", cw.get_metric_statistics, Namespace="App", MetricName="m", **within)
refused("InvalidParameterValue", cw.get_metric_statistics, Namespace="App", MetricName="m", Statistics=["Sum"], **{**within, "Period": 45})
refused("InvalidParameterValue", cw.get_metric_statistics, Namespace="App", MetricName="m", Statistics=["Sum"], **{**within, "EndTime": within["StartTime"]})
refused("InvalidParameterCombination", cw.get_metric_statistics, Namespace="App", MetricName="m", Statistics=["Sum"],
        **{**within, "StartTime": now - datetime.timedelta(days=2)})


def query(id, stat, **other):
    return {"Id": id, "MetricStat": {"Metric": {"Namespace": "App", "MetricName": "m", "Dimensions": dims}, "Period": 60, "Stat": stat}, **other}


ask = dict(StartTime=within["StartTime"], EndTime=within["EndTime"])
got = cw.get_metric_data(MetricDataQueries=[query("a", "Sum"), query("b", "p100", Label="top"), query("c", "Sum", ReturnData=False)], **ask)
assert [(r["Id"], r["Label"], r["Values"], r["StatusCode"]) for r in got["MetricDataResults"]] == [
    ("a", "m", [4, 16], "Complete"), ("b", "top", [4, 10], "Complete")], got
assert got["MetricDataResults"][0]["Timestamps"] == [now + datetime.timedelta(minutes=1), now], got
got = cw.get_metric_data(MetricDataQueries=[
    query("a", "Sum", ReturnData=False), query("n", "SampleCount", ReturnData=False), {"Id": "mean", "Expression": "a / n"},
    {"Id": "share", "Expression": "100 * FILL(mean, 0)", "Label": "%"}], ScanBy="TimestampAscending", **ask)["MetricDataResults"]
assert [(r["Id"], r["Label"]) for r in got] == [("mean", "mean"), ("share", "%")] and got[0]["Values"] == [4, 4], got
assert got[1]["Values"][-1] == 0 and 400 in got[1]["Values"] and len(got[1]["Values"]) == 65, got
refused("ValidationError", cw.get_metric_data, MetricDataQueries=[{"Id": "a", "Expression": "b * 2"}], **ask)
refused("ValidationError", cw.get_metric_data, MetricDataQueries=[query("a", "Sum"), {"Id": "b", "Expression": "SEARCH('x')"}], **ask)
rate = dict(AlarmName="rate", EvaluationPeriods=1, Threshold=5, ComparisonOperator="GreaterThanThreshold", Metrics=[
    query("failed", "Sum", ReturnData=False), query("all", "SampleCount", ReturnData=False), {"Id": "rate", "Expression": "100 * failed / all"}])
cw.put_metric_alarm(**rate)
a = describe("rate")
assert [m["Id"] for m in a["Metrics"]] == ["failed", "all", "rate"] and a["Metrics"][2]["Expression"] == "100 * failed / all", a
assert "MetricName" not in a and "Period" not in a, a
refused("ValidationError", cw.put_metric_alarm, **{**rate, "Metrics": rate["Metrics"][:2]})
refused("ValidationError", cw.put_metric_alarm, **{**rate, "Metrics": rate["Metrics"][1:]})
refused("InvalidParameterCombination", cw.put_metric_alarm, Period=60, **rate)
cw.delete_alarms(AlarmNames=["rate"])
refused("ValidationError", cw.get_metric_data, MetricDataQueries=[query("A", "Sum")], **ask)
refused("ValidationError", cw.get_metric_data, MetricDataQueries=[query("a", "Sum"), query("a", "Sum")], **ask)
refused("ValidationError", cw.get_metric_data, MetricDataQueries=[query("a", "tm90")], **ask)
refused("InvalidParameterValue", cw.put_metric_data, Namespace="AWS/EC2", MetricData=[{"MetricName": "m", "Value": 1}])
refused("InvalidParameterValue", cw.put_metric_data, Namespace="App", MetricData=[{"MetricName": "m", "Value": 1, "Timestamp": now - datetime.timedelta(days=20)}])
refused("InvalidParameterCombination", cw.put_metric_data, Namespace="App", MetricData=[{"MetricName": "m", "Value": 1, "Values": [1.0]}])
refused("MissingParameter", cw.put_metric_data, Namespace="App", MetricData=[{"MetricName": "m"}])
refused("InvalidParameterValue", cw.put_metric_data, Namespace="App", MetricData=[{"MetricName": "m", "Value": 1e200}])
refused("InvalidParameterValue", cw.put_metric_data, Namespace="App", MetricData=[{"MetricName": "m", "Values": [1.0], "Counts": [1.0, 2.0]}])
assert cw.list_metrics()["Metrics"] == [
    {"Namespace": "App", "MetricName": "m", "Dimensions": dims}, {"Namespace": "App", "MetricName": "set", "Dimensions": []}]
assert len(cw.list_metrics(Dimensions=[{"Name": "d"}], RecentlyActive="PT3H")["Metrics"]) == 1
assert cw.list_metrics(Namespace="Other")["Metrics"] == []
refused("InvalidParameterValue", cw.list_metrics, NextToken="nonsense")

# The end: all or none.
refused("ResourceNotFound", cw.delete_alarms, 404, AlarmNames=["5xx", "nope"])
assert describe()
cw.delete_alarms(AlarmNames=["5xx", "p99"])
assert cw.describe_alarms()["MetricAlarms"] == []
