"""redis.asyncio under FastAPI, served by uvicorn: a cache behind a route, a limiter as a dependency, messages as a stream of
events; the listener stopped and started under it."""

import asyncio
import os
from contextlib import asynccontextmanager

import httpx
import redis.asyncio as redis
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from lib import about, listener, show


@asynccontextmanager
async def lifespan(app):
    app.state.redis = redis.from_url(os.environ["REDIS_URL"], decode_responses=True,
                                     retry=Retry(ConstantBackoff(0.02), 500), retry_on_error=[redis.ConnectionError])
    yield
    await app.state.redis.aclose()


app = FastAPI(lifespan=lifespan)


def client(request: Request):
    return request.app.state.redis


async def limited(request: Request, response: Response, r=Depends(client)):
    key = f"limit:{request.client.host}"
    async with r.pipeline(transaction=True) as pipe:
        count, _ = await pipe.incr(key).expire(key, 60, nx=True).execute()
    response.headers["x-remaining"] = str(max(0, 5 - count))
    if count > 5:
        raise HTTPException(429, "too many", headers={"retry-after": str(about(60, await r.ttl(key)))})


@app.get("/square/{number}", dependencies=[Depends(limited)])
async def square(number: int, response: Response, r=Depends(client)):
    cached = await r.get(f"square:{number}")
    response.headers["x-cache"] = "hit" if cached else "miss"
    if cached is None:
        cached = str(number * number)
        await r.set(f"square:{number}", cached, ex=60)
    return {"square": int(cached)}


@app.get("/events/{channel}")
async def events(channel: str, r=Depends(client)):
    async def stream():
        async with r.pubsub() as messages:
            await messages.subscribe(channel)
            async for message in messages.listen():
                yield f"{message['type']}: {message['data']}\n"
                if message["data"] == "end":
                    return
    return StreamingResponse(stream(), media_type="text/plain")


@app.post("/events/{channel}")
async def publish(channel: str, data: str, r=Depends(client)):
    return {"heard": await r.publish(channel, data)}


async def visit(http, method, path):
    reply = await http.request(method, path)
    kept = {name: value for name, value in reply.headers.items() if name in ("x-cache", "x-remaining", "retry-after")}
    show(f"{method} {path}", (reply.status_code, kept, reply.json()))
    return reply.json()


async def browse(http):
    for _ in range(2):
        await visit(http, "GET", "/square/7")
    await asyncio.to_thread(listener, "stop")
    asks = asyncio.create_task(http.request("POST", "/events/none?data=x"))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(listener, "start")
    show("asked while down", (await asks).json())
    await asyncio.gather(*(http.get(f"/square/{n}") for n in range(5)))
    await visit(http, "GET", "/square/8")
    async with http.stream("GET", "/events/news") as reply:
        lines = reply.aiter_lines()
        show("event", await anext(lines))
        for word in ("one", "end"):
            await visit(http, "POST", f"/events/news?data={word}")
        show("event", [line async for line in lines])


async def main():
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        await browse(http)
    server.should_exit = True
    await serving


asyncio.run(main())
