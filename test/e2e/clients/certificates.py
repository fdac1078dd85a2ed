"""Python clients with a client certificate: requests, httpx over HTTP/1.1 and HTTP/2, and the official stubs over gRPC.

The argument is a list of cases in JSON; each line of output is the list of what one case met.
"""

import json
import ssl
import sys

import grpc
import httpx
import requests
from qdrant_client import grpc as qdrant


def read(path):
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read()


def over_requests(case, url, headers):
    with requests.Session() as session:
        # The environment would win over what is set here.
        session.trust_env = False
        session.verify = case["ca"]
        session.cert = (case["cert"], case["key"]) if case["cert"] else None
        return [session.get(url, headers=headers).status_code for _ in range(2)]


def over_httpx(case, url, headers):
    context = ssl.create_default_context(cafile=case["ca"])
    if case["cert"]:
        context.load_cert_chain(case["cert"], case["key"])
    met = []
    for http2 in (False, True):
        with httpx.Client(verify=context, http2=http2, trust_env=False) as client:
            answer = client.get(url, headers=headers)
            met.append(f"{answer.http_version} {answer.status_code}")
    return met


def over_grpc(case, headers):
    files = (read(case["ca"]), read(case["key"]), read(case["cert"]))
    with grpc.secure_channel(f"localhost:{case['grpc']}", grpc.ssl_channel_credentials(*files)) as channel:
        stub = qdrant.CollectionsStub(channel)
        try:
            stub.List(qdrant.ListCollectionsRequest(), metadata=list(headers.items()))
            return "OK"
        except grpc.RpcError as error:
            return error.code().name


for case in json.loads(sys.argv[1]):
    url = f"https://localhost:{case['rest']}/collections"
    headers = {"api-key": case["api_key"]} if case["api_key"] else {}
    met = [*over_requests(case, url, headers), *over_httpx(case, url, headers), over_grpc(case, headers)]
    print(json.dumps(met), flush=True)
