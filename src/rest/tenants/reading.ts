import type { JsonReader } from '../../json/reader.ts';
import { decodeString } from '../../json/scan.ts';
import { type JsonNode, type JsonObject, type JsonText, listNode, objectNode, textNode } from '../../json/tree.ts';
import { JsonWriter } from '../../json/writer.ts';
import { badRequest } from '../../policy/denial.ts';
import { FilterKeys } from '../../policy/tenants/filter-keys.ts';
import { hiddenFields, readOnlyFields, unfilteredFields } from '../../policy/tenants/kept-fields.ts';
import { type PayloadField, pathText } from '../../policy/tenants/payload-path.ts';
import { onlyValue, valuesByType } from '../../policy/tenants/payload-rules.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import {
  type IdCheck,
  MAX_CHECKED_IDS,
  MAX_PARTS,
  MAX_PREFETCHES,
  type PointId,
  type ReleaseFeatures,
} from '../../policy/tenants/rewriting.ts';
import { shardOf, type TenantShard } from '../../policy/tenants/shard.ts';
import type { Tenancy, TenantCondition, TenantValue } from '../../policy/tenants/tenancy.ts';
import { conditionsOn } from '../../policy/tenants/within.ts';
import { ShapeFault } from '../body/inspect-references.ts';

/** The facts with which a body is read. */
export interface ReadingContext {
  readonly collection: string;
  /** On the collection; none = it is free, and only its references are judged. */
  readonly conditions: readonly TenantCondition[];
  readonly tenancy: Tenancy;
  readonly features: ReleaseFeatures;
  /** Vectors of the collection whose scores depend on statistics of terms; `undefined` = not known. */
  readonly idfVectors: ReadonlySet<string> | undefined;
  /** Most bytes of the request that is made. */
  readonly maxBytes: number;
  /** Most of what `spend` counts; `Infinity` = no bound. */
  readonly mostWork: number;
  /** The client waits for the result of its write, and so hears of missing points. */
  readonly waits: boolean;
}

/** Vectors that are named by points: those of one level of a query. */
export interface Level {
  readonly ids: PointId[];
  /** The collection of the points, if it is another one. */
  lookup: string | undefined;
  /** Its query scores by the texts of a payload field. */
  isText: boolean;
}

/** Thrown inside where a body takes more work than it may. */
export class TakesLonger extends Error {
  readonly code = 'ERR_TENANT_WORK';
}

/** One body on its way through the shapes. */
export class TenantReading {
  readonly reader: JsonReader;
  readonly source: Buffer;
  readonly context: ReadingContext;
  /** The conditions as conditions of a filter. */
  readonly must: readonly JsonText[];
  readonly fields: readonly PayloadField[];
  /** Fields whose values no answer shows, and those that are not written. */
  readonly hidden: readonly PayloadField[];
  readonly readOnly: readonly PayloadField[];
  /** Judges the paths of filters; `undefined` = there is no field on which no condition is set. */
  readonly filterKeys: FilterKeys | undefined;
  /** The shard key of the tenant; `undefined` = the client's own stays. */
  readonly shard: TenantShard | undefined;
  /** The levels that are open, innermost last. */
  readonly levels: Level[] = [];
  /** All levels of queries, outer before inner: the order in which upstream resolves their ids (Qdrant v1.19.0). */
  readonly #queries: Level[] = [];
  /** Prefetches that may still be nested. */
  prefetches = MAX_PREFETCHES;
  /** The body holds several operations, one after the other. */
  isBatch = false;
  /** Ids that earlier operations of the same batch write. */
  readonly written = new Set<PointId>();
  /** The same in their order. */
  readonly #writtenInOrder: PointId[] = [];
  #operations = 0;
  #hasLarge = false;
  /** Other collections whose points are used by their ids alone. */
  readonly #byIdAlone = new Set<string>();
  readonly #checks = new Map<string, { readonly conditions: readonly TenantCondition[]; readonly ids: Set<PointId> }>();
  readonly #only = new Map<TenantCondition, string>();
  #checked = 0;
  #work = 0;

