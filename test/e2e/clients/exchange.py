"""Exchanges a credential for a token in the callable of the official Python client, over REST and over gRPC with TLS, and writes one
JSON line for each call.

exchange.py REST_PORT GRPC_PORT CA_FILE CREDENTIAL COLLECTION

The credential has the collection, and another with the suffix `-other`. A line is {"call": name, "error": text or null}.
"""

import json
import ssl
import sys
import time
import urllib.parse
import urllib.request

from qdrant_client import QdrantClient, models

REST, GRPC, CA, CREDENTIAL, DOCS = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]
CONTEXT = ssl.create_default_context(cafile=CA)
held = {"until": 0.0}
exchanged = 0


def say(call, error=None):
    print(json.dumps({"call": call, "error": error}), flush=True)


def token():
    global exchanged
    if time.time() > held["until"]:
        exchanged += 1
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "subject_token": CREDENTIAL,
            "scope": f"{DOCS}=rw",
        }
        body = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(f"https://localhost:{REST}/-/token", body, context=CONTEXT) as answer:
            said = json.load(answer)
        held.update(text=said["access_token"], until=time.time() + said["expires_in"] - 30)
    return held["text"]


with open(CA, "rb") as file:
    roots = file.read()
for name, over_grpc in (("rest", False), ("grpc", True)):
    client = QdrantClient(
        url=f"https://localhost:{REST}",
        grpc_port=GRPC,
        prefer_grpc=over_grpc,
        auth_token_provider=token,
        verify=CONTEXT,
        grpc_options={"root_certificates": roots},
        check_compatibility=False,
    )
    points = [models.PointStruct(id=1, vector=[1.0, 0.0], payload={"a": 1})]
    steps = [
        ("upsert", lambda: client.upsert(DOCS, points, wait=True)),
        ("query", lambda: client.query_points(DOCS, query=[1.0, 0.0], limit=1)),
        ("count", lambda: client.count(DOCS)),
    ]
    for step, run in steps:
        try:
            run()
            say(f"{name} {step}")
        except Exception as error:  # noqa: BLE001 whatever it is, it is told
            say(f"{name} {step}", repr(error))
    try:
        client.count(f"{DOCS}-other")
        say(f"{name} other", "it was let pass")
    except Exception as error:  # noqa: BLE001
        say(f"{name} other", None if f"{DOCS}-other is required" in str(error) else repr(error))

say("exchanged", None if exchanged == 1 else f"{exchanged} times")
say("end")
