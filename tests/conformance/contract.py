"""Schemathesis over the OpenAPI document of a server that asks for tokens, once for each role: requests as the document has them, and
requests that break it. Fails on a status of 500 and above, and on an answer that is not as the document says. Arguments: the server
binary, a folder to install into. EXAMPLES=n cases for each route and role (40), ROLES=user,admin only some of them, ROUTES=regex
only some routes. Without network and without what it needs in that folder it is left out, and says so."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from urllib.request import Request, urlopen

HERE = Path(__file__).resolve().parent
VERSION = "4.32.5"
SECRET = "9f2c4e7a1b3d5f6081a2c3e4d5f60718"
USER = "7"
SEED = "20261130"
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "ignored_auth",
    "missing_required_header",
    "negative_data_rejection",
    "use_after_free",
]
SETTINGS = {
    "auth.mode": "token",
    "auth.secret": SECRET,
    "limits.user_per_s": "0",
    "limits.failures_per_min": "0",
    # Nothing is sent to the addresses that are made up.
    "webhooks.enabled": "false",
    "webpush.timeout_ms": "100",
    "auth.jwks_timeout_ms": "100",
}
# Role, and the subject of its tokens.
ROLES = {
    "nobody": "",
    "user": USER,
    "viewer": "vera",
    "marketer": "mara",
    "operator": "otto",
    "privacy_officer": "paul",
    "service": "shop",
    "developer": "dora",
    "admin": "anna",
}


def install(tools):
    """The interpreter of the environment that has Schemathesis; nothing where it can't be had."""
    folder = Path(tools) / "schemathesis"
    python = folder / "bin/python"
    there = f"import importlib.metadata as m; assert m.version('schemathesis') == '{VERSION}'"
    if python.exists() and subprocess.run([python, "-c", there], stderr=subprocess.DEVNULL).returncode == 0:
        return python
    for command in (
        [sys.executable, "-m", "venv", folder],
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", f"schemathesis=={VERSION}"],
    ):
        if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            return None
    return python


class Shop:
    """A server with tokens, and something in it of each kind."""

    def __init__(self, server, folder):
        self.server, self.folder = server, Path(folder)
        self.folder.chmod(0o755)
        settings = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
        command = [server, "serve", "--listen", "127.0.0.1:0", "--data-dir", self.folder / "data", *settings]
        self.log = open(self.folder / "log", "w")
        environment = {**os.environ, "TIDINGS_LOG": "warn"}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, env=environment, text=True)
        line = self.process.stdout.readline()
        found = re.search(r"tidings is ready at (http://[^/]+)/", line)
        if not found:
            sys.exit(f"contract: the server did not start: {(self.folder / 'log').read_text()[-2000:]}")
        self.url = found[1]
        self.admin = self.token("admin")

    def token(self, role):
        environment = {**os.environ, "TIDINGS_AUTH_SECRET": SECRET}
        command = [self.server, "token", "--role", role, "--user", ROLES[role]]
        done = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)
        return done.stdout.strip()

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.admin}", "Content-Type": "application/json"}
        with urlopen(Request(self.url + path, data=data, headers=headers, method=method)) as answer:
            return json.loads(answer.read() or b"null")

    def fill(self):
        items = [
            {"item_id": 100 + n, "title": f"Lamp {n}", "category": ["Lamps" if n % 2 else "Mugs"], "price": 10.0 + n, "currency": "EUR", "stock": 3}
            for n in range(40)
        ]
        self.call("PUT", "/v1/items", items)
        events = [
            {"kind": kind, "user_id": user, "item_id": 100 + (user * 7 + n) % 40, **more}
            for user in range(1, 41)
            for n in range(6)
            for kind, more in (("view", {}), ("purchase", {"value": 12.0, "currency": "EUR", "quantity": 1}))
        ]
        self.call("POST", "/v1/events", events)
        self.call("PATCH", f"/v1/users/{USER}", {"attributes": {"tier": "gold"}})
        job = self.call("POST", "/admin/retrain")["job"]
        while self.call("GET", f"/admin/jobs/{job}")["state"] == "running":
            time.sleep(0.2)

    def known(self):
        """Things that are there, by the beginning of their paths, some of them made for this."""
        tomorrow = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
        later = {"everyone": True, "title": "Sale", "send_at": tomorrow, "rate_per_minute": 60}
        sent = self.call("POST", "/v1/notifications", {"user_id": 7, "title": "Hello", "priority": "transactional"})
        calls = [sent["id"], *(self.call("POST", "/v1/notifications", later)["id"] for _ in range(4))]
        waiting = [self.call("POST", "/v1/notifications", later)["id"] for _ in range(4)]
        hook = {"url": "https://shop.example/hooks", "events": self.call("GET", "/v1/webhooks")["events"][:2]}
        hooks = [self.call("POST", "/v1/webhooks", hook)["webhook_id"] for _ in range(4)]
        people = [self.call("POST", "/v1/people", {"name": f"person-{n}", "role": "viewer"})["person_id"] for n in range(4)]
        keys = [self.call("POST", "/v1/admin/keys", {"name": f"key {n}", "scopes": ["events:write"]})["key_id"] for n in range(4)]
        self.call("POST", "/v1/sources/orders", {"from": "kafka", "reads": "orders", "records": 3, "stored": 3})
        erased = self.call("DELETE", "/v1/users/40")
        kinds = ["triggers", "templates", "placements", "policies", "experiments"]
        definitions = [
            {"kind": kind, "name": one["name"]} for kind in kinds for one in self.call("GET", f"/admin/{kind}")["definitions"]
        ]
        job = self.call("POST", "/admin/retrain")["job"]
        ids = lambda all: [{"id": str(one)} for one in all]
        return {
            "/v1/users/": [{"id": str(n), "name": "vinyl"} for n in (7, 7, 8, 9)],
            "/v1/items/": ids((101, 102, 103)),
            "/v1/notifications/": ids(calls),
            "/v1/notifications/scheduled/": ids(waiting),
            "/v1/webhooks/": ids(hooks),
            "/v1/admin/keys/": ids(keys),
            "/v1/people/": ids(people),
            "/v1/sources/": [{"name": "orders"}],
            "/v1/topics/": [{"name": "vinyl"}],
            "/v1/triggers/": [{"name": "order_status"}],
            "/v1/erasures/": ids([erased["erasure_id"]]),
            "/admin/models/": [{"version": 1}],
            "/admin/jobs/": ids([job]),
            "/admin/users/": ids((7, 8)),
            "/admin/triggers/": [{"name": "order_status"}, {"name": "login"}],
            "/admin/{kind}": definitions,
        }

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self.log.close()


