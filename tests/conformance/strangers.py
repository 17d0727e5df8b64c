"""Clients nobody here wrote, used as they come: Python's websocket-client (the minimal exchange) and npm's eventsource (a
stream that is cut and resumes). Arguments: HOST:PORT, a folder to install into. What can't be installed is said."""

import json
import os
import subprocess
import sys

address, tools = sys.argv[1:3]


def install(command):
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def websocket_client():
    target = os.path.join(tools, "python3")
    if not os.path.isdir(os.path.join(target, "websocket")) and not install(
        [sys.executable, "-m", "pip", "install", "-q", "--target", target, "websocket-client"]
    ):
        return "left out: websocket-client can't be installed"
    sys.path.insert(0, target)
    import websocket
    from urllib.request import Request, urlopen

    items = [{"item_id": n, "title": f"Thing {n}", "category": "Things"} for n in range(101, 121)]
    put = Request(f"http://{address}/v1/items", json.dumps(items).encode(), {"Content-Type": "application/json"}, method="PUT")
    urlopen(put, timeout=20).read()
    socket = websocket.create_connection(f"ws://{address}/ws", timeout=20)
    socket.send('{"type":"login","user_id":1}')
    answer = json.loads(socket.recv())
    assert answer["type"] == "recommendation" and answer["user_id"] == 1, answer
    assert len(answer["recommendations"]) == 5, answer
    assert json.loads(socket.recv())["type"] == "welcome"
    socket.ping("are you there")
    socket.send('{"type":"event","kind":"view","item_id":103,"event_id":"stranger-1"}')
    while json.loads(socket.recv())["type"] != "accepted":
        pass
    socket.close()
    return "ok"


def vite():
    """Not a stranger, but packed by one: the client as a bundle of Vite, under Node against the server."""
    client = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../clients/js")
    folder = os.path.join(tools, "vite")
    os.makedirs(folder, exist_ok=True)
    pack = subprocess.run(["npm", "pack", "--silent", "--pack-destination", folder], cwd=client, stdout=subprocess.PIPE)
    if pack.returncode != 0 or not install(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, "vite@7.2.4",
         os.path.join(folder, pack.stdout.decode().split()[-1])]
    ):
        return "left out: vite can't be installed"
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vite.mjs")
    done = subprocess.run(
        ["node", script, f"http://{address}/", folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120
    )
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout.decode().strip().splitlines()[-1]


def eventsource():
    from urllib.error import HTTPError
    from urllib.request import urlopen

    try:
        urlopen(f"http://{address}/v1/sse?user_id=2", timeout=20).close()
    except HTTPError as error:
        return f"left out: /v1/sse answers {error.code}"
    folder = os.path.join(tools, "npm")
    if not os.path.isdir(os.path.join(folder, "node_modules/eventsource")) and not install(
        ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, "eventsource@4"]
    ):
        return "left out: eventsource can't be installed"
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "eventsource.mjs")
    done = subprocess.run(
        ["node", script, f"http://{address}", folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120
    )
    assert done.returncode == 0, done.stdout.decode()
    return "ok"


for name, run in [("Python websocket-client", websocket_client), ("npm eventsource", eventsource), ("our client, by Vite", vite)]:
    try:
        print(f"{name}: {run()}")
    except FileNotFoundError as missing:
        print(f"{name}: left out: {missing.filename} is not installed")
