"""The configurations of docs/proxies, run as they are apart from addresses and folders: requests and WebSockets through each, a
reload in between. Arguments: the server binary, a folder to install into. N_REQUESTS and N_SOCKETS scale it. Prints a line for
each proxy; ends with an error when a request is answered 502, 503 or 504, or a message is lost."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

server_binary, tools = sys.argv[1:3]
N_REQUESTS = int(os.environ.get("N_REQUESTS", "10000"))
N_SOCKETS = int(os.environ.get("N_SOCKETS", "1000"))
ONLY = os.environ.get("PROXY")
CONCURRENT = 32
# One message for each socket before the reload, while the sockets are cut, and after they came back; the other requests between.
ROUNDS = ("before", "during", "after")
SECRET = "9f2c4e7a1b3d5f6081a2c3e4d5f60718"
# The reload's requests are spread over this time, in which the old processes end and cut their sockets, s.
RELOAD_S = 8
DOCS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/proxies")


def install():
    target = os.path.join(tools, "python3-aiohttp")
    if not os.path.isdir(os.path.join(target, "aiohttp")):
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", target, "aiohttp"]
        if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            sys.exit(print("proxies: left out: aiohttp can't be installed"))
    sys.path.insert(0, target)


install()
import aiohttp  # noqa: E402


def token(role, user):
    part = lambda value: base64.urlsafe_b64encode(value).rstrip(b"=")
    claims = {"sub": user, "role": role, "exp": time.time() + 3600}
    text = part(b'{"alg":"HS256"}') + b"." + part(json.dumps(claims).encode())
    return (text + b"." + part(hmac.digest(SECRET.encode(), text, hashlib.sha256))).decode()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Proxy:
    """One proxy with its documented configuration; `change` adapts addresses and folders."""

    def __init__(self, name, upstream, folder):
        self.name, self.folder, self.port = name, folder, free_port()
        self.environment = {**os.environ, "HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder}
        getattr(self, name)(upstream)

    def write(self, file, text):
        with open(os.path.join(self.folder, file), "w") as out:
            out.write(text)
        return out.name

    def documented(self, file, *changes):
        with open(os.path.join(DOCS, file)) as read:
            text = read.read()
        for old, new in changes:
            assert re.search(old, text, re.M), f"{file} has no {old}"
            text = re.sub(old, new, text, flags=re.M)
        return text

    def nginx(self, upstream):
        site = self.documented("nginx.conf", (r"server 127\.0\.0\.1:8080", f"server {upstream}"), (r"listen 80;", f"listen 127.0.0.1:{self.port};"))
        # A reload ends old workers sooner here, so that sockets come back within the test.
        main = f"""worker_processes 2; worker_rlimit_nofile 20000; worker_shutdown_timeout 3s;
            pid {self.folder}/pid; error_log {self.folder}/log; daemon off;
            events {{ worker_connections 8000; }}
            http {{ access_log off; client_body_temp_path {self.folder}/body; proxy_temp_path {self.folder}/proxy;
            fastcgi_temp_path {self.folder}/f; uwsgi_temp_path {self.folder}/u; scgi_temp_path {self.folder}/s;
            include {self.write("site.conf", site)}; }}"""
        command = ["nginx", "-p", self.folder, "-e", f"{self.folder}/log", "-c", self.write("nginx.conf", main)]
        self.start(command)
        self.reload = lambda: self.process.send_signal(signal.SIGHUP)

    def haproxy(self, upstream):
        text = self.documented(
            "haproxy.cfg", (r"bind :80$", f"bind 127.0.0.1:{self.port}"), (r"127\.0\.0\.1:8080", upstream),
            (r"/run/haproxy/admin\.sock", f"{self.folder}/admin.sock"), (r"hard-stop-after 30s", "hard-stop-after 3s"),
            (r"maxconn 50000", "maxconn 8000"),
        )
        self.start(["haproxy", "-W", "-f", self.write("haproxy.cfg", text)])
        self.reload = lambda: self.process.send_signal(signal.SIGUSR2)

    def caddy(self, upstream):
        text = self.documented(
            "Caddyfile", (r"^push\.example \{", f"http://127.0.0.1:{self.port} {{"), (r"127\.0\.0\.1:8080", upstream),
        )
        text = f"{{\n\tadmin 127.0.0.1:{free_port()}\n}}\n{text}"
        arguments = ["--config", self.write("Caddyfile", text), "--adapter", "caddyfile"]
        self.start(["caddy", "run", *arguments])
        address = re.search(r"admin (\S+)", text).group(1)
        command = ["caddy", "reload", "--force", "--address", address, *arguments]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.reload = lambda: subprocess.Popen(command, env=self.environment, **quiet)

    def start(self, command):
        self.out = open(os.path.join(self.folder, "out"), "w")
        self.process = subprocess.Popen(command, stdout=self.out, stderr=self.out, env=self.environment)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def log(self):
        with open(self.out.name) as out:
            return out.read()[-2000:]


class Load:
    """Requests and sockets through one proxy."""

    def __init__(self, session, base):
        self.session, self.base = session, base
        self.statuses, self.again, self.reconnects = {}, 0, 0
        self.unrecovered, self.twice, self.refused = 0, 0, 0
        self.received = [set() for _ in range(N_SOCKETS)]
        self.connected = 0
        self.service = {"Authorization": "bearer " + token("service", "shop")}
        self.done = False

    async def request(self, method, path, **options):
        """A reload may close an idle connection as a request is on its way: nobody has answered then, and it is sent again, as
        every HTTP client does. Each may be, since those that change something carry a key."""
        for _ in range(20):
            try:
                async with self.session.request(method, self.base + path, **options) as answer:
                    await answer.read()
                    self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
                    return answer
            except (aiohttp.ClientConnectionError, asyncio.TimeoutError, ConnectionError):
                self.again += 1
                await asyncio.sleep(0.05)
        raise AssertionError(f"no answer: {method} {path}")

    async def ready(self):
        try:
            async with self.session.get(self.base + "/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def message(self, user, text):
        key = {**self.service, "Idempotency-Key": f"{self.base}-{user}-{text}"}
        body = {"user_id": user + 1, "title": text, "priority": "transactional"}
        answer = await self.request("POST", "/v1/notifications", json=body, headers=key)
        self.refused += answer.status != 202

    async def plain(self, n):
        origin = {**self.service, "Origin": self.base}
        view = {"kind": "view", "user_id": n % N_SOCKETS + 1, "item_id": n % 50 + 1, "event_id": f"{self.base}-{n}"}
        kind = n % 5
        if kind == 0:
            answer = await self.request("HEAD", "/healthz")
        elif kind == 1:
            answer = await self.request("OPTIONS", "/v1/events")
        elif kind == 2:
            answer = await self.request("POST", "/v1/events", json=view, headers=origin)
        else:
            answer = await self.request("GET", "/v1/items?limit=5", headers=self.service)
        self.refused += answer.status not in (200, 202, 204)

    async def socket(self, user):
        """A client that comes back and resumes, with a page's origin."""
        resume = None
        credentials = token("user", str(user + 1))
        while not self.done:
            welcomed = False
            try:
                async with self.session.ws_connect(self.base + "/ws", origin=self.base, heartbeat=None) as ws:
                    login = {"type": "login", "token": credentials, "device": "conformance"}
                    await ws.send_json({**login, "resume": resume} if resume else login)
                    async for frame in ws:
                        if frame.type != aiohttp.WSMsgType.TEXT:
                            break
                        frame = json.loads(frame.data)
                        if frame["type"] == "welcome":
                            welcomed = True
                            self.connected += 1
                            self.reconnects += resume is not None
                            self.unrecovered += resume is not None and not frame["recovered"]
                        resume = await self.frame(user, ws, frame, resume)
            except (aiohttp.ClientError, OSError, asyncio.TimeoutError):
                pass
            self.connected -= welcomed
            await asyncio.sleep(random.uniform(0.1, 1.0))

    async def frame(self, user, ws, frame, resume):
        if frame["type"] == "welcome":
            return resume or {"epoch": frame["epoch"], "offset": frame["offset"]}
        if frame["type"] == "notification":
            self.twice += frame["title"] in self.received[user]
            self.received[user].add(frame["title"])
        if "offset" in frame:
            await ws.send_json({"type": "ack", "offset": frame["offset"]})
            return {"epoch": frame["epoch"], "offset": frame["offset"]}
        return resume

    async def events(self):
        """Longest time from a message to its event on a stream, s: buffering would show."""
        url = f"{self.base}/v1/sse?token={token('user', '900001')}"
        async with self.session.get(url, headers={"Origin": self.base}, timeout=aiohttp.ClientTimeout(total=60)) as stream:
            assert stream.status == 200, stream.status
            await self.until(stream.content, b"event: welcome")
            longest = 0.0
            for n in range(3):
                begin = time.monotonic()
                await self.message(900_000, f"event {n}")
                await self.until(stream.content, b"event: notification")
                longest = max(longest, time.monotonic() - begin)
            return longest

    @staticmethod
    async def until(content, wanted):
        async for line in content:
            if line.startswith(wanted):
                return
        raise AssertionError(f"the stream ended before {wanted}")

    async def every(self, jobs, seconds=0):
        """Runs all jobs, some at a time, in no less than this time."""
        queue = list(reversed(jobs))
        begin = time.monotonic()

        async def worker():
            while queue:
                place = 1 - len(queue) / len(jobs)
                job = queue.pop()
                await asyncio.sleep(max(begin + seconds * place - time.monotonic(), 0))
                await job()

        await asyncio.gather(*(worker() for _ in range(CONCURRENT)))

    async def wait(self, what, condition, seconds=90):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"waited {seconds} s for {what}: {self.connected} connected"
            await asyncio.sleep(0.05)


