"""The local mode of the official Python client: points and questions on standard input as JSON, the ids found on standard output."""

import json
import sys

from qdrant_client import QdrantClient, models

asked = json.load(sys.stdin)
client = QdrantClient(":memory:")
client.create_collection("judged", vectors_config=models.VectorParams(size=2, distance=models.Distance.DOT))
client.upsert("judged", [models.PointStruct(**point) for point in asked["points"]])


def ids(body):
    query = body.get("query")
    if query is not None or "prefetch" in body:
        request = models.QueryRequest(**body)
        fields = {name: getattr(request, name) for name in ("query", "prefetch", "filter", "limit", "offset", "score_threshold")}
        fields["query_filter"] = fields.pop("filter")
        return [point.id for point in client.query_points("judged", **{k: v for k, v in fields.items() if v is not None}).points]
    points, _ = client.scroll("judged", scroll_filter=models.Filter(**body["filter"]), limit=1000)
    return sorted(point.id for point in points)


print(json.dumps([ids(body) for body in asked["questions"]]))
