"""Frameworks that keep their vectors in the collection `mine`, with embeddings that are made up.

frameworks.py REST_PORT GRPC_PORT TOKEN
"""

import json
import os
import sys

os.environ["MEM0_TELEMETRY"] = "False"
REST, GRPC, TOKEN = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
URL = f"http://127.0.0.1:{REST}"
VECTOR = [0.1, 0.2, 0.3, 0.4]


def say(call, error):
    print(json.dumps({"call": call, "error": error}), flush=True)


def show(call, run):
    try:
        run()
        say(call, None)
    except ImportError as missing:
        say(call, f"not installed ({missing})")
    except Exception as error:  # noqa: BLE001
        say(call, f"{type(error).__name__}: {str(error)[:200]!r}")


def client(grpc=False):
    from qdrant_client import QdrantClient

    return QdrantClient(url=URL, api_key=TOKEN, grpc_port=GRPC, prefer_grpc=grpc, check_compatibility=False)


def create(grpc):
    """Creates without asking first, and goes on where the collection is said to exist, as many programs do."""
    from qdrant_client import models

    try:
        vectors = models.VectorParams(size=4, distance=models.Distance.COSINE)
        client(grpc).create_collection("mine", vectors_config=vectors)
    except Exception as error:  # noqa: BLE001
        if "already exists" not in str(error):
            raise


def langchain(grpc):
    from langchain_core.embeddings import Embeddings
    from langchain_qdrant import QdrantVectorStore

    class Same(Embeddings):
        def embed_documents(self, texts):
            return [VECTOR for _ in texts]

        def embed_query(self, text):
            return VECTOR

    store = QdrantVectorStore(client=client(grpc), collection_name="mine", embedding=Same())
    store.add_texts(["a"])
    assert len(store.similarity_search("a", k=1)) == 1
    # Asks whether the collection exists, and makes it if not.
    options = {"url": URL, "api_key": TOKEN, "grpc_port": GRPC, "prefer_grpc": grpc, "check_compatibility": False}
    QdrantVectorStore.from_texts(["b"], Same(), collection_name="mine", **options)


def mem0():
    from mem0.vector_stores.qdrant import Qdrant

    store = Qdrant(collection_name="mine", embedding_model_dims=4, client=client())
    store.insert([VECTOR], payloads=[{"data": "x"}], ids=[1])
    assert len(store.search("x", VECTOR, top_k=1)) == 1


def llama_index():
    from llama_index.core.schema import TextNode
    from llama_index.vector_stores.qdrant import QdrantVectorStore

    # It makes the collection before it adds, unless it exists. The stand-in keeps no payload that it could read again.
    QdrantVectorStore("mine", client=client()).add([TextNode(text="a", embedding=VECTOR)])


def haystack():
    from haystack import Document
    from haystack.utils import Secret
    from haystack_integrations.document_stores.qdrant import QdrantDocumentStore

    # It asks whether the collection exists, and makes it if not. One that exists must have the shape that it expects.
    store = QdrantDocumentStore(
        url=URL, api_key=Secret.from_token(TOKEN), index="mine", embedding_dim=4, similarity="cosine", return_embedding=True,
        wait_result_from_api=True,
    )  # fmt: skip
    store.write_documents([Document(content="a", embedding=VECTOR)])
    assert store.count_documents() >= 1


def mcp_server():
    import asyncio

    from mcp_server_qdrant.embeddings.base import EmbeddingProvider
    from mcp_server_qdrant.qdrant import QdrantConnector

    class Same(EmbeddingProvider):
        async def embed_documents(self, documents):
            return [VECTOR for _ in documents]

        async def embed_query(self, query):
            return VECTOR

        def get_vector_name(self):
            return ""

        def get_vector_size(self):
            return 4

    connector = QdrantConnector(URL, TOKEN, "mine", Same())
    asyncio.run(connector._ensure_collection_exists("mine"))


show("create and go on, REST", lambda: create(False))
show("create and go on, gRPC", lambda: create(True))
show("langchain-qdrant, REST", lambda: langchain(False))
show("langchain-qdrant, gRPC", lambda: langchain(True))
show("mem0ai", mem0)
show("llama-index", llama_index)
show("haystack", haystack)
show("mcp-server-qdrant", mcp_server)
say("end", None)
