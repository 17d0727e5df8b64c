// npm's ws. Arguments: HOST:PORT, user, the folder it is installed in.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const [address, user, folder] = process.argv.slice(2);
const { WebSocket } = createRequire(path.join(folder, "x.js"))("ws");

/** Opens a socket and returns a function that waits for the next frame of a type. */
async function open(login) {
  const socket = new WebSocket(`ws://${address}/ws`);
  const frames = [];
  let wake = () => {};
  socket.on("message", (data) => {
    frames.push(JSON.parse(data));
    wake();
  });
  await new Promise((resolve, reject) => socket.on("open", resolve).on("error", reject));
  socket.send(JSON.stringify({ type: "login", user_id: Number(user), ...login }));
  const expect = async (type) => {
    for (;;) {
      while (frames.length) {
        const frame = frames.shift();
        if (frame.type === type) return frame;
      }
      await new Promise((resolve) => (wake = resolve));
    }
  };
  return { socket, expect };
}

setTimeout(() => process.exit(1), 30_000).unref();
const before = await open({});
const { epoch, offset } = await before.expect("recommendation");
before.socket.close();
const message = { user_id: Number(user), title: "missed" };
const headers = { "content-type": "application/json" };
const sent = await fetch(`http://${address}/v1/notifications`, { method: "POST", headers, body: JSON.stringify(message) });
assert.equal(sent.status, 202);
const after = await open({ resume: { epoch, offset } });
assert.equal((await after.expect("welcome")).recovered, true);
assert.equal((await after.expect("notification")).title, "missed");
process.exit(0);
