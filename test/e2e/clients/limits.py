"""Asks over a limit with the official Python client, over REST and over gRPC, and uploads points under another one, which it
has to back off from. Writes one JSON line for each call.

limits.py REST_PORT GRPC_PORT KEY

A line is {"call": name, "error": text or null}: null where the client told the limit as that of a strict mode.
"""

import json
import sys
import warnings

from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.models import PointStruct

warnings.simplefilter("ignore")
REST, GRPC, KEY = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def say(call, error=None):
    print(json.dumps({"call": call, "error": error}), flush=True)


for name, over_grpc in (("rest", False), ("grpc", True)):
    client = QdrantClient(
        host="127.0.0.1",
        port=REST,
        grpc_port=GRPC,
        prefer_grpc=over_grpc,
        api_key=KEY,
        https=False,
        check_compatibility=False,
    )
    try:
        client.count("docs")
        say(name, "it was let pass")
    except ResourceExhaustedResponse as error:
        say(name, None if error.retry_after_s > 0 else f"retry after {error.retry_after_s}")
    except Exception as error:  # noqa: BLE001 whatever it is, it is told
        say(name, repr(error))

for name, over_grpc in (("rest upload", False), ("grpc upload", True)):
    client = QdrantClient(
        host="127.0.0.1",
        port=REST,
        grpc_port=GRPC,
        prefer_grpc=over_grpc,
        api_key=KEY,
        https=False,
        check_compatibility=False,
    )
    points = [PointStruct(id=at, vector=[0.1, 0.2, 0.3, 0.4]) for at in range(4)]
    try:
        client.upload_points("docs", points, batch_size=1, max_retries=1)
        say(name)
    except Exception as error:  # noqa: BLE001 whatever it is, it is told
        say(name, repr(error))

say("end")
