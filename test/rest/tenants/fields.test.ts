import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { made } from './made.ts';

/*
 * Every field of every request that upstream's REST schemas know has an action, and no other field is taken. The names are those of
 * the schemas of Qdrant v1.19.0, of v1.13 for the searches that later schemas left out, and of the Python client of v1.20.0.
 */

const FIELDS: Readonly<Record<string, readonly string[]>> = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../cases/rest-body-fields.json'), 'utf8'),
);

/** A body with an object of a schema. @param member that is added to it */
type Place = readonly [operation: string, body: (member: string) => string];

const query = (body: (member: string) => string): Place => ['points.query', (member) => `{"query":${body(member)}}`];
const filter = (body: (member: string) => string): Place => ['points.scroll', (member) => `{"filter":${body(member)}}`];
const field = (name: string): Place => filter((member) => `{"must":[{"key":"a","${name}":{${member}}}]}`);
const condition = filter((member) => `{"must":{${member}}}`);
const formula = (name: string): Place => query((member) => `{"formula":{"${name}":{${member}}}}`);
const expression = query((member) => `{"formula":{${member}}}`);
const inQuery = query((member) => `{${member}}`);
const operation: Place = ['points.batch', (member) => `{"operations":[{${member}}]}`];
const whole = (name: string): Place => [name, (member) => `{${member}}`];
const params = (name: string): Place => ['points.query', (member) => `{"params":{"${name}":{${member}}}}`];

/** The place of each schema. */
const PLACES: Readonly<Record<string, readonly Place[]>> = {
  AcornSearchParams: [params('acorn')],
  Batch: [['points.upsert', (member) => `{"batch":{${member}}}`]],
  Bm25Params: [query((member) => `{"text":{"query":"x","scoring":{"bm25":{${member}}}}}`)],
  Bm25Scoring: [query((member) => `{"text":{"query":"x","scoring":{${member}}}}`)],
  ContextExamplePair: [['points.discover', (member) => `{"context":[{${member}}]}`]],
  ContextPair: [query((member) => `{"context":{${member}}}`), query((member) => `{"context":[{${member}}]}`)],
  CountRequest: [whole('points.count')],
  DatetimeRange: [field('range')],
  DecayParamsExpression: [formula('lin_decay'), formula('exp_decay'), formula('gauss_decay')],
  DeletePayload: [whole('points.delete_payload')],
  DeleteVectors: [whole('points.delete_vectors')],
  DiscoverInput: [query((member) => `{"discover":{${member}}}`)],
  DiscoverRequest: [whole('points.discover')],
  DiscoverRequestBatch: [whole('points.discover_batch')],
  DivParams: [formula('div')],
  Document: [inQuery, ['points.recommend', (member) => `{"positive":[{${member}}]}`]],
  FacetRequest: [whole('points.facet')],
  FeedbackItem: [query((member) => `{"relevance_feedback":{"feedback":[{${member}}]}}`)],
  FieldCondition: [condition],
  Filter: [
    filter((member) => `{${member}}`),
    filter((member) => `{"should":[{"must":{${member}}}]}`),
    ['points.query', (member) => `{"prefetch":{"filter":{${member}}}}`],
    ['points.upsert', (member) => `{"points":[],"update_filter":{${member}}}`],
    ['points.update_vectors', (member) => `{"points":[],"update_filter":{${member}}}`],
    ['points.delete', (member) => `{"filter":{${member}}}`],
  ],
  FilterSelector: [whole('points.delete'), whole('points.clear_payload')],
  GeoBoundingBox: [field('geo_bounding_box')],
  GeoDistanceParams: [formula('geo_distance')],
  GeoLineString: [filter((member) => `{"must":[{"key":"a","geo_polygon":{"exterior":{${member}}}}]}`)],
  GeoPoint: [filter((member) => `{"must":[{"key":"a","geo_radius":{"center":{${member}}}}]}`)],
  GeoPolygon: [field('geo_polygon')],
  GeoRadius: [field('geo_radius')],
  IdfCorpusParams: [params('idf')],
  Image: [inQuery],
  InferenceObject: [inQuery],
  LookupLocation: [
    ['points.query', (member) => `{"lookup_from":{${member}}}`],
    ['points.recommend', (member) => `{"lookup_from":{${member}}}`],
  ],
  MinShould: [filter((member) => `{"min_should":{${member}}}`)],
  Mmr: [query((member) => `{"nearest":[1],"mmr":{${member}}}`)],
  NaiveFeedbackStrategy: [query((member) => `{"relevance_feedback":{"strategy":{${member}}}}`)],
  NaiveFeedbackStrategyParams: [query((member) => `{"relevance_feedback":{"strategy":{"naive":{${member}}}}}`)],
  NamedSparseVector: [['points.search', (member) => `{"vector":{${member}}}`]],
  NamedVector: [['points.search_groups', (member) => `{"vector":{${member}}}`]],
  Nested: [filter((member) => `{"must":{"nested":{${member}}}}`)],
  OrderBy: [['points.scroll', (member) => `{"order_by":{${member}}}`], query((member) => `{"order_by":{${member}}}`)],
  PayloadField: [
    filter((member) => `{"must":{"is_empty":{${member}}}}`),
    filter((member) => `{"must":{"is_null":{${member}}}}`),
  ],
  PointIdsList: [whole('points.delete'), whole('points.clear_payload')],
  PointRequest: [whole('points.get')],
  PointStruct: [['points.upsert', (member) => `{"points":[{${member}}]}`]],
  PointVectors: [['points.update_vectors', (member) => `{"points":[{${member}}]}`]],
  PointsBatch: [whole('points.upsert')],
  PointsList: [whole('points.upsert')],
  PowParams: [formula('pow')],
  Prefetch: [
    ['points.query', (member) => `{"prefetch":{${member}}}`],
    ['points.query_groups', (member) => `{"prefetch":[{"prefetch":{${member}}}]}`],
  ],
  QuantizationSearchParams: [params('quantization')],
  QueryGroupsRequest: [whole('points.query_groups')],
  QueryRequest: [whole('points.query'), ['points.query_batch', (member) => `{"searches":[{${member}}]}`]],
  QueryRequestBatch: [whole('points.query_batch')],
  Range: [field('range')],
  RecommendGroupsRequest: [whole('points.recommend_groups')],
  RecommendInput: [query((member) => `{"recommend":{${member}}}`)],
  RecommendRequest: [whole('points.recommend'), ['points.recommend_batch', (member) => `{"searches":[{${member}}]}`]],
  RecommendRequestBatch: [whole('points.recommend_batch')],
  RelevanceFeedbackInput: [query((member) => `{"relevance_feedback":{${member}}}`)],
  Rrf: [query((member) => `{"rrf":{${member}}}`)],
  ScrollRequest: [whole('points.scroll')],
  SearchGroupsRequest: [whole('points.search_groups')],
  SearchMatrixRequest: [whole('points.search_matrix_pairs'), whole('points.search_matrix_offsets')],
  SearchParams: [['points.query', (member) => `{"params":{${member}}}`]],
  SearchRequest: [whole('points.search'), ['points.search_batch', (member) => `{"searches":[{${member}}]}`]],
  SearchRequestBatch: [whole('points.search_batch')],
  SetPayload: [whole('points.set_payload'), whole('points.overwrite_payload')],
  Slice: [filter((member) => `{"must":{"slice":{${member}}}}`)],
  SparseVector: [inQuery, ['points.search', (member) => `{"vector":{"name":"sparse","vector":{${member}}}}`]],
  TextQueryInput: [query((member) => `{"text":{${member}}}`)],
  UpdateOperations: [whole('points.batch')],
  UpdateVectors: [whole('points.update_vectors')],
  ValuesCount: [field('values_count')],
  WithLookup: [['points.query_groups', (member) => `{"with_lookup":{${member}}}`]],
};

