import type { JsonReader } from '../../json/reader.ts';

/** Which of its parts a request body may use to name other collections. */
export interface BodyShape {
  /** `lookup_from`: vectors of points in another collection. */
  readonly lookup: boolean;
  /** `prefetch`, each with a `lookup_from` and prefetches of its own. */
  readonly prefetch: boolean;
  /** `with_lookup`: groups joined with records of another collection. */
  readonly groups: boolean;
}

/** Valid JSON, but not in a form whose names the gateway reads. */
export class ShapeFault extends Error {
  override readonly name = 'ShapeFault';
  /** Bytes from the start of the body. */
  readonly offset: number;

  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/**
 * The names in one request object, in checking order: `lookup_from`, then prefetches depth-first, then `with_lookup`,
 * wherever the keys stand. Throws a `ShapeFault` or the reader's `JsonFault`.
 *
 * INVARIANT: everything that can hold a name is either read or refused. Upstream takes a struct as an array of its
 * fields, too; those forms are refused here.
 *
 * @param depth how many levels of prefetches may still follow
 */
export function readRequest(reader: JsonReader, shape: BodyShape, depth: number): readonly string[] {
  let lookup: string | null | undefined;
  let prefetch: readonly string[] | undefined;
  let withLookup: string | null | undefined;
  expectObject(reader, 'a request');
  reader.readObject((key) => {
    if (key === 'lookup_from' && shape.lookup) {
      once(reader, key, lookup);
      lookup = readLookup(reader, key);
    } else if (key === 'prefetch' && shape.prefetch) {
      once(reader, key, prefetch);
      prefetch = readPrefetch(reader, depth);
    } else if (key === 'with_lookup' && shape.groups) {
      once(reader, key, withLookup);
      withLookup = reader.peek() === 'string' ? reader.readString() : readLookup(reader, key);
    } else {
      reader.skipValue();
    }
  });
  const names: string[] = typeof lookup === 'string' ? [lookup] : [];
  for (const name of prefetch ?? []) names.push(name);
  if (typeof withLookup === 'string') names.push(withLookup);
  return names;
}

/** The names in a batch `{"searches":[...]}`, in element order. */
export function readBatch(reader: JsonReader, shape: BodyShape, depth: number): readonly string[] {
  let names: string[] | undefined;
  expectObject(reader, 'a batch');
  reader.readObject((key) => {
    if (key !== 'searches') {
      reader.skipValue();
      return;
    }
    once(reader, key, names);
    const found: string[] = [];
    names = found;
    reader.readArray(() => {
      for (const name of readRequest(reader, shape, depth)) found.push(name);
    });
  });
  if (names === undefined) throw new ShapeFault('missing field `searches`', reader.position);
  return names;
}

/** A prefetch has what a query has, but for groups. */
const PREFETCH: BodyShape = { lookup: true, prefetch: true, groups: false };

/** Null, one object, or an array of objects. */
function readPrefetch(reader: JsonReader, depth: number): readonly string[] {
  const kind = reader.peek();
  if (kind === 'null') {
    reader.readNull();
    return [];
  }
  if (depth === 0) throw new ShapeFault('prefetches are nested too deep', reader.position);
  if (kind !== 'array') return readRequest(reader, PREFETCH, depth - 1);
  const names: string[] = [];
  reader.readArray(() => {
    for (const name of readRequest(reader, PREFETCH, depth - 1)) names.push(name);
  });
  return names;
}

/** Null, or an object with the string `collection`. */
export function readLookup(reader: JsonReader, place: string): string | null {
  if (reader.peek() === 'null') {
    reader.readNull();
    return null;
  }
  let name: string | undefined;
  expectObject(reader, `\`${place}\``);
  reader.readObject((key) => {
    if (key !== 'collection') {
      reader.skipValue();
      return;
    }
    once(reader, key, name);
    name = reader.readString();
  });
  if (name === undefined) throw new ShapeFault('missing field `collection`', reader.position);
  return name;
}

/** Throws a `ShapeFault` unless an object follows. */
export function expectObject(reader: JsonReader, what: string): void {
  const kind = reader.peek();
  if (kind !== 'object') throw new ShapeFault(`invalid type: ${kind}, expected ${what} as an object`, reader.position);
}

/** Throws a `ShapeFault` if `before` is set. Upstream: a known field given twice is an error, null counts as given. */
export function once(reader: JsonReader, key: string, before: unknown): void {
  if (before !== undefined) throw new ShapeFault(`duplicate field \`${key}\``, reader.position);
}
