# SPDX-License-Identifier: Apache-2.0
"""Runs a Python handler against the Lambda Runtime API (2018-06-01).

Used where awslambdaric is not installed. Standard library only, Python 3.6 or later. A broken connection is made anew:
the server may have been restarted while the handler ran, and an answer must not get lost by that.
"""

import decimal
import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
ROOT = "/2018-06-01/runtime/"
PATIENCE = 60.0  # seconds for which a server that is away is tried again
MARK = "\x1egreengate:end "  # the server takes it as: all that this invocation printed has been read


class Refused(Exception):
    """The server has answered that it does not want this."""


def call(method, path, body=None, headers=None):
    """Sends one request, again and again while the server is away."""
    give_up = time.monotonic() + PATIENCE
    delay = 0.01
    while True:
        conn = http.client.HTTPConnection(API)
        sent = time.monotonic()
        try:
            conn.request(method, ROOT + path, body=body, headers=headers or {})
            response = conn.getresponse()
            data = response.read()
            if response.status < 500:
                if response.status >= 300:
                    raise Refused("%s %s: %d %s" % (method, path, response.status, data[:200]))
                return response.headers, data
        except (OSError, http.client.HTTPException):
            pass
        finally:
            conn.close()
        now = time.monotonic()
        if now - sent > 5:  # it was there for a long poll: patience starts again
            give_up, delay = now + PATIENCE, 0.01
        if now > give_up:
            sys.exit("greengate: the Runtime API at %s is gone" % API)
        time.sleep(delay)
        delay = min(delay * 2, 0.5)


class Identity:
    cognito_identity_id = None
    cognito_identity_pool_id = None

    def __repr__(self):
        return "CognitoIdentity([cognito_identity_id=None,cognito_identity_pool_id=None])"


class ClientContext:
    """The attributes of the mobile SDK's client context, from its JSON."""

    class Client:
        __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")

    def __init__(self, data):
        self.custom = data.get("custom")
        self.env = data.get("env")
        self.client = None
        if data.get("client"):
            self.client = ClientContext.Client()
            for name in ClientContext.Client.__slots__:
                setattr(self.client, name, data["client"].get(name))


class Context:
    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers.get("Lambda-Runtime-Invoked-Function-Arn")
        self._deadline = int(headers.get("Lambda-Runtime-Deadline-Ms", "0"))
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.identity = Identity()
        client = headers.get("Lambda-Runtime-Client-Context")
        self.client_context = ClientContext(json.loads(client)) if client else None

    def get_remaining_time_in_millis(self):
        return max(self._deadline - int(time.time() * 1000), 0)

    def log(self, message):
        sys.stdout.write(str(message))


current = {"id": ""}
INIT = "-"  # in place of a request id in the mark that ends the output of the initialization


class RequestFilter(logging.Filter):
    def filter(self, record):
        record.aws_request_id = current["id"]
        return True


class OneEvent(logging.Formatter):
    converter = time.gmtime

    def format(self, record):
        # A line break inside one log event is \r, as in Lambda's own clients.
        return super().format(record).replace("\n", "\r")


class Handler(logging.Handler):
    def emit(self, record):
        try:
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except Exception:
            self.handleError(record)


def set_up_logging():
    handler = Handler()
    handler.setFormatter(OneEvent(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(RequestFilter())
    logging.root.addHandler(handler)


def encode(value):
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def frames(exc):
    """The trace of the handler's own frames, innermost last."""
    entries = traceback.extract_tb(exc.__traceback__)
    own = os.path.abspath(__file__)
    while entries and (os.path.abspath(entries[0].filename) == own or "importlib" in entries[0].filename
                       or entries[0].filename.startswith("<frozen importlib")):
        entries = entries[1:]
    return traceback.format_list(entries)


def fault(kind, message, trace=()):
    return {"errorMessage": message, "errorType": kind, "requestId": current["id"], "stackTrace": list(trace)}


def report(path, error):
    """Prints the error to the log as one event, then posts it."""
    lines = ["[ERROR] %s: %s" % (error["errorType"], error["errorMessage"])]
    if error["stackTrace"]:
        lines += ["Traceback (most recent call last):"] + [t.rstrip("\n") for t in error["stackTrace"]]
    try:
        print("\r".join(lines).replace("\n", "\r"), flush=True)
    except (OSError, ValueError):
        pass
    finish_output()
    body = json.dumps(error).encode()
    post(path, body, {"Content-Type": "application/json", "Lambda-Runtime-Function-Error-Type": header(error["errorType"])})


def header(text):
    return "".join(c if 32 < ord(c) < 127 else "_" for c in text)[:256]


def post(path, body, headers):
    try:
        call("POST", path, body, headers)
    except Refused as e:
        print("greengate: %s" % e, file=sys.__stderr__, flush=True)


def finish_output():
    """Flushes what was printed and marks its end on both streams."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
    for fd in (1, 2):
        try:
            os.write(fd, (MARK + (current["id"] or INIT) + "\n").encode())
        except OSError:
            pass


def load(name):
    """Imports the handler; returns it or the error that Lambda would report."""
    try:
        module, function = name.rsplit(".", 1)
    except ValueError:
        return None, fault("Runtime.MalformedHandlerName", "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % name)
    module = module.replace("/", ".")
    try:
        loaded = importlib.import_module(module)
    except ImportError as e:
        return None, fault("Runtime.ImportModuleError", "Unable to import module '%s': %s" % (module, e), frames(e))
    except SyntaxError as e:
        where = ['  File "%s" Line %s\n    %s\n' % (e.filename, e.lineno, (e.text or "").strip())]
        return None, fault("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (module, e), where)
    except Exception as e:
        return None, fault(type(e).__name__, str(e), frames(e))
    if not hasattr(loaded, function):
        return None, fault("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (function, module))
    return getattr(loaded, function), None


def run(handler, headers, event):
    """One invocation."""
    current["id"] = headers["Lambda-Runtime-Aws-Request-Id"]
    path = "invocation/%s/" % current["id"]
    trace = headers.get("Lambda-Runtime-Trace-Id")
    if trace:
        os.environ["_X_AMZN_TRACE_ID"] = trace
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    try:
        try:
            value = json.loads(event.decode())
        except ValueError as e:
            return report(path + "error", fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % e))
        result = handler(value, Context(headers))
    except Exception as e:
        return report(path + "error", fault(type(e).__name__, str(e), frames(e)))
    try:
        body = json.dumps(result, default=encode, ensure_ascii=False).encode()
    except Exception as e:
        return report(path + "error", fault("Runtime.MarshalError", "Unable to marshal response: %s" % e))
    finish_output()
    return post(path + "response", body, {"Content-Type": "application/json"})


def main():
    root = os.environ.get("LAMBDA_TASK_ROOT", os.getcwd())
    sys.path[0] = root  # in place of this file's folder
    sys.argv = sys.argv[:1]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True)
    set_up_logging()
    handler, error = load(os.environ["_HANDLER"])
    if error:
        report("init/error", error)
        sys.exit(1)
    finish_output()
    while True:
        try:
            headers, event = call("GET", "invocation/next")
        except Refused as e:
            sys.exit("greengate: %s" % e)
        run(handler, headers, event)


if __name__ == "__main__":
    main()
