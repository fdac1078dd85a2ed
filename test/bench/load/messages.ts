/*
 * What is sent and answered: bodies and messages, made once. Vectors are of 128 numbers, as small embeddings are.
 */

/** The collection every request names. */
export const COLLECTION = 'bench';

/** Bytes of a small answer: the REST body, or the gRPC message without its prefix of five. */
export const SMALL_ANSWER = 1024;

/** A large REST answer: what asks for it, and its bytes. */
export type LargeAnswer = { readonly line: string; readonly bytes: number };

/** Every other request is answered with `SMALL_ANSWER` bytes. */
export const LARGE_ANSWER: LargeAnswer = { line: `GET /collections/${COLLECTION}/points/1`, bytes: 65_536 };
export const HUGE_ANSWER: LargeAnswer = { line: `GET /collections/${COLLECTION}/points/2`, bytes: 4_194_304 };

const MIB = 1_048_576;
const DIMENSIONS = 128;

const numberAt = (index: number): number => Math.sin(index) / 2;

const jsonVector = (id: number): string =>
  Array.from({ length: DIMENSIONS }, (_, index) => numberAt(id + index).toFixed(6)).join(',');

/** A JSON body of exactly so many bytes: points with a vector and a payload, the last payload padded. */
export function upsertBody(bytes: number): Buffer {
  const points: string[] = [];
  const frame = '{"points":[]}'.length;
  let size = frame;
  for (let id = 1; ; id++) {
    const point = `{"id":${id},"vector":[${jsonVector(id)}],"payload":{"city":"Berlin","tags":["a","b"],"pad":""}}`;
    if (size + point.length + 1 > bytes) break;
    points.push(point);
    size += point.length + (id === 1 ? 0 : 1);
  }
  const last = points.pop() ?? '';
  points.push(last.replace('"pad":""', `"pad":"${'x'.repeat(bytes - size)}"`));
  return Buffer.from(`{"points":[${points.join(',')}]}`, 'latin1');
}

/** A query of about one KiB: a vector, a filter three levels deep. */
export function queryBody(): Buffer {
  const vector = Array.from({ length: 96 }, (_, index) => Number(numberAt(index).toFixed(4)));
  const should = [{ key: 'city', match: { value: 'Berlin' } }, { must_not: [{ is_empty: { key: 'tags' } }] }];
  const body = { query: vector, limit: 10, with_payload: true, filter: { must: [{ should }], must_not: [] }, pad: '' };
  const missing = 1024 - JSON.stringify(body).length;
  return Buffer.from(JSON.stringify({ ...body, pad: 'x'.repeat(Math.max(0, missing)) }), 'latin1');
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** A length-delimited protobuf field, of a number below 16. */
export const field = (number: number, content: Buffer): Buffer =>
  Buffer.concat([Buffer.from([(number << 3) | 2]), varint(content.length), content]);

/** `collection_name`, the first field of every message. */
export const COLLECTION_FIELD = field(1, Buffer.from(COLLECTION, 'latin1'));

/** `GetPoints { collection_name, ids: [{ num: 1 }], with_payload: { enable: true } }` of Qdrant's points.proto. */
export function getPoints(): Buffer {
  return Buffer.concat([COLLECTION_FIELD, field(2, Buffer.from([8, 1])), field(4, Buffer.from([8, 1]))]);
}

/** `PointStruct { id: { num }, vectors: { vector: { data } } }` */
function pointStruct(id: number): Buffer {
  const data = Buffer.alloc(DIMENSIONS * 4);
  for (let index = 0; index < DIMENSIONS; index++) data.writeFloatLE(numberAt(id + index), index * 4);
  const vectors = field(1, field(1, data));
  return Buffer.concat([field(1, Buffer.concat([Buffer.from([8]), varint(id)])), field(4, vectors)]);
}

/** `UpsertPoints { collection_name, points }` of at most so many MiB, short of it by less than one point. */
export function upsertPoints(mebibytes: number): Buffer {
  const parts = [COLLECTION_FIELD];
  let size = COLLECTION_FIELD.length;
  for (let id = 1; ; id++) {
    const point = field(3, pointStruct(id));
    if (size + point.length > mebibytes * MIB) return Buffer.concat(parts);
    parts.push(point);
    size += point.length;
  }
}
