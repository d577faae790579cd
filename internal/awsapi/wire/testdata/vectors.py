"""Asks botocore how requests look and what answers mean.

  vectors.py make   writes requests.jsonl, random inputs of each operation as botocore serialises them, and prints random
                    outputs (without bytes: those come from the codecs)
  vectors.py parse  reads answers as JSON lines, prints for each what botocore's parser finds in it

Values are written as JSON: timestamps as seconds since 1970, blobs in base64, members under the names of the model.
"""

import base64
import datetime
import gzip
import json
import os
import random
import sys

import botocore
import botocore.model
import botocore.parsers
import botocore.serialize
from botocore.awsrequest import HeadersDict

HERE = os.path.dirname(os.path.abspath(__file__))
SHAPES = os.path.join(HERE, "..", "..", "shapes")
SERVICES = {
    "autoscaling": "application-autoscaling/2016-02-06", "cloudwatch": "cloudwatch/2010-08-01", "codedeploy": "codedeploy/2014-10-06",
    "ecs": "ecs/2014-11-13", "elbv2": "elbv2/2015-12-01", "iam": "iam/2010-05-08", "lambda": "lambda/2015-03-31",
    "logs": "logs/2014-03-28", "s3": "s3/2006-03-01", "sns": "sns/2010-03-31", "sts": "sts/2011-06-15",
}
WORDS = ["plain", "a b", "x<y>&\"z'", "täßt ☃", "50%+1;2=3", "line\nbreak", "arn:aws:ecs:us-east-1:000000000000:task/x", "/path/to", "{json}", "\U0001f680"]
KEY_WORDS = ["key", "a b", "täßt", "x&y", "with.dot", "with/slash"]


def load(package):
    path = os.path.join(os.path.dirname(botocore.__file__), "data", SERVICES[package], "service-2.json.gz")
    with gzip.open(path) as f:
        model = json.load(f)
    protocols = model["metadata"]["protocols"]
    with open(os.path.join(SHAPES, package, "operations.txt")) as f:
        return model, protocols, f.read().split()


class Maker:
    """Makes random values. Empty lists, maps and strings are left to tests of their own."""

    def __init__(self, seed, full):
        self.r, self.full = random.Random(seed), full

    def value(self, shape, depth=0, location=None):
        return getattr(self, "_" + shape.type_name, self._other)(shape, depth, location)

    def _structure(self, shape, depth, _):
        if getattr(shape, "is_document_type", False):
            return {"any": ["thing", 1, {"at": True}]}
        out = {}
        for name, member in shape.members.items():
            location = member.serialization.get("location")
            wanted = name in shape.required_members or location == "uri"
            chance = max(0.95 - 0.15 * depth, 0.05) if self.full else 0.4 / (1 + depth)
            if (wanted or self.r.random() < chance) and depth < 7:
                out[name] = self.value(member, depth + 1, location)
        if not out and shape.members and depth:  # an empty structure is nothing in some protocols
            name = self.r.choice(sorted(n for n, m in shape.members.items() if m.type_name != "structure") or sorted(shape.members))
            out[name] = self.value(shape.members[name], depth + 1)
        if getattr(shape, "is_tagged_union", False) and out:
            first = self.r.choice(sorted(out))
            out = {first: out[first]}
        return out

    def _list(self, shape, depth, location):
        return [self.value(shape.member, depth, location) for _ in range(self.r.choice([1, 1, 2, 11] if depth < 2 and shape.member.type_name == "string" else [1, 2]))]

    def _map(self, shape, depth, location):
        out = {}
        for _ in range(self.r.choice([1, 2])):
            key = self.value(shape.key, depth, location)
            if location == "headers":
                key = self.r.choice(["colour", "size-of-it"])
            elif not getattr(shape.key, "enum", None):
                key = self.r.choice(KEY_WORDS)
            out[key] = self.value(shape.value, depth + 1, location)
        return out

    def _string(self, shape, _, location):
        if getattr(shape, "enum", None):
            return self.r.choice([e for e in shape.enum if e])
        if location in ("header", "headers"):
            return self.r.choice(["plain", "a b", "x=1; y", "1-2"])
        word = self.r.choice(WORDS)
        if location == "uri":
            word = word.replace("\n", " ")
            if shape.name == "BucketName" or "/path" in word:
                word = "bucket"
        return word

    def _integer(self, shape, *_):
        return self.r.choice([0, 1, 80, -5, 2147483647])

    def _long(self, shape, *_):
        return self.r.choice([0, 7, 9007199254740993, -9007199254740993])

    def _float(self, shape, *_):
        return self.r.choice([0.25, -1.5, 123456.75, 1e-3])

    _double = _float

    def _boolean(self, shape, *_):
        return self.r.random() < 0.5

    def _timestamp(self, shape, *_):
        return datetime.datetime(2026, 11, 22, 12, self.r.randrange(60), 5, tzinfo=datetime.timezone.utc)

    def _blob(self, shape, *_):
        return bytes(self.r.randrange(256) for _ in range(self.r.choice([1, 5, 40])))

    def _other(self, shape, *_):
        raise SystemExit("no value for " + shape.type_name)


