import fc from 'fast-check';
import type { Json } from '../../support/tenants/upstream/serde.ts';

/* Bodies with an object whose members are those of several forms. */

/** Values in the place of others. */
const ODD = JSON.parse(
  `[null, true, 5, 1.5, "", "x", "cost", "note", "a b", [], {}, [1, 2], ["x"], ["cost"], [[1], [0.5]], {"query": "x"},
    {"key": "cost"}, {"key": "note"}, {"must": []}, {"corpus": {}}, {"bm25": {}}, [{"key": "cost"}], {"nearest": 3},
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8"]`,
) as readonly Json[];

/** The members of all forms of one enum, each with values that upstream takes there. */
type Members = Readonly<Record<string, readonly Json[]>>;

const members = (text: string): Members => JSON.parse(text) as Members;

const INPUT = members(
  `{"indices": [[1, 2]], "values": [[0.5, 1]], "model": ["m"], "options": [{}, null, {"a": 1}], "image": ["x"],
    "text": ["x", {"query": "x"}, {"query": "x", "scoring": {"bm25": {"k": 1}}}], "object": [{"a": 1}]}`,
);
const QUERIES = members(
  `{"nearest": [[1], 7, {"text": "x", "model": "m"}], "mmr": [null, {"diversity": 0.5}],
    "context": [[], {"positive": 1, "negative": [0.5]}], "recommend": [{"positive": [7]}, {}],
    "discover": [{"target": 8, "context": []}], "fusion": ["rrf"], "rrf": [{}, {"k": 2}],
    "order_by": ["note", {"key": "note", "direction": "asc"}], "formula": [1, "note", {"sum": ["note", 1]}],
    "defaults": [{"note": 1}], "sample": ["random"],
    "relevance_feedback": [{"target": 3, "feedback": [{"example": 4, "score": 1}], "strategy": {"naive": {"a": 1, "b": 1, "c": 1}}}]}`,
);
const CONDITIONS = members(
  `{"key": ["note", "note.x"], "match": [{"value": 1}, {"any": ["x"]}, null], "range": [{"gt": 1}, {"lt": "2024-01-01"}],
    "values_count": [{"gt": 1}], "is_empty": [true, {"key": "note"}], "is_null": [false, {"key": "note"}], "has_id": [[1]],
    "has_vector": ["v"], "slice": [{"total": 2, "index": 1}], "nested": [{"key": "note", "filter": {}}],
    "must": [[], {"key": "note", "match": {"value": 1}}], "should": [null], "min_should": [{"conditions": [], "min_count": 1}]}`,
);
const MATCHES = members(
  `{"value": [1, "x", true], "text": ["x"], "text_any": ["x"], "phrase": ["x"], "prefix": ["x"], "substring": ["x"],
    "any": [[1], ["x"]], "except": [[1]]}`,
);
const EXPRESSIONS = members(
  `{"geo_distance": [{"origin": {"lon": 1, "lat": 1}, "to": "note"}], "datetime": ["2024-01-01"], "datetime_key": ["note"],
    "mult": [[1, "note"]], "sum": [[]], "max": [[1]], "min": [["note"]], "neg": ["note", 1], "abs": [1], "sqrt": [1], "exp": [1],
    "log10": [1], "ln": [1], "acosh": [1], "div": [{"left": 1, "right": "note"}], "pow": [{"base": 1, "exponent": 2}],
    "lin_decay": [{"x": "note"}], "exp_decay": [{"x": 1, "scale": 2}], "gauss_decay": [{"x": 1}]}`,
);
const NAMED = members('{"name": ["v", "sparse"], "vector": [[1], {"indices": [1], "values": [1]}]}');
const ORDER = members('{"key": ["note"], "direction": ["asc"], "start_from": [1, "2024-01-01"]}');
const SHOWN = members('{"include": [["a"]], "exclude": [["a"]]}');
const CORPUS = members('{"corpus": [{}, {"must": []}]}');
const PLACE = members('{"collection": ["docs"], "vector": ["v"], "shard_key": ["a"]}');
const LOOKUP = members(
  '{"collection": ["free", "docs"], "with_payload": [true], "with_vectors": [false], "with_vector": [true]}',
);
const SELECTORS = members(
  `{"points": [[1], []], "filter": [{}, {"must": []}, {"should": {"key": "note", "match": {"value": 1}}}],
    "shard_key": ["a", 1, ["a"], {"target": "a", "fallback": "b"}]}`,
);
const PAYLOADS = members('{"payload": [{"a": 1}], "key": ["note", null]}');
const UPSERTS = members(
  `{"points": [[{"id": 1, "vector": [1]}]], "batch": [{"ids": [1], "vectors": [[1]]}], "update_filter": [{}, {"must": []}],
    "update_mode": ["insert_only"]}`,
);
const OPERATIONS = members(
  `{"upsert": [{"points": []}], "delete": [{"points": [1]}, {"filter": {}}], "clear_payload": [{"points": [1]}],
    "set_payload": [{"payload": {}, "points": [1]}], "delete_payload": [{"keys": ["a"], "points": [1]}]}`,
);

