"""Python's httpx-sse. Arguments: HOST:PORT, user."""

import sys

import httpx
from httpx_sse import connect_sse

address, user = sys.argv[1], int(sys.argv[2])
stream = {"method": "GET", "url": f"http://{address}/v1/sse", "params": {"user_id": user}}


def expect(events, kind):
    for event in events:
        if event.event == kind:
            return event
    raise AssertionError(f"the stream ended before {kind}")


with httpx.Client(timeout=20) as client:
    with connect_sse(client, **stream) as source:
        first = expect(source.iter_sse(), "recommendation")
    sent = client.post(f"http://{address}/v1/notifications", json={"user_id": user, "title": "missed"})
    assert sent.status_code == 202, sent.text
    with connect_sse(client, **stream, headers={"Last-Event-ID": first.id}) as source:
        events = source.iter_sse()
        assert expect(events, "welcome").json()["recovered"]
        assert expect(events, "notification").json()["title"] == "missed"
