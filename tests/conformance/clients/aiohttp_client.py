"""Python's aiohttp. Arguments: HOST:PORT, user."""

import asyncio
import sys

import aiohttp

address, user = sys.argv[1], int(sys.argv[2])


async def expect(socket, kind):
    while (frame := await socket.receive_json(timeout=20))["type"] != kind:
        pass
    return frame


async def main():
    async with aiohttp.ClientSession(f"http://{address}") as session:
        async with session.ws_connect("/ws") as socket:
            await socket.send_json({"type": "login", "user_id": user})
            first = await expect(socket, "recommendation")
        async with session.post("/v1/notifications", json={"user_id": user, "title": "missed"}) as answer:
            assert answer.status == 202, answer.status
        async with session.ws_connect("/ws") as socket:
            resume = {"epoch": first["epoch"], "offset": first["offset"]}
            await socket.send_json({"type": "login", "user_id": user, "resume": resume})
            assert (await expect(socket, "welcome"))["recovered"]
            assert (await expect(socket, "notification"))["title"] == "missed"


asyncio.run(main())
