// npm's EventSource as a stranger would use it. Arguments: http://HOST:PORT, the folder it is installed in.
import assert from "node:assert/strict";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";

const [base, folder] = process.argv.slice(2);
const { EventSource } = createRequire(path.join(folder, "x.js"))("eventsource");

/** Cuts the first stream after its first message, so that the client has to resume by itself. */
let cuts = 0;
const proxy = http.createServer((request, response) => {
  const headers = { ...request.headers, host: new URL(base).host };
  const upstream = http.request(new URL(request.url, base), { headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.on("data", (part) => {
      response.write(part);
      if (cuts === 0 && part.includes("event: notification")) {
        cuts += 1;
        setTimeout(() => response.destroy(), 50);
      }
    });
  });
  response.on("close", () => upstream.destroy());
  upstream.on("error", () => response.destroy());
  upstream.end();
});
await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));

const send = (n) =>
  fetch(`${base}/v1/notifications`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user_id: 2, kind: "announcement", title: `Number ${n}`, body: "" }),
  }).then((answer) => assert.ok(answer.ok, `${answer.status}`));

const source = new EventSource(`http://127.0.0.1:${proxy.address().port}/v1/sse?user_id=2`);
const titles = [];
let welcomes = 0;
const deadline = setTimeout(() => {
  console.error("too late", { titles, welcomes, cuts });
  process.exit(1);
}, 60_000);
source.addEventListener("welcome", () => {
  welcomes += 1;
  if (welcomes === 1) send(1);
});
source.addEventListener("notification", ({ data, lastEventId }) => {
  const message = JSON.parse(data);
  assert.equal(lastEventId, `${message.epoch}:${message.offset}`);
  titles.push(message.title);
  if (titles.length === 1) setTimeout(() => send(2), 100); // while the stream is cut
  if (titles.length === 2) {
    assert.deepEqual(titles, ["Number 1", "Number 2"]);
    assert.equal(cuts, 1);
    clearTimeout(deadline);
    source.close();
    process.exit(0);
  }
});
