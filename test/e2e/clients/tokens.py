"""Takes the official Python client through the tutorial, over REST and over gRPC with TLS, with a token of an identity provider for
each request, and writes one JSON line for each call.

tokens.py REST_PORT GRPC_PORT CA_FILE TOKEN_URL PROVIDER_CA_FILE

It needs the collection `other-docs`, which the token may not see. A line is {"call": name, "error": text or null}.
"""

import base64
import json
import ssl
import sys
import urllib.parse
import urllib.request

from qdrant_client import QdrantClient, models

REST, GRPC, CA, URL, PROVIDER_CA = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]
CONTEXT = ssl.create_default_context(cafile=PROVIDER_CA)
BASIC = base64.b64encode(b"robot:robot-secret-0123456789").decode()
DOCS, OTHER = "search-docs", "other-docs"
fetched = 0


def say(call, error=None):
    print(json.dumps({"call": call, "error": error}), flush=True)


def token():
    global fetched
    fetched += 1
    form = {"grant_type": "client_credentials", "scope": "read", "resource": "urn:qdrant"}
    request = urllib.request.Request(URL, urllib.parse.urlencode(form).encode(), {"authorization": f"Basic {BASIC}"})
    with urllib.request.urlopen(request, context=CONTEXT) as answer:
        return json.load(answer)["access_token"]


def is_(value, expected):
    if value != expected:
        raise ValueError(f"{value!r} and not {expected!r}")


def passing(client):
    """What the token may do: everything on the collections of its team."""
    vectors = models.VectorParams(size=2, distance=models.Distance.DOT)
    points = [models.PointStruct(id=n, vector=[float(n), 0.0], payload={"n": n}) for n in (1, 2, 3)]
    first = models.PointIdsList(points=[1])
    return [
        ("create", lambda: client.create_collection(DOCS, vectors_config=vectors)),
        ("list", lambda: is_([one.name for one in client.get_collections().collections], [DOCS])),
        ("get", lambda: is_(client.get_collection(DOCS).config.params.vectors.size, 2)),
        ("exists", lambda: is_(client.collection_exists(DOCS), True)),
        ("upsert", lambda: client.upsert(DOCS, points, wait=True)),
        ("query", lambda: is_(client.query_points(DOCS, query=[1.0, 0.0], limit=1).points[0].id, 3)),
        ("scroll", lambda: is_(len(client.scroll(DOCS, limit=2)[0]), 2)),
        ("count", lambda: is_(client.count(DOCS).count, 3)),
        ("retrieve", lambda: is_(client.retrieve(DOCS, ids=[1])[0].payload, {"n": 1})),
        ("set payload", lambda: client.set_payload(DOCS, payload={"m": 1}, points=[1], wait=True)),
        ("index", lambda: client.create_payload_index(DOCS, "n", field_schema="integer", wait=True)),
        ("create snapshot", lambda: client.create_snapshot(DOCS, wait=True)),
        ("list snapshots", lambda: is_(len(client.list_snapshots(DOCS)), 1)),
        ("delete snapshot", lambda: client.delete_snapshot(DOCS, client.list_snapshots(DOCS)[0].name, wait=True)),
        ("delete points", lambda: client.delete(DOCS, points_selector=first, wait=True)),
        ("count again", lambda: is_(client.count(DOCS).count, 2)),
    ]


def refused(client):
    """What it may not do, and words of the refusal."""
    vectors = models.VectorParams(size=2, distance=models.Distance.DOT)
    point = [models.PointStruct(id=1, vector=[1.0, 0.0])]
    alias = models.CreateAlias(collection_name=DOCS, alias_name="search-now")
    change = [models.CreateAliasOperation(create_alias=alias)]
    foreign = f"Access to collection {OTHER} is required"
    return [
        ("create", "Forbidden: ", lambda: client.create_collection("other-new", vectors_config=vectors)),
        ("get", foreign, lambda: client.get_collection(OTHER)),
        ("query", foreign, lambda: client.query_points(OTHER, query=[1.0, 0.0])),
        ("count", foreign, lambda: client.count(OTHER)),
        ("upsert", foreign, lambda: client.upsert(OTHER, point, wait=True)),
        ("snapshots", foreign, lambda: client.list_snapshots(OTHER)),
        ("alias", "Forbidden: ", lambda: client.update_collection_aliases(change_aliases_operations=change)),
        ("delete", "Forbidden: ", lambda: client.delete_collection(OTHER)),
        ("storage snapshot", "Forbidden: ", lambda: client.create_full_snapshot(wait=True)),
    ]


def run(name, call):
    try:
        call()
        say(name)
    except Exception as error:  # noqa: BLE001 whatever it is, it is told
        say(name, repr(error))


def run_refused(name, words, call):
    try:
        call()
        say(name, "it was let pass")
    except Exception as error:  # noqa: BLE001
        say(name, None if words in str(error) else repr(error))


with open(CA, "rb") as file:
    roots = file.read()
for name, over_grpc in (("rest", False), ("grpc", True)):
    client = QdrantClient(
        url=f"https://localhost:{REST}",
        grpc_port=GRPC,
        prefer_grpc=over_grpc,
        auth_token_provider=token,
        # For a CA of one's own; httpx and gRPC have a way each.
        verify=ssl.create_default_context(cafile=CA),
        grpc_options={"root_certificates": roots},
        check_compatibility=False,
    )
    for step, call in passing(client):
        run(f"{name} {step}", call)
    for step, words, call in refused(client):
        run_refused(f"{name} refused {step}", words, call)
    run(f"{name} delete", lambda: client.delete_collection(DOCS))
    run(f"{name} list at the end", lambda: is_(client.get_collections().collections, []))

say("fetched", None if fetched >= 54 else f"{fetched} tokens")
say("end")
