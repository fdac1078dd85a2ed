"""Drives everything the official Python client offers against one server, and writes one JSON line for each call.

surface.py REST_PORT GRPC_PORT [KEY]

A line is {"call": name, "error": text or null}. Methods of the client that no call here stands for are errors, too, so that
another release of the client cannot bring one that is not looked at.
"""

import inspect
import json
import sys
import tempfile
import warnings

from qdrant_client import QdrantClient, grpc, models
from qdrant_client.http.exceptions import UnexpectedResponse
from qdrant_client.http.models import models as m

HOST = "127.0.0.1"
REST, GRPC = int(sys.argv[1]), int(sys.argv[2])
# A key alone would turn TLS on.
SECURED = {"api_key": sys.argv[3], "https": False} if len(sys.argv) > 3 else {}

# Local work, clients of other services and accessors: nothing of them reaches a server.
LOCAL = {
    "close", "get_embedding_size", "init_options", "http", "grpc_collections", "grpc_points", "list_image_models",
    "list_late_interaction_multimodal_models", "list_late_interaction_text_models", "list_sparse_models",
    "list_text_models", "migrate",
}


def say(call, error=None):
    print(json.dumps({"call": call, "error": error}), flush=True)


def attempt(call, work):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        # The stand-ins of this test are without TLS, on loopback.
        warnings.filterwarnings("ignore", message="Api key is used with an insecure connection")
        try:
            result = work()
        except UnexpectedResponse as error:
            say(call, f"{error.status_code}: {error.content[:300]!r}")
            return None
        except Exception as error:  # noqa: BLE001 whatever it is, it is told
            say(call, f"{type(error).__name__}: {str(error)[:600]}")
            return None
    told = [str(one.message) for one in seen if not issubclass(one.category, DeprecationWarning)]
    say(call, told[0] if told else None)
    return result


VECTORS = {
    "": m.VectorParams(size=2, distance=m.Distance.DOT, on_disk=True, hnsw_config=m.HnswConfigDiff(m=8)),
    "image": m.VectorParams(size=2, distance=m.Distance.COSINE),
    "many": m.VectorParams(
        size=2, distance=m.Distance.DOT,
        multivector_config=m.MultiVectorConfig(comparator=m.MultiVectorComparator.MAX_SIM)),
}
POINTS = [
    m.PointStruct(id=1, vector={"": [1, 0], "image": [0, 1], "many": [[1, 0], [0, 1]],
                                "words": m.SparseVector(indices=[1], values=[1.0])},
                  payload={"kind": "a", "rank": 1, "at": "2024-05-01T00:00:00Z", "place": {"lat": 52.5, "lon": 13.4}}),
    m.PointStruct(id=2, vector={"": [0.5, 0.5], "image": [1, 1]}, payload={"kind": "b", "rank": 2, "deep": {"x": [1, 2]}}),
    m.PointStruct(id="5c56c793-69f3-4fbf-87e6-c4bf54c28c26", vector={"": [0, 1]}, payload={"kind": "a", "rank": None}),
]
FILTER = m.Filter(
    must=[m.FieldCondition(key="kind", match=m.MatchValue(value="a"))],
    should=[m.HasIdCondition(has_id=[1, 2]), m.IsNullCondition(is_null=m.PayloadField(key="rank")),
            m.FieldCondition(key="rank", range=m.Range(gte=0)),
            m.FieldCondition(key="place", geo_radius=m.GeoRadius(center=m.GeoPoint(lat=52.5, lon=13.4), radius=10))],
    must_not=[m.NestedCondition(nested=m.Nested(key="deep", filter=m.Filter(must=[
        m.FieldCondition(key="x", match=m.MatchAny(any=[7]))])))],
    min_should=m.MinShould(conditions=[m.HasVectorCondition(has_vector="image"),
                                       m.IsEmptyCondition(is_empty=m.PayloadField(key="x"))], min_count=1),
)


def queries():
    yield "by vector", [1.0, 0.0]
    yield "by id", 1
    yield "recommend", m.RecommendQuery(recommend=m.RecommendInput(positive=[1], negative=[2]))
    yield "discover", m.DiscoverQuery(discover=m.DiscoverInput(target=1, context=[m.ContextPair(positive=1, negative=2)]))
    yield "context", m.ContextQuery(context=[m.ContextPair(positive=1, negative=2)])
    yield "order by", m.OrderByQuery(order_by=m.OrderBy(key="rank", direction=m.Direction.DESC))
    yield "sample", m.SampleQuery(sample=m.Sample.RANDOM)
    yield "mmr", m.NearestQuery(nearest=[1.0, 0.0], mmr=m.Mmr(diversity=0.5, candidates_limit=2))


