import { COLLECTION_FIELD, field, queryBody, upsertBody, upsertPoints } from './messages.ts';

/*
 * What the nesting guard reads: the query whose cost is compared, and large bodies of every kind it meets. Field numbers
 * are those of Qdrant's points.proto.
 */

const MIB = 1_048_576;
const LARGE = 4 * MIB;
/** Levels of the bodies that nest as deep as is allowed, or nearly. */
const JSON_LEVELS = 60;
const MESSAGE_LEVELS = 90;

/** `Condition { field: { key: "city", match: { keyword: "Berlin" } } }` */
const CITY = field(1, Buffer.concat([field(1, Buffer.from('city')), field(2, field(1, Buffer.from('Berlin')))]));

function floats(dimensions: number): Buffer {
  const data = Buffer.alloc(dimensions * 4);
  for (let index = 0; index < dimensions; index++) data.writeFloatLE(Math.sin(index) / 2, index * 4);
  return data;
}

/** `QueryPoints` of about one KiB: what `queryBody` asks for, with more numbers in the vector. */
export function queryPoints(): Buffer {
  // Condition { filter: { must_not: [{ is_empty: { key: "tags" } }] } }
  const noTags = field(4, field(3, field(2, field(1, Buffer.from('tags')))));
  // Filter { must: [{ filter: { should: [...] } }] }
  const filter = field(2, field(4, Buffer.concat([field(1, CITY), field(1, noTags)])));
  // limit: 10, with_payload: { enable: true }
  const rest = Buffer.concat([field(5, filter), Buffer.from([0x40, 10]), field(11, Buffer.from([8, 1]))]);
  // Query { nearest: { dense: { data } } }
  const queryOf = (dimensions: number): Buffer =>
    Buffer.concat([COLLECTION_FIELD, field(3, field(1, field(2, field(1, floats(dimensions))))), rest]);
  let dimensions = 1;
  while (queryOf(dimensions + 1).length <= queryBody().length) dimensions += 1;
  return queryOf(dimensions);
}

/** As many of `unit` as fit, each behind the other. */
const many = (unit: Buffer): Buffer =>
  Buffer.concat(Array.from({ length: Math.floor(LARGE / unit.length) }, () => unit));

/** A JSON list of as many `item` as fit. */
function list(item: string): Buffer {
  const items = `${item},`.repeat(Math.floor(LARGE / (item.length + 1)));
  return Buffer.from(`{"list":[${items.slice(0, -1)}]}`, 'latin1');
}

/** `PointStruct` with an id and payload: two texts, and a struct with a text in it. */
function pointWithPayload(): Buffer {
  const entry = (key: string, value: Buffer): Buffer => Buffer.concat([field(1, Buffer.from(key)), field(2, value)]);
  const text = (value: string): Buffer => field(4, Buffer.from(value));
  const inner = field(6, field(1, entry('street', text('Unter den Linden'))));
  const payload = [entry('city', text('Berlin')), entry('country', text('DE')), entry('address', inner)];
  return Buffer.concat([field(1, Buffer.from([8, 1])), ...payload.map((one) => field(3, one))]);
}

/** `Filter { must: [{ filter: { must: ... } }] }`, a condition innermost. */
function deepFilter(): Buffer {
  let condition = CITY;
  for (let level = 2; level < MESSAGE_LEVELS; level += 2) condition = field(4, field(2, condition));
  return field(2, condition);
}

/** JSON texts of about 4 MiB. */
export function largeTexts(): Readonly<Record<string, Buffer>> {
  return {
    vectors: upsertBody(LARGE),
    'short strings': list('"a","city","Berlin","n\\u00e4her","\\"x\\""'),
    payload: list('{"id":1,"payload":{"city":"Berlin","tags":["a","b"],"address":{"street":"Unter den Linden"}}}'),
    '60 levels deep': list('{"must":['.repeat(JSON_LEVELS / 2) + ']}'.repeat(JSON_LEVELS / 2)),
  };
}

/** Messages of about 4 MiB with the method they go to. */
export function largeMessages(): Readonly<Record<string, { readonly path: string; readonly message: Buffer }>> {
  const upsert = (points: Buffer): Buffer => Buffer.concat([COLLECTION_FIELD, points]);
  const query = (content: Buffer): Buffer => Buffer.concat([COLLECTION_FIELD, field(5, content)]);
  return {
    vectors: { path: '/qdrant.Points/Upsert', message: upsertPoints(LARGE / MIB) },
    conditions: { path: '/qdrant.Points/Query', message: query(many(field(2, CITY))) },
    payload: { path: '/qdrant.Points/Upsert', message: upsert(many(field(3, pointWithPayload()))) },
    '90 levels deep': { path: '/qdrant.Points/Query', message: query(many(deepFilter())) },
  };
}
