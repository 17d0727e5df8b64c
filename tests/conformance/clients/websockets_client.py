"""Python's websockets. Arguments: HOST:PORT, user."""

import asyncio
import json
import sys
import urllib.request

import websockets

address, user = sys.argv[1], int(sys.argv[2])


def send(title):
    body = json.dumps({"user_id": user, "title": title}).encode()
    urllib.request.urlopen(urllib.request.Request(f"http://{address}/v1/notifications", body, {"Content-Type": "application/json"}))


async def expect(socket, kind):
    while (frame := json.loads(await asyncio.wait_for(socket.recv(), 20)))["type"] != kind:
        pass
    return frame


async def main():
    async with websockets.connect(f"ws://{address}/ws") as socket:
        await socket.send(json.dumps({"type": "login", "user_id": user}))
        first = await expect(socket, "recommendation")
    await asyncio.to_thread(send, "missed")
    async with websockets.connect(f"ws://{address}/ws") as socket:
        resume = {"epoch": first["epoch"], "offset": first["offset"]}
        await socket.send(json.dumps({"type": "login", "user_id": user, "resume": resume}))
        assert (await expect(socket, "welcome"))["recovered"]
        assert (await expect(socket, "notification"))["title"] == "missed"


asyncio.run(main())