SCHEMAS = {
    "keyword": m.PayloadSchemaType.KEYWORD, "integer": m.PayloadSchemaType.INTEGER, "float": m.PayloadSchemaType.FLOAT,
    "bool": m.PayloadSchemaType.BOOL, "geo": m.PayloadSchemaType.GEO, "text": m.PayloadSchemaType.TEXT,
    "datetime": m.PayloadSchemaType.DATETIME, "uuid": m.PayloadSchemaType.UUID,
    "keyword params": m.KeywordIndexParams(type=m.KeywordIndexType.KEYWORD, is_tenant=True, on_disk=True),
    "integer params": m.IntegerIndexParams(type=m.IntegerIndexType.INTEGER, lookup=True, range=True),
    "text params": m.TextIndexParams(type=m.TextIndexType.TEXT, tokenizer=m.TokenizerType.WORD, lowercase=True,
                                     min_token_len=2),
}


class Surface:
    """One client, over REST or gRPC, and what was called of it."""

    def __init__(self, name, client):
        self.name, self.client, self.called = name, client, set()

    def __call__(self, method, *args, note="", **kwargs):
        self.called.add(method)
        call = f"{self.name} {method}{' ' + note if note else ''}"
        return attempt(call, lambda: getattr(self.client, method)(*args, **kwargs))

    def finish(self):
        public = {name for name in dir(QdrantClient) if not name.startswith("_")} - LOCAL
        public = {name for name in public if callable(getattr(QdrantClient, name, None))}
        for name in sorted(public - self.called):
            say(f"{self.name} {name}", "no call here stands for this method")


def collections(call):
    call("get_collections")
    call("collection_exists", "docs")
    call("recreate_collection", "docs", vectors_config=VECTORS["image"])
    call("delete_collection", "docs", note="to make it anew")
    call("create_collection", "docs", vectors_config=VECTORS,
         sparse_vectors_config={"words": m.SparseVectorParams(index=m.SparseIndexParams(on_disk=True), modifier=m.Modifier.IDF)},
         hnsw_config=m.HnswConfigDiff(m=24, ef_construct=120),
         optimizers_config=m.OptimizersConfigDiff(deleted_threshold=0.3, default_segment_number=2),
         wal_config=m.WalConfigDiff(wal_capacity_mb=16), shard_number=1, replication_factor=1, write_consistency_factor=1,
         on_disk_payload=False, metadata={"of": "docs"},
         strict_mode_config=m.StrictModeConfig(enabled=True, max_query_limit=1000),
         quantization_config=m.ScalarQuantization(scalar=m.ScalarQuantizationConfig(type=m.ScalarType.INT8, always_ram=True)))
    call("create_collection", "plain", vectors_config=m.VectorParams(size=2, distance=m.Distance.EUCLID), note="one vector")
    info = call("get_collection", "docs")
    config = info.config if info is not None else None
    told = config and (config.hnsw_config.m, config.hnsw_config.ef_construct, config.optimizer_config.default_segment_number,
                       config.wal_config.wal_capacity_mb, config.params.on_disk_payload, sorted(config.params.vectors),
                       list(config.params.sparse_vectors or []), config.params.vectors["image"].distance.value)
    wanted = (24, 120, 2, 16, False, ["", "image", "many"], ["words"], "Cosine")
    say(f"{call.name} get_collection tells what was set", None if told == wanted else f"{told} is not {wanted}")
    call("update_collection", "docs", optimizers_config=m.OptimizersConfigDiff(indexing_threshold=5000),
         collection_params=m.CollectionParamsDiff(replication_factor=1), hnsw_config=m.HnswConfigDiff(ef_construct=130),
         vectors_config={"image": m.VectorParamsDiff(on_disk=True)})
    info = call("get_collection", "docs", note="after the update")
    told = info and (info.config.optimizer_config.indexing_threshold, info.config.hnsw_config.ef_construct)
    say(f"{call.name} update_collection is told", None if told == (5000, 130) else f"{told}")
    call("get_collection", "plain", note="one vector")
    call("update_collection_aliases", change_aliases_operations=[
        m.CreateAliasOperation(create_alias=m.CreateAlias(collection_name="docs", alias_name="live")),
        m.RenameAliasOperation(rename_alias=m.RenameAlias(old_alias_name="live", new_alias_name="now")),
        m.DeleteAliasOperation(delete_alias=m.DeleteAlias(alias_name="now")),
        m.CreateAliasOperation(create_alias=m.CreateAlias(collection_name="docs", alias_name="live"))])
    call("get_aliases")
    call("get_collection_aliases", "docs")


