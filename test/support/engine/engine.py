"""Qdrant's own engine in this process (qdrant-edge-py), driven over lines of JSON with bodies in REST form.

A line is `{"op": ..., ...}`; the answer is `{"ok": ...}` or `{"error": text}`. `create` makes an empty shard,
and from then on empties it.
"""

import json
import shutil
import sys
import tempfile

import qdrant_edge as q

DISTANCES = {"Dot": q.Distance.Dot, "Euclid": q.Distance.Euclid, "Cosine": q.Distance.Cosine, "Manhattan": q.Distance.Manhattan}
MODES = {"upsert": q.UpdateMode.Upsert, "insert_only": q.UpdateMode.InsertOnly, "update_only": q.UpdateMode.UpdateOnly}
TYPES = {name.lower(): getattr(q.PayloadSchemaType, name) for name in ("Keyword", "Integer", "Float", "Bool", "Datetime", "Uuid", "Text")}
MATCHES = {
    "value": q.MatchValue,
    "any": q.MatchAny,
    "except": q.MatchExcept,
    "text": q.MatchText,
    "text_any": q.MatchTextAny,
    "phrase": q.MatchPhrase,
    "prefix": q.MatchPrefix,
}


def listed(value):
    return None if value is None else value if isinstance(value, list) else [value]


def filter_of(body):
    if body is None:
        return None
    lists = {name: body.get(name) for name in ("must", "should", "must_not")}
    conditions = {name: None if value is None else [condition_of(one) for one in listed(value)] for name, value in lists.items()}
    least = body.get("min_should")
    if least is not None:
        conditions["min_should"] = q.MinShould([condition_of(one) for one in least["conditions"]], least["min_count"])
    return q.Filter(**conditions)


def condition_of(body):
    if "key" in body:
        return field_of(body)
    if "is_empty" in body:
        return q.IsEmptyCondition(body["is_empty"]["key"])
    if "is_null" in body:
        return q.IsNullCondition(body["is_null"]["key"])
    if "has_id" in body:
        return q.HasIdCondition(set(body["has_id"]))
    if "has_vector" in body:
        return q.HasVectorCondition(body["has_vector"])
    if "nested" in body:
        return q.NestedCondition(body["nested"]["key"], filter_of(body["nested"]["filter"]))
    return filter_of(body)


def field_of(body):
    checks = {name: body[name] for name in ("is_empty", "is_null") if name in body}
    for name, value in body.get("match", {}).items():
        checks["match"] = MATCHES[name](value)
    if "range" in body:
        texts = any(isinstance(bound, str) for bound in body["range"].values())
        checks["range"] = (q.RangeDateTime if texts else q.RangeFloat)(**body["range"])
    if "values_count" in body:
        checks["values_count"] = q.ValuesCount(**body["values_count"])
    return q.FieldCondition(body["key"], **checks)


def vector_of(value):
    if isinstance(value, dict):
        return q.SparseVector(value["indices"], value["values"]) if "indices" in value else {name: vector_of(one) for name, one in value.items()}
    return value


def plain(value):
    if isinstance(value, q.SparseVector):
        return {"indices": value.indices, "values": value.values}
    return {name: plain(one) for name, one in value.items()} if isinstance(value, dict) else value


def points_of(body):
    if "batch" not in body:
        return body["points"]
    batch = body["batch"]
    payloads = batch.get("payloads") or [None] * len(batch["ids"])

    def vector(at):
        columns = batch["vectors"]
        return {name: column[at] for name, column in columns.items()} if isinstance(columns, dict) else columns[at]

    return [{"id": id, "vector": vector(at), "payload": payloads[at]} for at, id in enumerate(batch["ids"])]


def write(shard, operation, body):
    u, ids, where = q.UpdateOperation, body.get("points"), filter_of(body.get("filter"))

    def selected(by_ids, by_filter, *rest):
        return by_ids(ids, *rest) if ids is not None else by_filter(where, *rest)

    if operation == "upsert":
        points = [q.Point(one["id"], vector_of(one["vector"]), one.get("payload")) for one in points_of(body)]
        update = u.upsert_points(points, filter_of(body.get("update_filter")), MODES.get(body.get("update_mode")))
    elif operation == "update_vectors":
        vectors = [q.PointVectors(one["id"], vector_of(one["vector"])) for one in ids]
        update = u.update_vectors(vectors, filter_of(body.get("update_filter")))
    elif operation == "delete":
        update = selected(u.delete_points, u.delete_points_by_filter)
    elif operation == "delete_vectors":
        update = selected(u.delete_vectors, u.delete_vectors_by_filter, body["vector"])
    elif operation == "set_payload":
        update = selected(u.set_payload, u.set_payload_by_filter, body["payload"], body.get("key"))
    elif operation == "overwrite_payload":
        update = selected(u.overwrite_payload, u.overwrite_payload_by_filter, body["payload"])
    elif operation == "delete_payload":
        update = selected(u.delete_payload, u.delete_payload_by_filter, body["keys"])
    else:
        update = selected(u.clear_payload, u.clear_payload_by_filter)
    shard.update(update)


def payload_of(choice):
    if isinstance(choice, dict):
        return q.PayloadSelector.Include(choice["include"]) if "include" in choice else q.PayloadSelector.Exclude(choice["exclude"])
    return choice


