"""Strict HTTP clients: Python's requests, and httpx over HTTP/1.1 and HTTP/2. Lines as in strict.go."""

import base64
import os
import sys
import warnings

warnings.filterwarnings("ignore")
SECONDS = float(os.environ.get("STRICT_SECONDS", "20"))


def body(size, kind):
    if kind == "deep":
        return (b"[" * 200 + b" " * size)[:size]
    if kind == "naming":
        return (b'{"lookup_from":{"collection":"b"}}' + b" " * size)[:size]
    return (b"{}" + b" " * size)[:size] if size >= 2 else b" " * size


def pieces(content):
    for at in range(0, len(content), 65536):
        yield content[at : at + 65536]


def sender(name):
    if name == "requests":
        import requests

        session = requests.Session()
        session.verify = False
        session.trust_env = False
        return lambda method, url, headers, content: session.request(
            method, url, headers=headers, data=content, timeout=SECONDS
        )
    import httpx

    client = httpx.Client(verify=False, http2=name == "httpx2", timeout=SECONDS, trust_env=False)
    return lambda method, url, headers, content: client.request(method, url, headers=headers, content=content)


send = sender(sys.argv[1])
for line in sys.stdin:
    number, method, url, key, extra, size, sized, kind = line.rstrip("\n").split("\t")
    headers = {"api-key": key} if key else {}
    if extra:
        headers[extra.split(": ")[0]] = extra.split(": ")[1]
    content = body(int(size), kind) if int(size) > 0 else None
    if content and sized == "streamed":
        content = pieces(content)
    try:
        answer = send(method, url, headers, content)
        status, text = str(answer.status_code), answer.content
    except Exception as error:  # noqa: BLE001
        status, text = "error", f"{type(error).__name__}: {error}".encode()
    print(number, status, base64.b64encode(text).decode(), sep="\t", flush=True)
