"""Fetches tokens from an identity provider for each request of the official Python client, over REST and over gRPC, and writes one
JSON line for each call.

tokens.py REST_PORT GRPC_PORT TOKEN_URL CA_FILE

A line is {"call": name, "error": text or null}.
"""

import base64
import json
import ssl
import sys
import urllib.parse
import urllib.request
import warnings

from qdrant_client import QdrantClient, models

warnings.simplefilter("ignore")
REST, GRPC, URL, CA = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
CONTEXT = ssl.create_default_context(cafile=CA)
BASIC = base64.b64encode(b"robot:robot-secret-0123456789").decode()
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


for name, over_grpc in (("rest", False), ("grpc", True)):
    client = QdrantClient(
        host="127.0.0.1",
        port=REST,
        grpc_port=GRPC,
        prefer_grpc=over_grpc,
        auth_token_provider=token,
        https=False,
        check_compatibility=False,
    )
    vectors = models.VectorParams(size=2, distance=models.Distance.DOT)
    points = [models.PointStruct(id=1, vector=[1.0, 0.0], payload={"a": 1})]
    steps = [
        ("create", lambda: client.create_collection("search-docs", vectors_config=vectors)),
        ("upsert", lambda: client.upsert("search-docs", points, wait=True)),
        ("query", lambda: client.query_points("search-docs", query=[1.0, 0.0], limit=1)),
        ("count", lambda: client.count("search-docs")),
        ("delete", lambda: client.delete_collection("search-docs")),
    ]
    for step, run in steps:
        try:
            run()
            say(f"{name} {step}")
        except Exception as error:  # noqa: BLE001 whatever it is, it is told
            say(f"{name} {step}", repr(error))
    try:
        client.count("other-docs")
        say(f"{name} other", "it was let pass")
    except Exception as error:  # noqa: BLE001
        say(f"{name} other", None if "other-docs" in str(error) else repr(error))

say("fetched", None if fetched >= 12 else f"{fetched} tokens")
say("end")