def writes(call):
    call("upsert", "docs", points=POINTS)
    call("upsert", "docs", points=m.Batch(ids=[11, 12], vectors={"": [[1, 0], [0, 1]]}, payloads=[{"kind": "c"}, {}]),
         note="as a batch")
    call("upload_points", "docs", points=POINTS, wait=True)
    call("upload_collection", "plain", vectors=[[1.0, 0.0], [0.0, 1.0]], payload=[{"of": 1}, {"of": 2}], ids=[1, 2], wait=True)
    for name, schema in SCHEMAS.items():
        call("create_payload_index", "docs", "f-" + name.replace(" ", "-"), field_schema=schema, note=name)
    for field in ("kind", "rank"):
        call("create_payload_index", "docs", field, field_schema=SCHEMAS["keyword" if field == "kind" else "integer"], note=field)
    call("get_collection", "docs", note="with indexes")
    call("delete_payload_index", "docs", "f-text")
    call("set_payload", "docs", payload={"x": 1}, points=[1], key="deep")
    call("set_payload", "docs", payload={"y": 1.5}, points=FILTER, note="by filter")
    call("overwrite_payload", "docs", payload={"kind": "b", "rank": 5}, points=[2])
    call("delete_payload", "docs", keys=["y"], points=[1])
    call("clear_payload", "docs", points_selector=[12])
    call("update_vectors", "docs", points=[m.PointVectors(id=2, vector={"image": [0.5, 0.5]})])
    call("delete_vectors", "docs", vectors=["many"], points=[1])
    call("create_vector_name", "docs", "more", m.DenseVectorNameConfig(dense=m.DenseVectorConfig(size=3, distance=m.Distance.DOT)))
    call("create_vector_name", "docs", "sparse", m.SparseVectorNameConfig(sparse=m.SparseVectorConfig()), note="sparse")
    call("delete_vector_name", "docs", "more")
    call("batch_update_points", "docs", update_operations=[
        m.UpsertOperation(upsert=m.PointsList(points=POINTS)),
        m.SetPayloadOperation(set_payload=m.SetPayload(payload={"z": True}, points=[1])),
        m.OverwritePayloadOperation(overwrite_payload=m.SetPayload(payload={"kind": "b", "rank": 2}, points=[2])),
        m.DeletePayloadOperation(delete_payload=m.DeletePayload(keys=["z"], points=[1])),
        m.ClearPayloadOperation(clear_payload=m.PointIdsList(points=[12])),
        m.UpdateVectorsOperation(update_vectors=m.UpdateVectors(points=[m.PointVectors(id=1, vector={"image": [1, 0]})])),
        m.DeleteVectorsOperation(delete_vectors=m.DeleteVectors(points=[12], vector=["image"])),
        m.DeleteOperation(delete=m.PointIdsList(points=[11]))])
    call("delete", "docs", points_selector=[12])


def reads(call):
    call("retrieve", "docs", ids=[1, 2], with_vectors=True)
    call("retrieve", "docs", ids=[1], with_payload=["kind"], with_vectors=["image"], note="in part")
    call("scroll", "docs", limit=1, with_payload=m.PayloadSelectorExclude(exclude=["rank"]), with_vectors=True)
    call("scroll", "docs", scroll_filter=FILTER, order_by=m.OrderBy(key="rank"), note="ordered")
    call("count", "docs", count_filter=FILTER, exact=True)
    for note, query in queries():
        call("query_points", "docs", query=query, limit=3, with_payload=True, with_vectors=True, note=note)
    call("query_points", "docs", query_filter=FILTER, note="filter only")
    call("query_points", "docs", query=m.SparseVector(indices=[1], values=[1.0]), using="words", note="sparse")
    call("query_points", "docs", query=[[1.0, 0.0], [0.0, 1.0]], using="many", note="several rows")
    call("query_points", "docs", query=1, using="", lookup_from=m.LookupLocation(collection="plain"), note="looked up")
    prefetch = [m.Prefetch(query=[1.0, 0.0], limit=5), m.Prefetch(query=[0.0, 1.0], limit=5, filter=FILTER)]
    call("query_points", "docs", prefetch=prefetch, query=m.FusionQuery(fusion=m.Fusion.RRF), note="fusion")
    call("query_points", "docs", prefetch=prefetch, query=m.RrfQuery(rrf=m.Rrf(k=3)), note="rrf")
    call("query_points", "docs", prefetch=prefetch[:1], note="formula", query=m.FormulaQuery(
        formula=m.SumExpression(sum=["$score", m.MultExpression(mult=[0.5, "rank"])]), defaults={"rank": 1}))
    call("query_batch_points", "docs", requests=[m.QueryRequest(query=[1.0, 0.0], limit=1), m.QueryRequest(limit=1)])
    call("query_points_groups", "docs", group_by="kind", query=[1.0, 0.0], limit=2, group_size=2,
         with_lookup=m.WithLookup(collection="plain", with_payload=True))
    call("search_matrix_pairs", "docs", sample=3, limit=2)
    call("search_matrix_offsets", "docs", sample=3, limit=2)
    call("facet", "docs", key="kind", facet_filter=FILTER)


