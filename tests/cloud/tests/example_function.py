# SPDX-License-Identifier: MIT
"""A function for testing the Lambda host itself: it does what its event asks for.

An event is {"do": VERB, ...}; for a queue, each body is one, and "fail" reports its message.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

BASE = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"


def post(path: str, body: bytes, **headers: str) -> int:
    """Post to the Runtime API and give the status."""
    request = urllib.request.Request(f"{BASE}/{path}", body, headers, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as problem:
        return problem.code


def work(event: dict, request_id: str, headers: dict) -> object:
    """Do what one event asks for."""
    if "Records" in event:
        bodies = {one["messageId"]: json.loads(one["body"]) for one in event["Records"]}
        for name, body in bodies.items():
            print(json.dumps({"worked": body, "id": name, "batch": len(bodies)}), flush=True)
            if body.get("do") == "crash":
                os._exit(3)
        failed = [name for name, body in bodies.items() if body.get("do") == "fail"]
        if os.environ["_HANDLER"] == "dead_letter":
            failed = []
        if any(body.get("do") == "nonsense" for body in bodies.values()):
            return {"batchItemFailures": [{"itemIdentifier": "no such message"}]}
        return {"batchItemFailures": [{"itemIdentifier": name} for name in failed]}
    verb = event.get("do", "echo")
    if verb == "environment":
        return dict(os.environ)
    if verb == "headers":
        return {**headers, "pid": os.getpid(), "stale": post("invocation/stale/response", b"1")}
    if verb == "sleep":
        time.sleep(event["seconds"])
    if verb == "wait":
        while not os.path.exists(event["for"]):  # noqa: PTH110 - pathlib takes its time to load
            time.sleep(0.01)
    if verb == "crash":
        os._exit(3)
    if verb == "metric":
        print(json.dumps({"_aws": {"Timestamp": 1}, "launch": 1}), file=sys.stderr, flush=True)
    if verb == "huge":
        return "x" * (6 * 1024 * 1024 + 1)
    return event.get("answer", event)


def main() -> None:
    """Poll for events until the host ends."""
    while True:
        with urllib.request.urlopen(f"{BASE}/invocation/next") as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            event = json.loads(answer.read())
        request_id = headers["lambda-runtime-aws-request-id"]
        if event.get("do") == "error":
            body = json.dumps({"errorType": "Sad", "errorMessage": "on purpose"}).encode()
            post(f"invocation/{request_id}/error", body)
        else:
            post(
                f"invocation/{request_id}/response",
                json.dumps(work(event, request_id, headers)).encode(),
            )


if __name__ == "__main__":
    main()
