import { type JsonNode, JsonObject, listNode, NULL_NODE, textNode } from '../../json/tree.ts';
import type { PointId } from '../../policy/tenants/rewriting.ts';
import { idOfText, readPointId } from './point-id.ts';
import type { TenantReading } from './reading.ts';

/*
 * The forms of request bodies: tables from field to action. A field without an action is refused, so one of a later release is not
 * sent until it has got one.
 */

/** Reads the next value and gives the one to be sent in its place. */
export type Action = (reading: TenantReading) => JsonNode;

/** Fields by name. `as` = another name of a field. */
export type Fields = Readonly<Record<string, Action | { readonly as: string }>>;

/** Work on an object, as `TenantReading` counts it. */
export const OBJECT_WORK = 4;

/** Looks at an object whose members have been read, and changes it. */
export type Finish = (reading: TenantReading, node: JsonObject) => void;

interface Field {
  readonly name: string;
  readonly action: Action;
}

/** The value as it stands: nothing in it can name a point, a collection or a field of a tenant. */
export const keep: Action = ({ reader }) => {
  const { start, end } = reader.skipValue();
  return { kind: 'source', start, end };
};

/** The same of vectors, whose numbers are left to upstream to read. */
export const keepVectors: Action = ({ reader }) => {
  const { start, end } = reader.skipVectors();
  return { kind: 'source', start, end };
};

/** An object with these fields, each at most once. Upstream takes a struct as an array of its fields, too; that is refused here. */
export function object(fields: Fields, finish?: Finish): Action {
  const known = membersOf(fields);
  return (reading) => {
    const node = readMembers(reading, known);
    finish?.(reading, node);
    return node;
  };
}

/** The members of a table, with their other names. */
export function membersOf(fields: Fields): ReadonlyMap<string, Field> {
  const known = new Map<string, Field>();
  for (const [name, action] of Object.entries(fields)) {
    if (typeof action === 'function') known.set(name, { name, action });
  }
  for (const [name, other] of Object.entries(fields)) {
    const meant = typeof other === 'function' ? undefined : known.get(other.as);
    if (meant) known.set(name, meant);
  }
  return known;
}

/** Reads an object with these members, each at most once. */
export function readMembers(reading: TenantReading, known: ReadonlyMap<string, Field>): JsonObject {
  const { reader } = reading;
  const kind = reader.peek();
  if (kind !== 'object') throw reading.fault(`invalid type: ${kind}, expected an object`);
  reading.spend(OBJECT_WORK);
  const node = new JsonObject();
  reader.readObject((key) => {
    const field = known.get(key);
    if (!field) throw reading.fault(`unknown field \`${key}\``);
    if (node.has(field.name)) throw reading.fault(`duplicate field \`${field.name}\``);
    node.set(field.name, field.action(reading));
  });
  return node;
}

/** Null, or what `action` reads. */
export function orNull(action: Action): Action {
  return (reading) => {
    if (reading.reader.peek() !== 'null') return action(reading);
    reading.reader.readNull();
    return NULL_NODE;
  };
}

/** Beyond a few, each item is written as soon as it has been read, so that a body of many small ones takes no more memory than its bytes. */
export function list(item: Action, size?: 'large'): Action {
  return (reading) => {
    const items: JsonNode[] = [];
    let writer = size && reading.largeWriter();
    reading.reader.readArray(() => {
      reading.spend(1);
      const node = item(reading);
      if (items.length < FEW_ITEMS && !writer) items.push(node);
      else {
        writer ??= reading.writer();
        writer.item(node);
      }
    });
    return listNode(items, writer?.written());
  };
}

/** A list of so many is kept as it is: a writer costs more. */
const FEW_ITEMS = 8;

/** Null, one, or a list. */
export function oneOrMany(item: Action): Action {
  const many = list(item);
  return orNull((reading) => (reading.reader.peek() === 'array' ? many(reading) : item(reading)));
}

/** A string, or what `action` reads. */
export function orString(action: Action): Action {
  return (reading) => (reading.reader.peek() === 'string' ? keep(reading) : action(reading));
}

/** A number, true, false or null: no string, array or object. */
export const plain: Action = (reading) => {
  const kind = reading.reader.peek();
  if (kind === 'object' || kind === 'array' || kind === 'string') throw reading.fault(`invalid type: ${kind}`);
  return keep(reading);
};

/** A string. */
export const string: Action = (reading) => {
  const kind = reading.reader.peek();
  if (kind !== 'string') throw reading.fault(`invalid type: ${kind}, expected a string`);
  return keep(reading);
};

/** A string or null. */
export const text: Action = (reading) => (reading.reader.peek() === 'null' ? keep(reading) : string(reading));

/** An object or null, as it stands. */
export const objectOrNull: Action = (reading) => {
  const kind = reading.reader.peek();
  if (kind !== 'object' && kind !== 'null') throw reading.fault(`invalid type: ${kind}, expected an object`);
  return keep(reading);
};

/** A point id, which is told to `use`. Written in one form. */
export function pointId(use: (reading: TenantReading, id: PointId) => void): Action {
  return (reading) => {
    const id = readPointId(reading);
    use(reading, idOfText(id));
    return textNode(id);
  };
}

/**
 * A list of numbers, or of lists of numbers: other arrays can be read as a struct. It has nothing but what numbers are made of;
 * upstream reads the numbers.
 */
export const numbers: Action = (reading) => {
  const { reader } = reading;
  const kind = reader.peek();
  if (kind !== 'array') throw reading.fault(`invalid type: ${kind}, expected a vector`);
  const span = reader.skipNumbers();
  if (span) return { kind: 'source', start: span.start, end: span.end };
  // Says where it is no JSON.
  reader.skipValue();
  throw reading.fault('invalid type: expected numbers, or lists of numbers');
};
