import { type Body, type Collections, Refused } from '../collections.ts';
import { readMessage, writeMessage } from './form.ts';
import { floatsOf, idMessage, idOf, payloadMessage, payloadOf } from './values.ts';

type Answer = (all: Collections, request: Body, release: string) => Body;
type Method = readonly [request: string, response: string, answer: Answer];

/** Numbers of Qdrant's enum `Distance`. */
const DISTANCES = ['Unknown', 'Cosine', 'Euclid', 'Dot', 'Manhattan'];
/** Numbers of `CollectionStatus.Green`, `UpdateStatus.Completed` and `ServingStatus.SERVING`. */
const [GREEN, COMPLETED, SERVING] = [1, 2, 1];

const nameOf = ({ collection_name: name }: Body): string => String(name ?? '');
const enabled = (selector: unknown): boolean | undefined =>
  selector === undefined ? undefined : Object(selector).enable === true;

const METHODS: Readonly<Record<string, Method>> = {
  '/qdrant.Qdrant/HealthCheck': [
    ...(['Empty', 'HealthCheckReply'] as const),
    (_all, _request, version) => ({ title: 'qdrant - vector search engine', version, commit: 'demo' }),
  ],
  '/grpc.health.v1.Health/Check': ['HealthCheckRequest', 'HealthCheckResponse', () => ({ status: SERVING })],
  '/qdrant.Collections/List': [
    ...(['Empty', 'ListCollectionsResponse'] as const),
    (all) => ({ collections: all.names().map((name) => ({ name })) }),
  ],
  '/qdrant.Collections/Get': ['OfCollection', 'GetCollectionInfoResponse', infoOf],
  '/qdrant.Collections/CollectionExists': [
    ...(['OfCollection', 'CollectionExistsResponse'] as const),
    (all, request) => ({ result: { exists: all.has(nameOf(request)) } }),
  ],
  '/qdrant.Collections/Create': ['CreateCollection', 'CollectionOperationResponse', create],
  '/qdrant.Collections/Delete': [
    ...(['OfCollection', 'CollectionOperationResponse'] as const),
    (all, request) => ({ result: all.delete(nameOf(request)) }),
  ],
  '/qdrant.Points/Upsert': ['UpsertPoints', 'PointsOperationResponse', upsert],
  '/qdrant.Points/Delete': ['DeletePoints', 'PointsOperationResponse', remove],
  '/qdrant.Points/Get': [
    ...(['GetPoints', 'GetResponse'] as const),
    (all, request) => ({
      result: all.retrieve(nameOf(request), { ids: listOf(request.ids).map(idOf), ...shownBy(request) }).map(pointOf),
    }),
  ],
  '/qdrant.Points/Scroll': [
    ...(['ScrollPoints', 'ScrollResponse'] as const),
    (all, request) => ({
      result: all.scroll(nameOf(request), { limit: request.limit, ...shownBy(request) }).map(pointOf),
    }),
  ],
  '/qdrant.Points/Query': ['QueryPoints', 'QueryResponse', query],
  '/qdrant.Points/Search': [
    ...(['SearchPoints', 'QueryResponse'] as const),
    (all, request) => found(all, request, request.vector),
  ],
  '/qdrant.Points/Count': [
    ...(['CountPoints', 'CountResponse'] as const),
    (all, request) => ({ result: { count: all.count(nameOf(request), {}) } }),
  ],
};

const listOf = (value: unknown): readonly Body[] => (Array.isArray(value) ? value : []);

/** The answer of a method to a message. Throws `Refused`; status 501 for a method that the stand-in does not have. */
export function answerCall(path: string, message: Uint8Array, all: Collections, release: string): Uint8Array {
  const method = Object.hasOwn(METHODS, path) ? METHODS[path] : undefined;
  if (!method) throw new Refused(501, `the demo has no ${path}: its stand-in knows collections, points and search`);
  const [request, response, answer] = method;
  return writeMessage(response, { time: 0, ...answer(all, readMessage(request, message), release) });
}

function create(all: Collections, request: Body): Body {
  const { size, distance } = Object(Object(request.vectors_config).params);
  return { result: all.create(nameOf(request), { vectors: { size, distance: DISTANCES[distance ?? 0] } }) };
}

function infoOf(all: Collections, request: Body): Body {
  const info = all.info(nameOf(request));
  const config: Body = Object(info.config);
  const params: Body = Object(config.params);
  const { size, distance }: Body = Object(params.vectors);
  const vectors = { params: { size, distance: DISTANCES.indexOf(String(distance)) } };
  const shown = { ...config, params: { ...params, vectors_config: vectors } };
  return { result: { ...info, status: GREEN, optimizer_status: { ok: true }, config: shown } };
}

function upsert(all: Collections, request: Body): Body {
  const points = listOf(request.points).map(({ id, payload, vectors }) => ({
    id: idOf(id),
    payload: payloadOf(payload),
    vector: floatsOf(Object(vectors).vector),
  }));
  return done(all.upsert(nameOf(request), { points }));
}

function remove(all: Collections, request: Body): Body {
  const ids = listOf(Object(Object(request.points).points).ids);
  return done(all.remove(nameOf(request), { points: ids.map(idOf) }));
}

const done = ({ operation_id }: Body): Body => ({ result: { operation_id, status: COMPLETED } });

function query(all: Collections, request: Body): Body {
  const { id, dense } = Object(Object(request.query).nearest);
  return found(all, request, id === undefined ? Object(dense).data : idOf(id));
}

function found(all: Collections, request: Body, target: unknown): Body {
  const hits = all.query(nameOf(request), { query: target, limit: request.limit, ...shownBy(request) });
  return { result: hits.map((hit) => ({ ...pointOf(hit), score: hit.score, version: hit.version })) };
}

function shownBy({ with_payload, with_vectors }: Body): Body {
  return { with_payload: enabled(with_payload), with_vector: enabled(with_vectors) };
}

function pointOf({ id, payload, vector }: Body): Body {
  return {
    id: idMessage(id),
    ...(payload === undefined ? {} : { payload: payloadMessage(Object(payload)) }),
    ...(vector === undefined ? {} : { vectors: { vector: { data: vector, dense: { data: vector } } } }),
  };
}