async def check(load, proxy):
    end = time.monotonic() + 30
    while not await load.ready():
        assert time.monotonic() < end, "the proxy does not answer"
        await asyncio.sleep(0.1)
    longest = await load.events()
    sockets = [asyncio.create_task(load.socket(user)) for user in range(N_SOCKETS)]
    await load.wait("the sockets", lambda: load.connected == N_SOCKETS)
    load.statuses, load.again = {}, 0
    plain = max(N_REQUESTS - len(ROUNDS) * N_SOCKETS, 0)
    for n, turn in enumerate(ROUNDS):
        share = range(plain * n // len(ROUNDS), plain * (n + 1) // len(ROUNDS))
        jobs = [lambda user=user: load.message(user, turn) for user in range(N_SOCKETS)]
        jobs += [lambda n=n: load.plain(n) for n in share]
        random.Random(n).shuffle(jobs)
        if turn == "during":
            proxy.reload()
        await load.every(jobs, RELOAD_S if turn == "during" else 0)
        if turn == "during":
            await load.wait("the sockets to come back", lambda: load.reconnects >= N_SOCKETS and load.connected == N_SOCKETS)
    missing = lambda: sum(len(set(ROUNDS) - received) for received in load.received)
    end = time.monotonic() + 90
    while missing() and time.monotonic() < end:
        await asyncio.sleep(0.1)
    load.done = True
    for task in sockets:
        task.cancel()
    await asyncio.gather(*sockets, return_exceptions=True)
    return longest, missing()


async def run(name, address, folder):
    proxy = Proxy(name, address, folder)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30)
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            load = Load(session, f"http://127.0.0.1:{proxy.port}")
            begin = time.monotonic()
            longest, missing = await check(load, proxy)
            took = time.monotonic() - begin
        gateway = sum(count for status, count in load.statuses.items() if status >= 500)
        print(
            f"{name}: {sum(load.statuses.values())} requests, {gateway} × 5xx, {load.refused - gateway} × 4xx, {load.again} sent again; {N_SOCKETS} sockets, "
            f"{load.reconnects} reconnects, {load.unrecovered} unrecovered, {missing} of {len(ROUNDS) * N_SOCKETS} messages lost, {load.twice} twice; "
            f"an event within {longest * 1000:.0f} ms; {took:.0f} s"
        )
        return not gateway and not load.refused and not missing and not load.unrecovered and longest < 5
    except AssertionError as error:
        print(f"{name}: {error}\n{proxy.log()}")
        return False
    finally:
        proxy.stop()


def start_server(folder):
    settings = [
        "auth.mode=token", f"auth.secret={SECRET}", "server.trusted_proxies=127.0.0.1", "policy.holdout=0", "policy.random=0",
        "training.interval_s=0",
    ]
    command = [server_binary, "serve", "--listen", "127.0.0.1:0", "--data-dir", os.path.join(folder, "data")]
    command += [word for setting in settings for word in ("--set", setting)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "TIDINGS_LOG": "warn"}, text=True)
    line = process.stdout.readline()
    return process, re.fullmatch(r"tidings is ready at http://(.*)/\n", line).group(1)


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    server, address = start_server(folder)
    good = True
    try:
        for name in ("nginx", "haproxy", "caddy"):
            if ONLY and ONLY != name:
                continue
            if not shutil.which(name):
                print(f"{name}: left out: it is not installed")
                continue
            place = os.path.join(folder, name)
            os.makedirs(place)
            os.chmod(place, 0o777)
            good &= asyncio.run(run(name, address, place))
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(not good)


main()
