import { type Body, Refused } from '../collections.ts';

/** An id in the form of REST: a number or a text. */
export function idOf(message: unknown): number | string {
  const { num, uuid } = Object(message);
  const id = uuid ?? num ?? 0;
  if (typeof id !== 'number' && typeof id !== 'string') throw new Refused(400, 'a point has an id');
  return id;
}

/** An id as a message. */
export const idMessage = (id: unknown): Body => (typeof id === 'string' ? { uuid: id } : { num: id });

/** A payload as JSON. */
export function payloadOf(entries: unknown): Body {
  const list = Array.isArray(entries) ? entries : [];
  return Object.fromEntries(list.map(({ key = '', value = {} }) => [key, jsonOf(value)]));
}

function jsonOf(value: Body): unknown {
  if (value.struct_value !== undefined) return payloadOf(Object(value.struct_value).fields);
  if (value.list_value !== undefined) return (Object(value.list_value).values ?? []).map(jsonOf);
  return value.string_value ?? value.integer_value ?? value.double_value ?? value.bool_value ?? null;
}

/** A payload as entries of a message. */
export function payloadMessage(payload: object): readonly Body[] {
  return Object.entries(payload).map(([key, value]) => ({ key, value: valueMessage(value) }));
}

function valueMessage(value: unknown): Body {
  if (value === null || value === undefined) return { null_value: 0 };
  if (typeof value === 'string') return { string_value: value };
  if (typeof value === 'boolean') return { bool_value: value };
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { integer_value: value } : { double_value: value };
  if (Array.isArray(value)) return { list_value: { values: value.map(valueMessage) } };
  return { struct_value: { fields: payloadMessage(Object(value)) } };
}

/** The numbers of a vector of a point, or of a query. Absent, it is `undefined`, which the collection refuses. */
export function floatsOf(vector: unknown): unknown {
  const { data, dense } = Object(vector);
  return dense === undefined ? data : (Object(dense).data ?? []);
}
