"""curl, reading a stream of events as a shell script would. Arguments: HOST:PORT, user."""

import json
import subprocess
import sys

address, user = sys.argv[1], sys.argv[2]


def stream(until, *headers):
    """Lines of the stream up to the data of an event of this type; its id and data."""
    command = ["curl", "--silent", "--show-error", "--no-buffer", "--fail", "--max-time", "20", *headers]
    process = subprocess.Popen([*command, f"http://{address}/v1/sse?user_id={user}"], stdout=subprocess.PIPE, text=True)
    seen, event = [], {}
    for line in process.stdout:
        name, _, value = line.rstrip("\n").partition(": ")
        event[name] = value
        if not line.strip():
            seen += [event["event"]] if "event" in event else []
            if event.get("event") == until:
                process.kill()
                process.wait()
                return event.get("id"), json.loads(event["data"]), seen
            event = {}
    raise AssertionError(f"the stream ended before {until}: {seen}")


place, _, _ = stream("recommendation")
message = json.dumps({"user_id": int(user), "title": "missed"})
post = ["curl", "--silent", "--fail", "--json", message, f"http://{address}/v1/notifications"]
subprocess.run(post, check=True, stdout=subprocess.DEVNULL)
_, missed, seen = stream("notification", "--header", f"Last-Event-ID: {place}")
assert seen[0] == "welcome" and missed["title"] == "missed", (seen, missed)
