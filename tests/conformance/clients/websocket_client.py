"""Python's websocket-client. Arguments: HOST:PORT, user."""

import json
import sys
import urllib.request

import websocket

address, user = sys.argv[1], int(sys.argv[2])


def expect(socket, kind):
    while (frame := json.loads(socket.recv()))["type"] != kind:
        pass
    return frame


socket = websocket.create_connection(f"ws://{address}/ws", timeout=20)
socket.send(json.dumps({"type": "login", "user_id": user}))
first = json.loads(socket.recv())
assert first["type"] == "recommendation" and first["user_id"] == user and len(first["recommendations"]) == 5, first
assert json.loads(socket.recv())["type"] == "welcome"
socket.ping("are you there")
socket.send('{"type":"event","kind":"view","item_id":103,"event_id":"stranger-1"}')
expect(socket, "accepted")
socket.send('{"type":"ping"}')
expect(socket, "pong")
socket.close()
body = json.dumps({"user_id": user, "title": "missed"}).encode()
urllib.request.urlopen(urllib.request.Request(f"http://{address}/v1/notifications", body, {"Content-Type": "application/json"}))
socket = websocket.create_connection(f"ws://{address}/ws", timeout=20)
resume = {"epoch": first["epoch"], "offset": first["offset"]}
socket.send(json.dumps({"type": "login", "user_id": user, "resume": resume}))
assert expect(socket, "welcome")["recovered"]
while expect(socket, "notification").get("title") != "missed":
    pass
socket.close()
