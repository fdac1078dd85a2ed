import type { PayloadField } from '../../policy/tenants/payload-path.ts';
import type { AnswerChange, PointId } from '../../policy/tenants/rewriting.ts';
import { uuidOf } from '../../policy/tenants/uuid.ts';
import { type Field, malformed, readFields, readText, WireType } from '../message/wire.ts';
import { answerWithout, pointWithout } from './hide/shapes.ts';
import { WireCopy } from './hide/wire-copy.ts';
import { decode, encode } from './messages/codec.ts';

/** A change of an answer that holds points. Plain data: it may be made in another thread. */
export interface AnswerTask {
  /** Of the request that was sent. */
  readonly path: string;
  readonly change: Exclude<AnswerChange, { readonly kind: 'collection' }>;
}

/** Makes the change. Throws a `WireFault` if the message is not such an answer. */
export function runAnswerTask({ path, change }: AnswerTask, message: Buffer): Buffer {
  return change.kind === 'hide' ? hideFields(path, message, change.fields) : retrieved(message, change);
}

/**
 * Removes fields from all payloads of an answer, and copies everything else byte for byte. Answers without payloads stay. On the way to a
 * hidden field, values of a form that is not known are left out.
 */
export function hideFields(path: string, message: Buffer, fields: readonly PayloadField[]): Buffer {
  const shape = answerWithout(path, fields);
  if (!shape) return message;
  const copy = new WireCopy(message);
  copy.content(0, message.length, shape);
  return copy.written;
}

/** Tags of one byte: fields of `GetResponse`. */
const GET = { result: 0x0a, time: 0x11, usage: 0x1a } as const;

/** The answer of a scroll as that of retrieving ids: in the order asked, each point once, missing ones left out. */
export function retrieved(message: Buffer, change: Extract<AnswerChange, { kind: 'retrieved' }>): Buffer {
  const { points, time, usage } = scrollOf(message);
  const shape = pointWithout(change.fields);
  const copy = new WireCopy(message);
  for (const id of change.ids) {
    const field = points.get(id);
    if (!field) continue;
    points.delete(id);
    copy.field(GET.result, field.raw.byteOffset - message.byteOffset + TAG_BYTES, shape);
  }
  for (const [tag, field] of [
    [GET.time, time],
    [GET.usage, usage],
  ] as const) {
    if (!field) continue;
    const start = field.raw.byteOffset - message.byteOffset;
    copy.value(tag, start + TAG_BYTES, start + field.raw.length);
  }
  return copy.written;
}

/** Of the tags of `ScrollResponse`. A longer form of the same number is refused. */
const TAG_BYTES = 1;

interface ScrollFields {
  readonly points: Map<PointId, Field>;
  readonly time: Field | undefined;
  readonly usage: Field | undefined;
}

/** Upstream: `ScrollResponse{next_page_offset = 1, result = 2, time = 3, usage = 4}` (Qdrant v1.19.0). */
function scrollOf(message: Buffer): ScrollFields {
  const points = new Map<PointId, Field>();
  let time: Field | undefined;
  let usage: Field | undefined;
  for (const field of readFields(message)) {
    const { number, type, raw } = field;
    if (number < 2 || number > 4) continue;
    const wanted = number === 3 ? WireType.fixed64 : WireType.bytes;
    if (type !== wanted || (raw[0] ?? 0) >= 0x80) throw malformed('wrong form of a known field');
    if (number === 2) points.set(pointId(field.value), field);
    else if (number === 3) time = field;
    else usage = field;
  }
  return { points, time, usage };
}

/** The id of a point: `RetrievedPoint{id = 1}`, `PointId{num = 1, uuid = 2}`. */
function pointId(point: Buffer): PointId {
  let id: PointId | undefined;
  for (const field of readFields(point)) {
    if (field.number !== 1) continue;
    if (field.type !== WireType.bytes) throw malformed('wrong wire type of a known field');
    for (const part of readFields(field.value)) id = idPart(part) ?? id;
    break;
  }
  if (id === undefined) throw malformed('a point has no id');
  return id;
}

function idPart({ number, type, value }: Field): PointId | undefined {
  if (number === 1 && type === WireType.varint) {
    let id = 0n;
    for (let at = value.length - 1; at >= 0; at--) id = (id << 7n) | BigInt((value[at] ?? 0) & 0x7f);
    return BigInt.asUintN(64, id);
  }
  const uuid = number === 2 && type === WireType.bytes ? uuidOf(readText(value)) : undefined;
  if (uuid === undefined) throw malformed('the id of a point has another form');
  return uuid;
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
export function idsOf(message: Buffer): ReadonlyMap<PointId, unknown> {
  return scrollOf(message).points;
}
