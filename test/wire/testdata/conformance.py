"""The conformance cases of the CodeDeploy contract, black box, each by its number there.

    python3 conformance.py list     which story has which case
    python3 conformance.py RUN      plays the stories of a run at the same time, and says how each case ended

The run "aws" is for `serve --compat aws --minute 1s`, "unscaled" for the same without --minute, "default" for
`serve --minute 1s`: it has no numbers of the contract, but what Greengate does otherwise on purpose."""
import sys
from concurrent.futures import ThreadPoolExecutor

import cases
import conformance_deployments  # noqa: F401 its stories register themselves
import conformance_requests  # noqa: F401

if sys.argv[1] == "list":
    for run, stories in cases.STORIES.items():
        for name, _, numbers in stories:
            for number in numbers:
                print("case", number, run, name)
    sys.exit()
stories = cases.STORIES[sys.argv[1]]
with ThreadPoolExecutor(len(stories)) as pool:
    for done in [pool.submit(cases.play, *story) for story in stories]:
        done.result()