/** A body with an object of several forms, which stands in the place of `$`. */
type Place = readonly [operation: string, body: string, ...members: readonly Members[]];

const PLACES: readonly Place[] = [
  ['query', '{"query":$,"using":"cost"}', INPUT, QUERIES],
  ['query', '{"query":$,"using":"note","params":{"idf":"global"}}', INPUT, QUERIES],
  ['query', '{"prefetch":[{"query":$,"using":"cost"}],"query":{"fusion":"rrf"}}', INPUT, QUERIES],
  ['query_groups', '{"query":$,"using":"cost","group_by":"note"}', INPUT, QUERIES],
  ['query', '{"query":{"nearest":$},"using":"sparse"}', INPUT],
  ['query', '{"query":{"recommend":{"positive":[1,$]}},"using":"sparse"}', INPUT],
  ['query', '{"query":{"context":{"positive":$,"negative":5}}}', INPUT],
  ['recommend', '{"positive":[1],"negative":[$],"limit":1,"using":"sparse"}', INPUT],
  ['search', '{"vector":$,"limit":1}', NAMED, INPUT],
  ['scroll', '{"filter":{"must":$}}', CONDITIONS],
  ['scroll', '{"filter":{"min_should":{"conditions":[$],"min_count":1}}}', CONDITIONS],
  ['scroll', '{"filter":{"must_not":[{"nested":{"key":"note","filter":{"should":[$]}}}]}}', CONDITIONS],
  ['scroll', '{"filter":{"must":{"key":"note","match":$}}}', MATCHES],
  ['scroll', '{"order_by":$}', ORDER],
  ['scroll', '{"with_payload":$}', SHOWN],
  ['query', '{"query":{"formula":$},"prefetch":{"query":[1]}}', EXPRESSIONS, CONDITIONS],
  ['query', '{"query":{"formula":{"sum":[1,$]}},"prefetch":{"query":[1]}}', EXPRESSIONS, CONDITIONS],
  ['query', '{"query":[1],"params":{"idf":$},"using":"sparse"}', CORPUS],
  ['query', '{"query":9,"lookup_from":$}', PLACE],
  ['query_groups', '{"group_by":"note","with_lookup":$}', LOOKUP],
  ['delete', '$', SELECTORS],
  ['set_payload', '$', SELECTORS, PAYLOADS],
  ['upsert', '$', UPSERTS],
  ['batch', '{"operations":[$]}', OPERATIONS],
];

const odd = fc.constantFrom(...ODD);

/** An object of members of several forms, most with values that upstream takes; now and then any other value. */
function mixed(all: Members): fc.Arbitrary<Json> {
  const usual = (values: readonly Json[]) => ({ weight: 4, arbitrary: fc.constantFrom(...values) });
  const member = fc
    .constantFrom(...Object.entries(all))
    .chain(([name, values]) => fc.tuple(fc.constant(name), fc.oneof(usual(values), { weight: 1, arbitrary: odd })));
  const object = fc.array(member, { minLength: 1, maxLength: 4 }).map((list): Json => Object.fromEntries(list));
  return fc.oneof({ weight: 8, arbitrary: object }, { weight: 1, arbitrary: odd });
}

/** The name of a row, and a body. */
export const formBody: fc.Arbitrary<readonly [operation: string, body: string]> = fc
  .constantFrom(...PLACES)
  .chain(([operation, around, ...all]) =>
    fc.tuple(
      fc.constant(`points.${operation}`),
      mixed(Object.assign({}, ...all)).map((value) => around.replace('$', () => JSON.stringify(value))),
    ),
  );
