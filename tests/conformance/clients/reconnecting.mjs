// npm's reconnecting-websocket over ws: cut once, it comes back by itself. Arguments: HOST:PORT, user, the folder it is installed in.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";

const [address, user, folder] = process.argv.slice(2);
const require = createRequire(path.join(folder, "x.js"));
const { WebSocket } = require("ws");
const ReconnectingWebSocket = require("reconnecting-websocket");
const [host, port] = address.split(":");

/** A network that can be cut. */
const open = new Set();
const network = net.createServer((client) => {
  const server = net.connect(Number(port), host);
  open.add(client);
  client.pipe(server).pipe(client);
  for (const end of [client, server]) end.on("error", () => {}).on("close", () => (client.destroy(), server.destroy()));
});
await new Promise((resolve) => network.listen(0, "127.0.0.1", resolve));

const socket = new ReconnectingWebSocket(`ws://127.0.0.1:${network.address().port}/ws`, [], { WebSocket, minReconnectionDelay: 200 });
setTimeout(() => process.exit(1), 30_000).unref();
let place = null;
socket.addEventListener("open", () => {
  socket.send(JSON.stringify({ type: "login", user_id: Number(user), ...(place && { resume: place }) }));
});
socket.addEventListener("message", async ({ data }) => {
  const frame = JSON.parse(data);
  if (frame.type === "recommendation" && !place) {
    place = { epoch: frame.epoch, offset: frame.offset };
    for (const client of open) client.destroy();
    const message = JSON.stringify({ user_id: Number(user), title: "missed" });
    const headers = { "content-type": "application/json" };
    const sent = await fetch(`http://${address}/v1/notifications`, { method: "POST", headers, body: message });
    assert.equal(sent.status, 202);
  }
  if (frame.type === "welcome" && place) assert.equal(frame.recovered, true);
  if (frame.type === "notification") {
    assert.equal(frame.title, "missed");
    assert.equal(open.size, 2);
    process.exit(0);
  }
});
