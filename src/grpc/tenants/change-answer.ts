import type { PayloadField } from '../../policy/tenants/payload-path.ts';
import type { AnswerChange, PointId } from '../../policy/tenants/rewriting.ts';
import type { IdMessage } from './filters.ts';
import { idOf } from './ids.ts';
import { decode, encode, make } from './messages/codec.ts';
import { type Entry, withoutField } from './values.ts';

interface Point {
  readonly id?: IdMessage;
  payload: Entry[];
}

interface PointsAnswer {
  readonly result: readonly Point[];
}

/** The answers whose points have payloads, by the path of the request, and their points. */
const POINTS: Readonly<Record<string, readonly [type: string, points: (answer: object) => readonly Point[]]>> = {
  '/qdrant.Points/Search': ['SearchResponse', single],
  '/qdrant.Points/Recommend': ['SearchResponse', single],
  '/qdrant.Points/Discover': ['SearchResponse', single],
  '/qdrant.Points/Query': ['SearchResponse', single],
  '/qdrant.Points/Scroll': ['ScrollResponse', single],
  '/qdrant.Points/SearchBatch': ['SearchBatchResponse', batch],
  '/qdrant.Points/RecommendBatch': ['SearchBatchResponse', batch],
  '/qdrant.Points/DiscoverBatch': ['SearchBatchResponse', batch],
  '/qdrant.Points/QueryBatch': ['SearchBatchResponse', batch],
  '/qdrant.Points/SearchGroups': ['SearchGroupsResponse', groups],
  '/qdrant.Points/RecommendGroups': ['SearchGroupsResponse', groups],
  '/qdrant.Points/QueryGroups': ['SearchGroupsResponse', groups],
};

function single(answer: object): readonly Point[] {
  return (answer as PointsAnswer).result;
}

function batch(answer: object): readonly Point[] {
  return (answer as { result: readonly PointsAnswer[] }).result.flatMap(({ result }) => result);
}

function groups(answer: object): readonly Point[] {
  const found = (answer as { result?: { groups: readonly { hits: readonly Point[] }[] } }).result;
  return (found?.groups ?? []).flatMap(({ hits }) => hits);
}

/** Removes fields from all payloads of an answer. Answers without payloads stay. */
export function hideFields(path: string, message: Buffer, fields: readonly PayloadField[]): Buffer {
  const known = POINTS[path];
  if (!known) return message;
  const [type, pointsOf] = known;
  const answer = decode<object>(type, message);
  for (const point of pointsOf(answer)) hide(point, fields);
  return encode(type, answer);
}

function hide(point: Point, fields: readonly PayloadField[]): void {
  for (const field of fields) {
    point.payload = withoutField(point.payload, field).map((entry) => make<Entry>('ValueEntry', entry));
  }
}

/** The answer of a scroll as that of retrieving ids: in the order asked, each point once, missing ones left out. */
export function retrieved(message: Buffer, change: Extract<AnswerChange, { kind: 'retrieved' }>): Buffer {
  const { result, time, usage } = decode<PointsAnswer & { time: number; usage?: Uint8Array }>(
    'ScrollResponse',
    message,
  );
  const byId = new Map<PointId, Point>(result.map((point) => [idOf(point.id, 'id'), point]));
  const found = change.ids.flatMap((id) => byId.get(id) ?? []);
  for (const point of found) hide(point, change.fields);
  return encode('GetResponse', make('GetResponse', { result: found, time, usage }));
}

/** Fields that the table does not have are those of all tenants, or of a later release: they go. */
interface WithUnknown {
  $unknown?: unknown;
}

interface Information extends WithUnknown {
  segmentsCount: bigint;
  pointsCount?: bigint;
  optimizerStatus?: WithUnknown;
  readonly payloadSchema: readonly { readonly value?: WithUnknown }[];
}

/** The information on a collection with the tenant's number of points, and without any other number. */
export function information(message: Buffer, count: bigint): Buffer {
  const answer = decode<WithUnknown & { result?: Information }>('CollectionInfoResponse', message);
  const { result } = answer;
  if (result) {
    delete result.$unknown;
    if (result.optimizerStatus) delete result.optimizerStatus.$unknown;
    for (const { value } of result.payloadSchema) if (value) delete value.$unknown;
    result.segmentsCount = 1n;
    result.pointsCount = count;
  }
  return encode('CollectionInfoResponse', answer);
}

/** The number in the answer of a count; `undefined` = it has none. */
export function countOf(message: Buffer): bigint | undefined {
  return decode<{ result?: { count: bigint } }>('CountResponse', message).result?.count;
}

/** The ids in the answer of a scroll. */
export function idsOf(message: Buffer): ReadonlySet<PointId> {
  return new Set(decode<PointsAnswer>('ScrollResponse', message).result.map(({ id }) => idOf(id, 'id')));
}