def run(python, url, role, reports, known):
    """Runs one role; the number of requests, and what is wrong."""
    routes = ["--include-path-regex", os.environ["ROUTES"]] if "ROUTES" in os.environ else []
    command = [
        python.parent / "st", "--config-file", HERE / "contract.toml", "run", f"{url}/openapi.json", *routes,
        "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--max-examples", os.environ.get("EXAMPLES", "40"),
        "--seed", SEED, "--continue-on-failure", "--request-timeout", "20", "--suppress-health-check", "all", "--warnings", "off",
        "--no-color", "--generation-database", "none",
    ]  # fmt: skip
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "contract_hooks",
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CONTRACT_KNOWN": str(known),
        "CONTRACT_SECRET": SECRET,
        "CONTRACT_ROLE": "" if role == "nobody" else role,
        "CONTRACT_SUBJECT": ROLES[role],
    }
    done = subprocess.run(command, capture_output=True, text=True, cwd=reports, env=environment)
    (reports / f"{role}.txt").write_text(done.stdout + done.stderr)
    requests = re.search(r"(\d+) generated", done.stdout)
    faults = re.search(r"=+ FAILURES =+\n(.*?)\n=+ SUMMARY", done.stdout, re.DOTALL)
    wrong = "" if done.returncode == 0 else (faults[1] if faults else (done.stdout + done.stderr)[-4000:])
    return int(requests[1]) if requests else 0, wrong


def main():
    server, tools = os.path.realpath(sys.argv[1]), sys.argv[2]
    python = install(tools)
    if python is None:
        print("contract: left out: schemathesis can't be installed here")
        return
    reports = Path(tools) / "contract"
    reports.mkdir(exist_ok=True)
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(server, folder)
        try:
            shop.fill()
            known = reports / "known.json"
            known.write_text(json.dumps(shop.known()))
            print(f"{'requests by the OpenAPI document':<34} {'requests':>9} {'wrong':>6} {'seconds':>8}")
            for role in os.environ.get("ROLES", ",".join(ROLES)).split(","):
                begin = time.monotonic()
                requests, faults = run(python, shop.url, role, reports, known)
                n = len(re.findall(r"^\d+\. Test Case", faults, re.MULTILINE)) or int(bool(faults))
                print(f"{role:<34} {requests:>9} {n:>6} {time.monotonic() - begin:>8.0f}", flush=True)
                if faults or requests == 0:
                    wrong.append(f"as {role}:\n{faults}")
                if shop.process.poll() is not None:
                    wrong.append(f"the server ended: {(Path(folder) / 'log').read_text()[-2000:]}")
                    break
        finally:
            shop.stop()
    if wrong:
        sys.exit("\n".join(wrong))


main()
