import { MAX_PARTS, MAX_PREFETCHES, type Rewriting } from '../../../policy/tenants/rewriting.ts';
import type { Tenancy, TenantCondition, TenantScope } from '../../../policy/tenants/tenancy.ts';
import type { TenantContext } from '../context.ts';
import { bytesField, Edits } from './edits.ts';
import { Fields } from './fields.ts';
import { mustOf, type OwnBytes, pointFields } from './own.ts';
import { PointSplice } from './points.ts';
import { numberOf, type Role, type SpliceShape, spliceShape } from './shapes.ts';

/**
 * Puts the conditions of a tenant into a message where nothing else of it changes: the bytes that decoding and encoding it would
 * give, but for the order of fields and the length of numbers. `undefined` = it must be decoded, to be changed further, to be refused,
 * or because points are used by id.
 *
 * INVARIANT: the form of the message has been checked, so every decoder reads the same from its bytes. A field without a role leads to
 * `undefined`.
 *
 * @param type of the message @param bytes are not changed @param room bytes that are left free in front of what is made
 */
export function spliced(type: string, bytes: Buffer, context: TenantContext, room = 0): Spliced | undefined {
  const shape = spliceShape(type);
  const { conditions, features } = context;
  if (!shape || conditions.length === 0 || !isPlain(context)) return undefined;
  const isWrite = type === 'UpsertPoints';
  const own = isWrite && features.updateFilter ? pointFields(conditions) : undefined;
  if (isWrite && !own) return undefined;
  const whole = shared.take(shape, bytes, { context, own, room });
  if (!whole) return undefined;
  const message = room === 0 ? whole : whole.subarray(room);
  return { message, whole, byIdAlone: shape.findsPoints ? [context.collection] : NONE };
}

const NONE: readonly string[] = Object.freeze([]);

/** A message with the conditions in it. */
export interface Spliced extends Pick<Rewriting, 'byIdAlone'> {
  readonly message: Buffer;
  /** The same behind the room. */
  readonly whole: Buffer;
}

/** The known keys of the objects that decide. With any other key a message is decoded. */
const KNOWN = {
  context: keysOf<TenantContext>({
    tenancy: 1,
    collection: 1,
    conditions: 1,
    features: 1,
    idfVectors: 1,
    mostBytes: 1,
  }),
  tenancy: keysOf<Tenancy>({ scopes: 1 }),
  scope: keysOf<TenantScope>({ names: 1, prefixes: 1, holds: 1 }),
  condition: keysOf<TenantCondition>({
    ...{ id: 1, field: 1, values: 1, sharedStatistics: 1 },
    ...{ hides: 1, hiddenFields: 1, readOnlyFields: 1, shard: 1 },
  }),
} as const;

/** The compiler asks for each key. */
function keysOf<T>(keys: { readonly [K in keyof T]-?: 1 }): ReadonlySet<string> {
  return new Set(Object.keys(keys));
}

function isKnown(value: object, keys: ReadonlySet<string>): boolean {
  for (const key in value) if (!keys.has(key)) return false;
  return true;
}

const plain = new WeakMap<Tenancy, boolean>();

/** True = the tenancy changes nothing but filters and written payloads. */
function isPlain(context: TenantContext): boolean {
  const { tenancy } = context;
  const found =
    plain.get(tenancy) ??
    (isKnown(context, KNOWN.context) && isKnown(tenancy, KNOWN.tenancy) && tenancy.scopes.every(isPlainScope));
  plain.set(tenancy, found);
  return found;
}

function isPlainScope(scope: TenantScope): boolean {
  const { holds } = scope;
  if (!isKnown(scope, KNOWN.scope)) return false;
  if (typeof holds === 'string') return true;
  // Hidden fields are taken out of answers, and must not be read; those that are only read must not be written; a shard key is set.
  const { hides, hiddenFields = [], readOnlyFields = [], shard } = holds;
  const changesMore = hides || hiddenFields.length > 0 || readOnlyFields.length > 0 || shard !== undefined;
  return !changesMore && isKnown(holds, KNOWN.condition);
}

const IDF = numberOf('SearchParams', 'idf');
const NEAREST = numberOf('Query', 'nearest');
/** Variants without a vector. */
const WITHOUT = ['order_by', 'fusion', 'sample', 'formula', 'rrf'].map((name) => numberOf('Query', name));
const DENSE = ['dense', 'multi_dense'].map((name) => numberOf('VectorInput', name));
const NOTHING: Buffer = Buffer.alloc(0);

interface SpliceTask {
  readonly context: TenantContext;
  readonly own: readonly OwnBytes[] | undefined;
  readonly room: number;
}

/** One message after the other, each from the front to the back. */
class Splice {
  readonly #edits = new Edits(0);
  readonly #points = new PointSplice(this.#edits);
  /** By the depth of levels; the last two walk over a query. */
  readonly #walkers: Fields[] = [];
  readonly #query = new Fields();
  readonly #input = new Fields();
  #bytes = NOTHING;
  #collection = '';
  #must = NOTHING;
  #own: readonly OwnBytes[] | undefined;
  #levels = 0;
  #depth = 0;
  #prefetches = 0;

