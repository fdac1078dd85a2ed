import { decode, encode, make } from '../../../src/grpc/tenants/messages/codec.ts';
import type { Entry } from '../../../src/grpc/tenants/values.ts';
import type { PayloadField } from '../../../src/policy/tenants/payload-path.ts';

/* Answers without hidden fields, by decoding and encoding all of them: slow, and simple enough to tell what is right. */

interface Point {
  readonly id?: { readonly pointIdOptions: { readonly value?: unknown } };
  payload: Entry[];
}

interface ValueMessage {
  readonly kind: { readonly case: string | undefined; readonly value?: unknown };
}

/** The points of an answer of this type. */
function pointsOf(type: string, answer: object): readonly Point[] {
  const { result } = answer as { result: unknown };
  if (type === 'SearchBatchResponse') return (result as { result: Point[] }[]).flatMap((each) => each.result);
  if (type !== 'SearchGroupsResponse') return result as Point[];
  return ((result as { groups: { hits: Point[] }[] } | undefined)?.groups ?? []).flatMap(({ hits }) => hits);
}

/** The answer of this type without the fields. */
export function hiddenByDecoding(type: string, message: Buffer, fields: readonly PayloadField[]): Buffer {
  const answer = decode<object>(type, message);
  for (const point of pointsOf(type, answer)) hide(point, fields);
  return encode(type, answer);
}

/** The answer of a scroll as that of retrieving these ids. */
export function retrievedByDecoding(message: Buffer, ids: readonly unknown[], fields: readonly PayloadField[]): Buffer {
  const scroll = decode<{ result: Point[]; time: number; usage?: Uint8Array }>('ScrollResponse', message);
  const byId = new Map(scroll.result.map((point) => [point.id?.pointIdOptions.value, point]));
  const result = ids.flatMap((id) => byId.get(id) ?? []);
  for (const point of result) hide(point, fields);
  return encode('GetResponse', make('GetResponse', { result, time: scroll.time, usage: scroll.usage }));
}

function hide(point: Point, fields: readonly PayloadField[]): void {
  for (const field of fields) point.payload = entries(withoutField(point.payload, field));
}

function entries(all: readonly Entry[]): Entry[] {
  return all.map((entry) => make<Entry>('ValueEntry', entry));
}

function withoutField(all: readonly Entry[], [first = '', ...more]: PayloadField): Entry[] {
  if (more.length === 0) return all.filter(({ key }) => key !== first);
  return all.map((entry) => {
    if (entry.key !== first) return entry;
    const value = decode<ValueMessage>('Value', entry.value ?? Buffer.alloc(0));
    const left = valueWithout(value, more);
    return left === value ? entry : { ...entry, value: encode('Value', left) };
  });
}

function valueWithout(value: ValueMessage, field: PayloadField): ValueMessage {
  const { kind } = value;
  if (kind.case === 'structValue') {
    const fields = entries(withoutField((kind.value as { fields: Entry[] }).fields, field));
    return make<ValueMessage>('Value', { kind: { case: 'structValue', value: { fields } } });
  }
  if (kind.case !== 'listValue') return value;
  const values = (kind.value as { values: ValueMessage[] }).values.map((each) => valueWithout(each, field));
  return make<ValueMessage>('Value', { kind: { case: 'listValue', value: { values } } });
}
