"""The tutorial with qdrant-client: `main.py rest|async|grpc steps|stranger|tenant`.

`steps` runs every step; `stranger` is started without the CA and tries one call; `tenant` has the key of a tenant. Each step is one line of JSON on standard
output; ../steps.ts holds what must stand there. The keys, the CA and the ports come from the environment.
"""

import asyncio
import inspect
import json
import os
import sys
import time

import httpx
from grpc import RpcError
from qdrant_client import AsyncQdrantClient, QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

KIND, MODE = sys.argv[1], sys.argv[2]
REST_PORT, GRPC_PORT = int(os.environ["REST_PORT"]), int(os.environ["GRPC_PORT"])
CA = os.environ.get("CA")

# The gRPC transport takes a CA from this variable only, and reads it at its first connection.
if CA is not None:
    os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = CA


def client(key):
    kind = AsyncQdrantClient if KIND == "async" else QdrantClient
    # `verify` is an option of httpx, which REST uses.
    trust = {} if CA is None else {"verify": CA}
    ports = {"port": REST_PORT, "grpc_port": GRPC_PORT}
    return kind(
        host="localhost", **ports, https=True, api_key=key, prefer_grpc=KIND == "grpc", timeout=30,
        check_compatibility=False, **trust,
    )  # fmt: skip


def refusal(error):
    """Code and text of the gateway, from the exception of either transport; neither where no answer came."""
    if isinstance(error, UnexpectedResponse):
        try:
            return error.status_code, error.structured()["status"]["error"]
        except (ValueError, KeyError):
            return error.status_code, error.content.decode()
    if isinstance(error, RpcError) and error.code().name != "UNAVAILABLE":
        return error.code().name, error.details()
    return None, None


async def answer(call):
    got = call()
    return await got if inspect.isawaitable(got) else got


def say(step, **what):
    print(json.dumps({"step": step, **what}), flush=True)


async def show(step, call, pick=lambda answer: "done"):
    try:
        say(step, result=pick(await answer(call)))
    except (UnexpectedResponse, ResponseHandlingException, RpcError, httpx.HTTPError) as error:
        code, text = refusal(error)
        say(step, code=code, text=text, shown=f"{type(error).__name__}: {error}")


QUERY = [0.8, 0.2, 0.1, 0.1]
POINTS = [
    models.PointStruct(id=1, vector=[0.9, 0.1, 0.1, 0.2], payload={"title": "Dune"}),
    models.PointStruct(id=2, vector=[0.1, 0.8, 0.3, 0.4], payload={"title": "Emma"}),
]
THIRD = [models.PointStruct(id=3, vector=[0.2, 0.2, 0.9, 0.1], payload={"title": "Ulysses"})]
VECTORS = models.VectorParams(size=4, distance=models.Distance.DOT)


def title(found):
    return found.points[0].payload["title"]


def number(counted):
    return counted.count


def search(by):
    return lambda: by.query_points("books", query=QUERY, limit=1)


async def steps():
    admin, reader, token = (client(os.environ[name]) for name in ("ADMIN", "READER", "TOKEN"))
    await show("no key", client(None).get_collections)
    await show("a wrong key", client("wrong").get_collections)
    await show("an expired token", client(os.environ["EXPIRED"]).get_collections)
    await show("admin creates", lambda: admin.create_collection("books", vectors_config=VECTORS))
    await show("admin writes", lambda: admin.upsert("books", points=POINTS, wait=True))
    await show("admin searches", search(admin), title)
    await show("reader counts", lambda: reader.count("books"), number)
    await show("reader deletes a point", lambda: reader.delete("books", points_selector=[1]))
    await show("token lists", token.get_collections, lambda all: [one.name for one in all.collections])
    await show("token searches", search(token), title)
    await show("token writes", lambda: token.upsert("books", points=THIRD, wait=True))
    await show("token reads another collection", lambda: token.count("private"))
    lookup = models.LookupLocation(collection="private")
    await show(
        "token names another collection",
        lambda: token.query_points("books", query=1, lookup_from=lookup),
    )
    await show("token deletes the collection", lambda: token.delete_collection("books"))
    say("stop")
    sys.stdin.readline()
    await show("gateway is away", lambda: admin.count("books"))
    say("start")
    sys.stdin.readline()
    # As a program that tries again: the same client object, until the gateway answers.
    for _ in range(300):
        try:
            counted = await answer(lambda: admin.count("books"))
            break
        except (ResponseHandlingException, RpcError):
            time.sleep(0.2)
    say("gateway is back", result=counted.count)
    await show("admin deletes the collection", lambda: admin.delete_collection("books"))


async def stranger():
    await show("the CA is not trusted", client(os.environ["ADMIN"]).get_collections)


def ids(points):
    return [point.id for point in points]


async def tenant():
    by, name = client(os.environ["TENANT"]), "shared"
    await show("tenant writes", lambda: by.upsert(name, points=POINTS, wait=True))
    foreign = [models.PointStruct(id=3, vector=QUERY, payload={"tenant": "umbrella"})]
    await show("tenant writes for another", lambda: by.upsert(name, points=foreign, wait=True))
    await show("tenant queries", lambda: by.query_points(name, query=QUERY, limit=1), title)
    await show("tenant scrolls", lambda: by.scroll(name, limit=10), lambda page: ids(page[0]))
    await show("tenant retrieves", lambda: by.retrieve(name, ids=[1, 9]), ids)
    await show("tenant deletes", lambda: by.delete(name, points_selector=[1, 9], wait=True))
    await show("tenant counts", lambda: by.count(name), number)


asyncio.run({"steps": steps, "stranger": stranger, "tenant": tenant}[MODE]())