/** Schemas that are one of many forms in one place, by their ends. */
const KINDS: readonly (readonly [end: RegExp, place: Place])[] = [
  [/Expression$|^GeoDistance$/, expression],
  [/Query$/, inQuery],
  [/Operation$/, operation],
  [/Condition$/, condition],
  [/^Match/, field('match')],
];

/** Kept as they are, with all that is in them: they name no points, no collection and no field that is written. */
const KEPT: Readonly<Record<string, string>> = {
  Bm25Config: 'options of a model',
  DisabledStemmerParams: 'options of a model',
  SnowballParams: 'options of a model',
  StopwordsSet: 'options of a model',
  PayloadSelectorExclude: 'what the answer shows',
  PayloadSelectorInclude: 'what the answer shows',
  ShardKeyWithFallback: 'a shard key',
};

const placesOf = (schema: string): readonly Place[] =>
  PLACES[schema] ?? KINDS.filter(([end]) => end.test(schema)).map(([, place]) => place);

const unknown = (name: string): string => `unknown field \`${name}\``;

t.test('every field of every schema has an action, and no other', async (t) => {
  for (const [schema, names] of Object.entries(FIELDS)) {
    if (KEPT[schema] !== undefined) continue;
    const places = placesOf(schema);
    t.ok(places.length > 0, `${schema} has a place`);
    for (const [row, body] of places) {
      for (const name of names) {
        const said = made(row, body(`"${name}":null`));
        t.notOk(typeof said === 'string' && said.includes(unknown(name)), `${row}: ${schema}.${name}`);
      }
      const odd = made(row, body('"odd":null'));
      t.ok(typeof odd === 'string' && odd.includes(unknown('odd')), `${row}: ${schema} has no other field`);
    }
  }
});

t.test('no place is left over', async (t) => {
  t.strictSame(
    [...Object.keys(PLACES), ...Object.keys(KEPT)].filter((schema) => FIELDS[schema] === undefined),
    [],
  );
});