def snapshots(call):
    for kind, args in {"": ("docs",), "full_": (), "shard_": ("docs", 0)}.items():
        made = call(f"create_{kind}snapshot", *args)
        call(f"list_{kind}snapshots", *args)
        call(f"delete_{kind}snapshot", *args, snapshot_name=made.name if made else "none")
    call("recover_snapshot", "docs", location="http://127.0.0.1/x.snapshot")
    call("recover_shard_snapshot", "docs", 0, location="http://127.0.0.1/x.snapshot")


def cluster(call):
    call("info")
    call("cluster_status")
    call("cluster_telemetry")
    call("cluster_telemetry", details_level=3, note="in full")
    call("collection_cluster_info", "docs")
    call("cluster_collection_update", "docs", m.DropReplicaOperation(drop_replica=m.Replica(shard_id=0, peer_id=1)))
    call("create_shard_key", "docs", "k")
    call("list_shard_keys", "docs")
    call("delete_shard_key", "docs", "k")
    call("get_optimizations", "docs")
    call("recover_current_peer")
    call("remove_peer", 7)


def generated_api(client):
    """The calls of the generated REST client that nothing above makes."""
    http = client.http
    for level in range(0, 6):
        attempt(f"http telemetry {level}", lambda: http.service_api.telemetry(details_level=level))
    attempt("http telemetry anonymized", lambda: http.service_api.telemetry(details_level=10, anonymize=True))
    attempt("http root", http.service_api.root)
    for name in ("metrics", "healthz", "livez", "readyz"):
        # Plain text, which this client takes for JSON: the status is looked at by other tests.
        pass
    attempt("http get_issues", http.beta_api.get_issues)
    attempt("http clear_issues", http.beta_api.clear_issues)
    attempt("http get_quotas", http.quotas_api.get_quotas)
    attempt("http update_quotas", lambda: http.quotas_api.update_quotas(quota_config=m.QuotaConfig(max_disk_usage_percent=90)))
    attempt("http get_point", lambda: http.points_api.get_point("docs", 1))
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.seek(0)
        attempt("http upload", lambda: http.snapshots_api.recover_from_uploaded_snapshot("docs", snapshot=file))


def stubs(client):
    """Every method of the gRPC services, the ones QdrantClient no longer calls included."""
    request_of = {
        "Get": lambda r: None,
        "SearchPoints": lambda r: (r.vector.extend([1.0, 0.0]), setattr(r, "limit", 1)),
        "RecommendPoints": lambda r: (r.positive.add(num=1), setattr(r, "limit", 1)),
        "DiscoverPoints": lambda r: (setattr(r.target.single.id, "num", 1), setattr(r, "limit", 1)),
        "SearchPointGroups": lambda r: (r.vector.extend([1.0, 0.0]), setattr(r, "group_by", "kind"),
                                       setattr(r, "limit", 1), setattr(r, "group_size", 1)),
        "RecommendPointGroups": lambda r: (r.positive.add(num=1), setattr(r, "group_by", "kind"),
                                          setattr(r, "limit", 1), setattr(r, "group_size", 1)),
        "SearchBatchPoints": lambda r: r.search_points.add(collection_name="docs", vector=[1.0, 0.0], limit=1),
        "RecommendBatchPoints": lambda r: r.recommend_points.add(collection_name="docs", limit=1).positive.add(num=1),
        "DiscoverBatchPoints": lambda r: setattr(
            r.discover_points.add(collection_name="docs", limit=1).target.single.id, "num", 1),
    }
    chosen = {"Search", "SearchBatch", "SearchGroups", "Recommend", "RecommendBatch", "RecommendGroups", "Discover",
              "DiscoverBatch"}
    points = grpc.points_service_pb2.DESCRIPTOR.services_by_name["Points"]
    for method in points.methods:
        if method.name not in chosen:
            continue
        request = getattr(grpc, method.input_type.name)(collection_name="docs")
        request_of[method.input_type.name](request)
        attempt(f"stub {method.name}", lambda: getattr(client.grpc_points, method.name)(request))


def main():
    clients = {
        "REST": lambda: QdrantClient(host=HOST, port=REST, grpc_port=GRPC, timeout=20, **SECURED),
        "gRPC": lambda: QdrantClient(host=HOST, port=REST, grpc_port=GRPC, prefer_grpc=True, timeout=20, **SECURED),
    }
    for name, make in clients.items():
        client = attempt(f"{name} connects", make)
        call = Surface(name, client)
        # The check of the releases runs beside; a mismatch is a warning of the first call.
        collections(call)
        writes(call)
        reads(call)
        snapshots(call)
        cluster(call)
        call.finish()
        if name == "REST":
            generated_api(client)
        else:
            stubs(client)
        call("delete_collection", "docs")
        call("delete_collection", "plain")
        client.close()
    print(json.dumps({"call": "end", "error": None}), flush=True)


main()
