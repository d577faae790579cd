"""A hook that says what it was given and reports nothing: the story that deploys decides and reports."""
import json


def handler(event, context):
    print("GATE", json.dumps(event))


def crash(event, context):
    raise ValueError("the hook is broken")
