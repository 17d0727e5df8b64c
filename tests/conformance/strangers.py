"""Clients nobody here wrote, used as they come: each logs in, receives its recommendation, goes away, and resumes with the message that
it missed. Arguments: HOST:PORT, a folder to install into. What can't be installed is said."""

import json
import os
import subprocess
import sys
from urllib.request import Request, urlopen

address, tools = sys.argv[1:3]
clients = os.path.join(os.path.dirname(os.path.abspath(__file__)), "clients")
npm = os.path.join(tools, "npm")


class LeftOut(Exception):
    """A client that can't be had on this machine."""


def install(command, what, **options):
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if subprocess.run(command, **quiet, **options).returncode:
        raise LeftOut(f"{what} can't be installed")


def run(command, **options):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=180, **options)
    if done.returncode:
        raise AssertionError(done.stdout.decode()[-2000:])


def python(package, script):
    def start(user):
        target = os.path.join(tools, f"python3-{package}")
        if not os.path.isdir(target):
            install([sys.executable, "-m", "pip", "install", "-q", "--target", target, *package.split("+")], package)
        run([sys.executable, os.path.join(clients, script), address, user], env={**os.environ, "PYTHONPATH": target})

    return start


def node(packages, script, *arguments):
    def start(user):
        name = packages[-1].split("@")[0]
        if not os.path.isdir(os.path.join(npm, "node_modules", name)):
            install(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", npm, *packages], name)
        run(["node", os.path.join(clients, script), *(arguments or (address, user)), npm])

    return start


def go(module, folder):
    def start(user):
        place = os.path.join(tools, "go", folder)
        program = os.path.join(place, "client")
        os.makedirs(place, exist_ok=True)
        if not os.path.exists(program):
            with open(os.path.join(clients, folder, "main.go")) as source, open(os.path.join(place, "main.go"), "w") as copy:
                copy.write(source.read())
            if not os.path.exists(os.path.join(place, "go.mod")):
                install(["go", "mod", "init", "client"], module, cwd=place)
            install(["go", "get", module], module, cwd=place)
            run(["go", "build", "-o", program, "."], cwd=place)
        run([program, address, user])

    return start


def vite(_):
    """Not a stranger, but packed by one: the client as a bundle of Vite, under Node against the server."""
    folder = os.path.join(tools, "vite")
    os.makedirs(folder, exist_ok=True)
    client = os.path.join(clients, "../../../clients/js")
    pack = subprocess.run(["npm", "pack", "--silent", "--pack-destination", folder], cwd=client, stdout=subprocess.PIPE)
    if pack.returncode:
        raise LeftOut("the client can't be packed")
    package = os.path.join(folder, pack.stdout.decode().split()[-1])
    install(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, "vite@7.2.4", package], "vite")
    run(["node", os.path.join(clients, "vite.mjs"), f"http://{address}/", folder])


CLIENTS = [
    ("Python websocket-client", python("websocket-client", "websocket_client.py")),
    ("Python websockets", python("websockets", "websockets_client.py")),
    ("Python aiohttp", python("aiohttp", "aiohttp_client.py")),
    ("Python httpx-sse", python("httpx-sse+httpx", "httpx_sse_client.py")),
    ("npm ws", node(["ws@8"], "ws.mjs")),
    ("npm eventsource", node(["eventsource@4"], "eventsource.mjs", f"http://{address}")),
    ("npm reconnecting-websocket", node(["ws@8", "reconnecting-websocket@4"], "reconnecting.mjs")),
    ("Go gorilla/websocket", go("github.com/gorilla/websocket@v1.5.3", "gorilla")),
    ("Go coder/websocket", go("github.com/coder/websocket@v1.8.14", "coder")),
    ("Java HttpClient", lambda user: run(["java", os.path.join(clients, "JavaClient.java"), address, user])),
    ("our client, by Vite", vite),
    ("curl", lambda user: run([sys.executable, os.path.join(clients, "curl_client.py"), address, user])),
]


def catalogue():
    items = [{"item_id": n, "title": f"Thing {n}", "category": "Things"} for n in range(101, 121)]
    put = Request(f"http://{address}/v1/items", json.dumps(items).encode(), {"Content-Type": "application/json"}, method="PUT")
    urlopen(put, timeout=20).read()


catalogue()
good = True
# User 2 is that of eventsource.mjs.
for user, (name, start) in enumerate(CLIENTS, 11):
    try:
        start(str(user))
        print(f"{name}: ok")
    except FileNotFoundError as missing:
        print(f"{name}: left out: {missing.filename} is not installed")
    except LeftOut as reason:
        print(f"{name}: left out: {reason}")
    except (AssertionError, subprocess.TimeoutExpired) as error:
        good = False
        print(f"{name}: {error}")
sys.exit(not good)