  constructor(reader: JsonReader, source: Buffer, context: ReadingContext) {
    this.reader = reader;
    this.source = source;
    this.context = context;
    const { must, fields, hidden, unfiltered, readOnly, shard } = partsOf(context.conditions);
    this.must = must;
    this.fields = fields;
    this.hidden = hidden;
    this.filterKeys = unfiltered.length > 0 ? new FilterKeys(unfiltered) : undefined;
    this.readOnly = readOnly;
    this.shard = shard;
  }

  get isFree(): boolean {
    return this.must.length === 0;
  }

  /** Counts work beside that on the bytes: 1 for an item or a key, 4 for an object. Throws `TakesLonger` beyond the bound. */
  spend(work: number): void {
    this.#work += work;
    if (this.#work > this.context.mostWork) throw new TakesLonger();
  }

  /** Opens the level of a query, whose ids are checked when the whole body has been read. */
  openQuery(): void {
    if (this.#queries.length === MAX_PARTS) throw new TenantRefusal(TOO_MANY_QUERIES);
    const level: Level = { ids: [], lookup: undefined, isText: false };
    this.levels.push(level);
    this.#queries.push(level);
  }

  /** Notes an id that an operation of a batch writes. */
  noteWritten(id: PointId): void {
    if (this.written.size === MAX_WRITTEN_IDS || this.written.has(id)) return;
    this.written.add(id);
    this.#writtenInOrder.push(id);
  }

  /** Forgets the ids that were noted last, down to this number. */
  forgetWritten(size: number): void {
    for (const id of this.#writtenInOrder.splice(size)) this.written.delete(id);
  }

  /** Counts an operation of a batch. */
  openOperation(): void {
    if (this.#operations === MAX_PARTS) throw new TenantRefusal(TOO_MANY_OPERATIONS);
    this.#operations += 1;
  }

  /** The checks that the body asks for, once it has been read. */
  checks(): IdCheck[] {
    for (const { ids, lookup } of this.#queries) this.check(ids, lookup);
    return Array.from(this.#checks, ([collection, { conditions, ids }]) => ({ collection, conditions, ids: [...ids] }));
  }

  /** The collections that must have no shard keys, once the body has been read. */
  get byIdAlone(): readonly string[] {
    return [...this.#byIdAlone];
  }

  /** The points have to exist for the tenant. @param lookup their collection, if it is not the request's */
  check(ids: readonly PointId[], lookup?: string): void {
    const { collection: own, conditions: ownConditions, tenancy } = this.context;
    const collection = lookup ?? own;
    const conditions = lookup === undefined ? ownConditions : conditionsOn(tenancy, lookup);
    if ('kind' in conditions) throw new TenantRefusal(conditions);
    if (conditions.length === 0 || ids.length === 0) return;
    if (lookup !== undefined && !shardOf(conditions)) this.#byIdAlone.add(lookup);
    const check = this.#checks.get(collection) ?? { conditions, ids: new Set() };
    this.#checks.set(collection, check);
    const before = check.ids.size;
    for (const id of ids) check.ids.add(id);
    this.#checked += check.ids.size - before;
    if (this.#checked > MAX_CHECKED_IDS) throw new TenantRefusal(TOO_MANY_IDS);
  }

  /** The value that is set where a payload has none, as JSON text; `undefined` = it has to say itself which one. */
  onlyText(condition: TenantCondition): string | undefined {
    const known = this.#only.get(condition);
    if (known !== undefined) return known;
    const value = onlyValue(condition);
    const text = value === undefined ? undefined : valueText(value);
    if (text !== undefined) this.#only.set(condition, text);
    return text;
  }

  /** The text of a string of the source; `undefined` = another value, or none. */
  stringOf(node: JsonNode | undefined): string | undefined {
    if (node?.kind === 'text') return parsedString(node.text);
    if (node?.kind !== 'source' || this.source[node.start] !== QUOTE) return undefined;
    return decodeString(this.source, node.start + 1, node.end - 1);
  }

  /** True = a string of the source. */
  isString(node: JsonNode | undefined): boolean {
    return node?.kind === 'source' && this.source[node.start] === QUOTE;
  }

  /** True = there is no such member, or it is null. */
  isNull(node: JsonNode | undefined): boolean {
    if (node === undefined) return true;
    return node.kind === 'source' ? this.source[node.start] === LETTER_N : node.kind === 'text' && node.text === 'null';
  }

  /** Notes the id of a point in the level at hand. INVARIANT: a request with more ids than can be checked is refused. */
  note(id: PointId): void {
    const ids = this.levels.at(-1)?.ids;
    if (ids?.length === MAX_CHECKED_IDS) throw new TenantRefusal(TOO_MANY_IDS);
    ids?.push(id);
  }

  /** The query of the level at hand is one of texts. */
  noteText(): void {
    const level = this.levels.at(-1);
    // INVARIANT: a query stands in a level of its own.
    if (!level) throw new TypeError('a query of texts stands in no level');
    level.isText = true;
  }

  writer(): JsonWriter {
    return new JsonWriter(this.source, this.context.maxBytes);
  }

  /** For a list that is most of the body. Only the first one gets memory for all of it: those inside grow as they are written. */
  largeWriter(): JsonWriter {
    if (this.#hasLarge) return this.writer();
    this.#hasLarge = true;
    const left = this.source.length - this.reader.position;
    return new JsonWriter(this.source, this.context.maxBytes, left + (left >>> 3) + MORE_BYTES, MORE_BYTES);
  }

  fault(message: string): ShapeFault {
    return new ShapeFault(message, this.reader.position);
  }
}

/** Bytes by which a request becomes longer, and those around its list. */
const MORE_BYTES = 2048;
const QUOTE = 0x22;
const LETTER_N = 0x6e;
/** Ids of a batch that its later operations may name. */
const MAX_WRITTEN_IDS = 100_000;
const TOO_MANY_OPERATIONS = badRequest('tenant_form', `the batch has more than ${MAX_PARTS} operations`);
const TOO_MANY_QUERIES = badRequest('tenant_form', `the request has more than ${MAX_PARTS} queries and prefetches`);
export const TOO_MANY_IDS = badRequest('tenant_form', `the request names more than ${MAX_CHECKED_IDS} points`);

function parsedString(text: string): string | undefined {
  const value: unknown = JSON.parse(text);
  return typeof value === 'string' ? value : undefined;
}

interface Parts extends Pick<TenantReading, 'must' | 'fields' | 'hidden' | 'readOnly' | 'shard'> {
  readonly unfiltered: readonly PayloadField[];
}

/** The parts of conditions that each body asks for. */
function partsOf(conditions: readonly TenantCondition[]): Parts {
  const known = PARTS.get(conditions);
  if (known) return known;
  const parts = {
    must: conditions.map((condition) => textNode(conditionText(condition))),
    fields: conditions.map(({ field }) => field),
    hidden: hiddenFields(conditions),
    unfiltered: unfilteredFields(conditions),
    readOnly: readOnlyFields(conditions),
    shard: shardOf(conditions),
  };
  PARTS.set(conditions, parts);
  return parts;
}

/** A caller's conditions on a collection are the same array while it asks for the same one. */
const PARTS = new WeakMap<readonly TenantCondition[], Parts>();

/** The JSON text of a condition. */
export function conditionText(condition: TenantCondition): string {
  const key = JSON.stringify(pathText(condition.field));
  const { texts, integers, booleans } = valuesByType(condition);
  const match = (form: string): string => `{"key":${key},"match":${form}}`;
  const forms = [
    ...matchesOf(texts).map(match),
    ...matchesOf(integers).map(match),
    ...booleans.map((value) => match(`{"value":${value}}`)),
  ];
  return forms.length === 1 ? (forms[0] ?? '') : `{"should":[${forms.join(',')}]}`;
}

function matchesOf(values: readonly TenantValue[]): string[] {
  if (values.length === 0) return [];
  const texts = values.map(valueText);
  return [texts.length === 1 ? `{"value":${texts[0]}}` : `{"any":[${texts.join(',')}]}`];
}

/** The JSON text of a value. */
export function valueText(value: TenantValue): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/** The JSON text of an id. */
export function idText(id: PointId): string {
  return typeof id === 'bigint' ? String(id) : `"${id}"`;
}

/** A filter of the tenant's points, and of a list of ids if it is given. */
export function tenantFilter(reading: TenantReading, ids?: JsonNode): JsonObject {
  const must: JsonNode[] = [...reading.must];
  if (ids) must.push(objectNode({ has_id: ids }));
  return objectNode({ must: listNode(must) });
}