def plain(value):
    if isinstance(value, datetime.datetime):
        seconds = value.timestamp()
        return int(seconds) if seconds == int(seconds) else seconds
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items() if k != "ResponseMetadata"}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def request(protocol, model, op):
    """Returns the operation's input and the request that carries it."""
    s = botocore.serialize.create_serializer(protocol, include_validation=False)
    return lambda params: s.serialize_to_request(params, op)


def query_of(req):
    q = req.get("query_string") or {}
    if isinstance(q, dict):
        items = []
        for k, v in q.items():
            items += [[k, str(x)] for x in (v if isinstance(v, list) else [v])]
        return items
    return [list(p) for p in q]


def body_of(req):
    body = req["body"]
    if isinstance(body, dict):  # a form
        from urllib.parse import urlencode
        body = urlencode(body)
    if isinstance(body, str):
        body = body.encode()
    body = body or b""
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def make():
    out = {"requests": open(os.path.join(HERE, "requests.jsonl"), "w"), "outputs": sys.stdout}
    for package in sorted(SERVICES):
        model, protocols, operations = load(package)
        for protocol in protocols:
            model["metadata"]["protocol"] = protocol
            service = botocore.model.ServiceModel(model, package)
            for name in operations:
                op = service.operation_model(name)
                for variant in range(2):
                    seed = f"{package} {name} {variant}"
                    if op.input_shape:
                        params = Maker(seed + " in", variant == 0).value(op.input_shape)
                        req = request(protocol, model, op)(params)
                        line = {"package": package, "protocol": protocol, "op": name, "method": req["method"], "path": req["url_path"],
                                "query": query_of(req), "headers": {k: str(v) for k, v in dict(req["headers"]).items()},
                                **body_of(req), "want": plain(params)}
                        out["requests"].write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")
                    if op.output_shape and name != "GetBucketLocation":  # its answer is not read by the parser
                        value = Maker(seed + " out", variant == 0).value(op.output_shape)
                        for key, member in op.output_shape.members.items():
                            if member.serialization.get("location") == "statusCode":
                                value[key] = 202
                        line = {"package": package, "protocol": protocol, "op": name, "want": plain(value)}
                        out["outputs"].write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")


def parse():
    models = {}
    for line in sys.stdin:
        a = json.loads(line)
        if a["package"] not in models:
            models[a["package"]] = load(a["package"])[0]
        model = models[a["package"]]
        model["metadata"]["protocol"] = a["protocol"]
        service = botocore.model.ServiceModel(model, a["package"])
        shape = service.operation_model(a["op"]).output_shape
        parser = botocore.parsers.create_parser(a["protocol"])
        payload = shape.serialization.get("payload")
        body = base64.b64decode(a["body"] or "")
        stream = payload and shape.members[payload].type_name == "blob"
        found = parser.parse({"status_code": a["status"], "headers": HeadersDict(a["headers"]), "body": memoryview(body) if stream else body,
                              "context": {"operation_name": a["op"]}}, shape)
        error = found.get("Error")
        print(json.dumps({"error": error, "request_id": found.get("ResponseMetadata", {}).get("RequestId"),
                          "found": plain({k: v for k, v in found.items() if k != "Error"})}))


{"make": make, "parse": parse}[sys.argv[1]]()