  /** The message in memory of its own, behind the room. `undefined` = it must be decoded. Keeps nothing of it. Throws `MadeTooLong`. */
  take(shape: SpliceShape, bytes: Buffer, { context, own, room }: SpliceTask): Buffer | undefined {
    this.#edits.clear(context.mostBytes);
    this.#bytes = bytes;
    this.#collection = context.collection;
    this.#must = mustOf(context.conditions);
    this.#own = own;
    this.#levels = 0;
    this.#depth = 0;
    this.#prefetches = 0;
    try {
      return this.#level(shape, 0, bytes.length) ? this.#edits.applied(bytes, room) : undefined;
    } finally {
      this.#bytes = NOTHING;
      for (const fields of this.#walkers) fields.clear();
      this.#query.clear();
      this.#input.clear();
      this.#points.clear();
    }
  }

  #walker(): Fields {
    const known = this.#walkers[this.#depth] ?? new Fields();
    this.#walkers[this.#depth] = known;
    return known;
  }

  /** The message in `[from, to)`. `false` = it must be decoded. */
  #level(shape: SpliceShape, from: number, to: number): boolean {
    this.#levels += 1;
    if (this.#levels > MAX_PARTS) return false;
    const fields = this.#walker().begin(this.#bytes, from, to);
    let isNamed = !shape.isNamed;
    let hasFilter = shape.filter === 0;
    while (fields.next()) {
      const role = shape.roles.get(fields.number);
      if (role === 'name') isNamed = this.#isCollection(fields);
      else if (role === 'filter') {
        this.#within(fields);
        hasFilter = true;
      } else if (role !== 'pass' && !this.#takes(role, shape, fields)) return false;
    }
    if (!hasFilter) this.#edits.replace(to, to, filterOf(shape.filter, this.#must));
    if (shape.exact !== 0) this.#edits.replace(to, to, Buffer.from([shape.exact * 8, 1]));
    return isNamed;
  }

  #takes(role: Role | undefined, { level }: SpliceShape, fields: Fields): boolean {
    if (role === 'query') return this.#isDense(fields);
    if (role === 'params') return !this.#has(fields, IDF);
    if (role === 'points') return this.#own !== undefined && this.#points.take(fields, this.#own);
    if (role === 'level') return level !== undefined && this.#inner(level, fields);
    if (role !== 'exact') return false;
    this.#edits.replace(fields.start, fields.to, NOTHING);
    return true;
  }

  #inner(shape: SpliceShape, { lengthAt, from, to }: Fields): boolean {
    const { growth } = this.#edits;
    const place = this.#edits.open(lengthAt, from);
    this.#depth += 1;
    if (shape.isPrefetch) this.#prefetches += 1;
    const isDone = this.#prefetches <= MAX_PREFETCHES && this.#level(shape, from, to);
    if (shape.isPrefetch) this.#prefetches -= 1;
    this.#depth -= 1;
    this.#edits.close(place, growth, to - from);
    return isDone;
  }

  /** The client's filter as it is, behind the conditions: a repeated field is the list of all its occurrences. */
  #within({ lengthAt, from, to }: Fields): void {
    const { growth } = this.#edits;
    const place = this.#edits.open(lengthAt, from);
    this.#edits.replace(from, from, this.#must);
    this.#edits.close(place, growth, to - from);
  }

  /** True = a query by a dense vector, or by none. */
  #isDense({ bytes, from, to }: Fields): boolean {
    const query = this.#query.begin(bytes, from, to);
    if (!query.next()) return false;
    if (WITHOUT.includes(query.number)) return true;
    if (query.number !== NEAREST) return false;
    const input = this.#input.begin(bytes, query.from, query.to);
    return input.next() && DENSE.includes(input.number);
  }

  #has({ bytes, from, to }: Fields, number: number): boolean {
    const inner = this.#query.begin(bytes, from, to);
    while (inner.next()) if (inner.number === number) return true;
    return false;
  }

  /** Upstream goes by the name of the batch; that of an entry must not lead elsewhere in any release. */
  #isCollection({ from, to }: Fields): boolean {
    const { length } = this.#collection;
    for (let at = 0; at < length && at < to - from; at++) {
      const byte = this.#bytes[from + at] ?? 0;
      if (byte >= 0x80) return this.#bytes.toString('utf8', from, to) === this.#collection;
      if (byte !== this.#collection.charCodeAt(at)) return false;
    }
    return length === to - from;
  }
}

const filters = new WeakMap<Buffer, { readonly number: number; readonly bytes: Buffer }>();

/** A filter of nothing but the conditions. The last of each is kept: a tenant's queries have it in one place. */
function filterOf(number: number, must: Buffer): Buffer {
  const last = filters.get(must);
  if (last?.number === number) return last.bytes;
  const bytes = bytesField(number, must);
  filters.set(must, { number, bytes });
  return bytes;
}

/** Nothing runs between the beginning and the end of a message. */
const shared = new Splice();