def record(one):
    shown = {"id": one.id if isinstance(one.id, int) else str(one.id)}
    for name in ("payload", "order_value"):
        if getattr(one, name, None) is not None:
            shown[name] = getattr(one, name)
    if one.vector is not None:
        shown["vector"] = plain(one.vector)
    return shown


def order_of(body):
    direction = {"asc": q.Direction.Asc, "desc": q.Direction.Desc}[body.get("direction", "asc")]
    return q.OrderBy(body["key"], direction, body.get("start_from"))


def scroll(shard, body):
    order = body.get("order_by")
    points, following = shard.scroll(
        q.ScrollRequest(
            offset=body.get("offset"),
            limit=body.get("limit"),
            filter=filter_of(body.get("filter")),
            with_payload=payload_of(body.get("with_payload")),
            with_vector=body.get("with_vector"),
            order_by=None if order is None else order_of(order),
        )
    )
    return {"points": [record(one) for one in points], "next_page_offset": following if following is None or isinstance(following, int) else str(following)}


def pairs_of(context):
    return [q.ContextPair(vector_of(one["positive"]), vector_of(one["negative"])) for one in context]


def query_of(body):
    query, using = body.get("query"), body.get("using")
    if query is None:
        return None
    if not isinstance(query, dict) or "indices" in query:
        return q.Query.Nearest(vector_of(query), using)
    if "nearest" in query:
        return q.Query.Nearest(vector_of(query["nearest"]), using)
    if "recommend" in query:
        kind = query["recommend"]
        examples = q.RecommendQuery([vector_of(one) for one in kind["positive"]], [vector_of(one) for one in kind["negative"]])
        return (q.Query.RecommendSumScores if kind["strategy"] == "sum_scores" else q.Query.RecommendBestScore)(examples, using)
    if "discover" in query:
        return q.Query.Discover(q.DiscoverQuery(vector_of(query["discover"]["target"]), pairs_of(query["discover"]["context"])), using)
    if "context" in query:
        return q.Query.Context(q.ContextQuery(pairs_of(query["context"])), using)
    if "order_by" in query:
        return order_of(query["order_by"])
    if "rrf" in query:
        return q.Fusion.Rrf(query["rrf"].get("k", 2), query["rrf"].get("weights"))
    return q.Fusion.Dbsf() if query["fusion"] == "dbsf" else q.Fusion.Rrf(2)


def params_of(body):
    idf = (body.get("params") or {}).get("idf")
    return None if idf is None else q.SearchParams(idf=q.IdfParams(filter_of(idf.get("corpus"))))


def level_of(body):
    return {
        "query": query_of(body),
        "prefetches": [q.Prefetch(limit=one.get("limit", 10), **level_of(one)) for one in listed(body.get("prefetch")) or []],
        "filter": filter_of(body.get("filter")),
        "score_threshold": body.get("score_threshold"),
        "params": params_of(body),
    }


def query(shard, body):
    request = q.QueryRequest(limit=body.get("limit", 10), offset=body.get("offset"), with_payload=False, with_vector=False, **level_of(body))
    return [{**record(one), "score": one.score} for one in shard.query(request)]


def facet(shard, body):
    hits = shard.facet(q.FacetRequest(body["key"], body.get("limit", 10), True, filter_of(body.get("filter")))).hits
    return [{"value": hit.value if isinstance(hit.value, (int, bool)) else str(hit.value), "count": hit.count} for hit in hits]


def created(folder, body):
    vectors = {name: q.EdgeVectorParams(size=one["size"], distance=DISTANCES[one["distance"]]) for name, one in body["vectors"].items()}
    sparse = {name: q.EdgeSparseVectorParams(modifier=q.Modifier.Idf if one.get("modifier") == "idf" else None) for name, one in body["sparse_vectors"].items()}
    return q.EdgeShard.create(folder, q.EdgeConfig(vectors=vectors, sparse_vectors=sparse, wal_enabled=False))


def emptied(shard, body):
    shard.update(q.UpdateOperation.delete_points_by_filter(q.Filter()))
    for name in body["indexed"]:
        shard.update(q.UpdateOperation.delete_field_index(name))


READS = {
    "scroll": scroll,
    "query": query,
    "facet": facet,
    "retrieve": lambda shard, body: [record(one) for one in shard.retrieve(body["ids"], payload_of(body.get("with_payload")), body.get("with_vector"))],
    "count": lambda shard, body: shard.count(q.CountRequest(body.get("exact", True), filter_of(body.get("filter")))),
}


def main():
    shard, folder = None, None
    for line in sys.stdin:
        request = json.loads(line)
        op, body = request["op"], request["body"]
        try:
            if op == "create" and shard is not None:
                answer = emptied(shard, body)
            elif op == "create":
                folder = tempfile.mkdtemp(prefix="engine-")
                shard, answer = created(folder, body), True
            elif op == "index":
                answer = shard.update(q.UpdateOperation.create_field_index(body["field_name"], TYPES[body["field_schema"]]))
            else:
                answer = READS[op](shard, body) if op in READS else write(shard, op, body)
            print(json.dumps({"ok": answer}), flush=True)
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
    if folder is not None:
        shard.close()
        shutil.rmtree(folder, ignore_errors=True)


main()
