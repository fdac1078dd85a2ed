import { COLLECTIONS_UNKNOWN, TENANT_MATRIX } from '../../policy/denial.ts';
import { hiddenFields, judgeScoring, judgeShown, unfilteredFields } from '../../policy/tenants/kept-fields.ts';
import type { PayloadField } from '../../policy/tenants/payload-path.ts';
import { TenantRefusal } from '../../policy/tenants/refusal.ts';
import { hiding, MAX_CHECKED_IDS, MAX_PARTS, MAX_PREFETCHES, releaseRefused } from '../../policy/tenants/rewriting.ts';
import { shardOf, type TenantShard } from '../../policy/tenants/shard.ts';
import { conditionsOn, lookupRefused } from '../../policy/tenants/within.ts';
import { type Checks, MadeBytes, NeedsFacts, type Rewritten, type TenantContext } from './context.ts';
import { conditionsOf, type Filter, hasId, type IdMessage, within } from './filters.ts';
import { badForm, idOf, tooManyIds } from './ids.ts';
import { judgeCondition, judgeFilter } from './keys/filter-keys.ts';
import { conditionsIn, shownBy } from './keys/shown-keys.ts';
import { make } from './messages/codec.ts';
import { type Inputs, inputsFrom, inputsOf, type Query, type VectorInput } from './query-inputs.ts';
import { type Placed, place, selectorOf } from './shard-key.ts';

/** A request, or a prefetch, that searches: the fields that any of them has. */
interface Level extends Placed {
  collectionName?: string;
  filter?: Filter | undefined;
  params?: { idf?: { corpus?: Filter } } | undefined;
  readonly prefetch?: readonly Level[];
  readonly query?: Query;
  readonly using?: string;
  readonly vectorName?: string;
  readonly sparseIndices?: unknown;
  readonly positive?: readonly IdMessage[];
  readonly negative?: readonly IdMessage[];
  readonly positiveVectors?: readonly Vector[];
  readonly negativeVectors?: readonly Vector[];
  readonly target?: { readonly target: { readonly case: string | undefined; readonly value?: Example } };
  readonly context?: readonly { readonly positive?: Example; readonly negative?: Example }[];
  lookupFrom?: Lookup;
  readonly withLookup?: { readonly collection: string };
  readonly groupBy?: string;
}

interface Lookup extends Placed {
  readonly collectionName: string;
}

/** A request with a filter and no vectors. */
interface Filtered extends Placed {
  filter?: Filter;
  exact?: boolean;
  readonly key?: string;
  readonly using?: string;
  readonly orderBy?: { readonly key: string };
}

interface Vector {
  readonly indices?: unknown;
  readonly vector: { readonly case: string | undefined };
}

interface Example {
  readonly example: { readonly case: string | undefined; readonly value?: unknown };
}

/** A tag and a length take as much. */
const LEAST_HEAD = 2;

/** Rewrites the searching requests of one message. */
export class Searches {
  readonly #context: TenantContext;
  readonly #checks: Checks;
  readonly #made: MadeBytes;
  readonly #own: readonly Buffer[];
  /** Bytes of the conditions in a filter. */
  readonly #ownBytes: number;
  readonly #hidden: readonly PayloadField[];
  readonly #unfiltered: readonly PayloadField[];
  readonly #shard: TenantShard | undefined;
  #levels = 0;

  /** @param length of the client's message */
  constructor(context: TenantContext, checks: Checks, length: number) {
    this.#context = context;
    this.#checks = checks;
    this.#made = new MadeBytes(context, length);
    this.#own = conditionsOf(context.conditions);
    this.#ownBytes = this.#own.reduce((sum, { length: bytes }) => sum + bytes + LEAST_HEAD, 0);
    this.#hidden = hiddenFields(context.conditions);
    this.#unfiltered = unfilteredFields(context.conditions);
    this.#shard = shardOf(context.conditions);
  }

  /** The rewritten request of a type. @param levels the requests in it: itself, or those of a batch */
  rewrite(type: string, message: object, levels: readonly object[]): Rewritten {
    for (const level of levels as readonly Level[]) {
      // Upstream goes by the name of the batch; that of an entry must not lead elsewhere in any release. One that is missing, which upstream
      // refuses since v1.19, stays missing.
      if (level.collectionName) level.collectionName = this.#context.collection;
      this.#level(level, 0);
      place(level, this.#shard);
    }
    this.#byIdAlone();
    return { type, message, answer: hiding(this.#context.conditions) };
  }

  /** A request without vectors: only its filter, and an exact count. */
  filtered(type: string, message: object, exact: boolean): Rewritten {
    const request = message as Filtered;
    if (this.#own.length === 0) return { type, message };
    request.filter = this.#within(request.filter);
    judgeShown(this.#hidden, request.key);
    judgeShown(this.#hidden, request.orderBy?.key);
    if (type === 'SearchMatrixPoints') this.#byIdAlone();
    if (request.using !== undefined) this.#matrix(request.using);
    place(request, this.#shard);
    // An estimate comes from the statistics of all points.
    if (exact) request.exact = true;
    return { type, message, answer: hiding(this.#context.conditions) };
  }

  /** The client's filter within the conditions. */
  #within(filter: Filter | undefined): Filter {
    judgeFilter(this.#unfiltered, filter);
    this.#made.grow(this.#ownBytes);
    return within(this.#own, filter);
  }

  /** Upstream fetches what belongs to a hit by its id, from every shard that was asked (Qdrant v1.19.0). */
  #byIdAlone(): void {
    if (this.#own.length > 0 && !this.#shard) this.#checks.byIdAlone(this.#context.collection);
  }

  /** Distances between sparse points have no place for a corpus. */
  #matrix(vector: string): void {
    const { conditions, idfVectors } = this.#context;
    if (vector === '' || conditions.every(({ sharedStatistics }) => sharedStatistics)) return;
    if (idfVectors === 'unasked') throw new NeedsFacts();
    if (idfVectors === 'unknown') throw new TenantRefusal(COLLECTIONS_UNKNOWN);
    if (idfVectors.has(vector)) throw new TenantRefusal(TENANT_MATRIX);
  }

  /** Upstream looks up all ids of a query first, prefetches included. @param depth prefetches around it */
  #level(level: Level, depth: number): void {
    if (depth > MAX_PREFETCHES) throw badForm('prefetch', `nests more than ${MAX_PREFETCHES} deep`);
    this.#levels += 1;
    if (this.#levels > MAX_PARTS) throw badForm('query', `has more than ${MAX_PARTS} queries and prefetches`);
    if (level.withLookup) {
      const refused = lookupRefused(this.#context.tenancy, level.withLookup.collection);
      if (refused) throw new TenantRefusal(refused);
    }
    judgeShown(this.#hidden, level.groupBy);
    if (level.query && this.#hidden.length > 0) this.#judgeQuery(level.query, level.using);
    const inputs = inputsAt(level);
    this.#checkIds(level, inputs);
    if (this.#own.length > 0) level.filter = this.#within(level.filter);
    this.#statistics(level, inputs);
    for (const prefetch of level.prefetch ?? []) this.#level(prefetch, depth + 1);
  }

  #judgeQuery(query: Query, using: string | undefined): void {
    // Upstream: a query of texts names the field that it scores by (Qdrant v1.20.0).
    if (query.variant.case === 'text') judgeScoring(this.#hidden, using);
    for (const key of shownBy(query)) judgeShown(this.#hidden, key);
    for (const condition of conditionsIn(query)) judgeCondition(this.#unfiltered, condition);
  }

  #checkIds(level: Level, { ids }: Inputs): void {
    const { collection, conditions, tenancy } = this.#context;
    const { lookupFrom } = level;
    const from = lookupFrom?.collectionName ?? collection;
    const there = lookupFrom ? conditionsOn(tenancy, from) : conditions;
    if ('kind' in there) throw new TenantRefusal(there);
    const shard = shardOf(there);
    if (lookupFrom) place(lookupFrom, shard);
    if (there.length === 0 || ids.length === 0) return;
    if (!shard) this.#checks.byIdAlone(from);
    // Upstream takes the vectors of points from all shards of the collection if nothing is said (Qdrant v1.19.0).
    else if (!lookupFrom) {
      this.#made.grow(collection.length);
      level.lookupFrom = make<Lookup>('LookupLocation', {
        ...{ collectionName: collection, shardKeySelector: selectorOf(shard) },
      });
    }
    this.#checks.add(
      from,
      there,
      ids.map((id) => idOf(id, 'id')),
    );
  }

  /** The statistics of terms are those of the tenant's points. */
  #statistics(level: Level, { maybeSparse, text }: Inputs): void {
    const { features, idfVectors, conditions } = this.#context;
    if (conditions.length === 0) return;
    const asked = level.params?.idf !== undefined;
    const vector = level.using ?? level.vectorName ?? '';
    // The unnamed vector is dense.
    const named = maybeSparse && vector !== '';
    if (named && idfVectors === 'unasked') throw new NeedsFacts();
    const isKnown = typeof idfVectors === 'object';
    const usesTerms = named && (!isKnown || idfVectors.has(vector));
    if (!(text || asked || usesTerms)) return;
    if (features.idfCorpus && (text || asked || isKnown)) {
      const params = level.params ?? make<NonNullable<Level['params']>>('SearchParams', {});
      params.idf = make('IdfParams', { corpus: this.#within(params.idf?.corpus) });
      level.params = params;
    } else if (!conditions.every(({ sharedStatistics }) => sharedStatistics)) {
      throw new TenantRefusal(
        features.idfCorpus
          ? COLLECTIONS_UNKNOWN
          : releaseRefused(features, 'Sparse and text queries of tenants', '1.19.0'),
      );
    }
  }
}

function inputsAt(level: Level): Inputs {
  if (level.query) return inputsOf(level.query);
  const vectors = [...(level.positiveVectors ?? []), ...(level.negativeVectors ?? [])];
  const examples = [
    level.target?.target.value,
    ...(level.context ?? []).flatMap((pair) => [pair.positive, pair.negative]),
  ];
  const found = inputsFrom(examples.flatMap((example) => (example ? [inputOf(example)] : [])));
  const ids = [...(level.positive ?? []), ...(level.negative ?? []), ...found.ids];
  const sparse = level.sparseIndices !== undefined || vectors.some(isSparse) || found.maybeSparse;
  return { ids, maybeSparse: sparse || ids.length > 0, text: false };
}

function inputOf({ example }: Example): VectorInput {
  if (example.case === 'id') return { variant: { case: 'id', value: example.value } };
  if (example.case !== 'vector') throw badForm('example', 'has neither an id nor a vector');
  return { variant: { case: isSparse(example.value as Vector) ? 'sparse' : 'dense' } };
}

function isSparse({ indices, vector }: Vector): boolean {
  return (
    indices !== undefined || !(vector.case === undefined || vector.case === 'dense' || vector.case === 'multiDense')
  );
}

/** `Points/Get` as a scroll over the same ids. */
export function retrieve(message: object, { collection, conditions }: TenantContext): Rewritten {
  if (conditions.length === 0) return { type: 'GetPoints', message };
  const request = message as GetPoints;
  if (request.ids.length > MAX_CHECKED_IDS) throw tooManyIds();
  const ids = [...new Set(request.ids.map((id, index) => idOf(id, `ids.${index}`)))];
  const { withVectors, readConsistency, timeout } = request;
  place(request, shardOf(conditions));
  const { shardKeySelector } = request;
  const scroll = make('ScrollPoints', {
    collectionName: collection,
    filter: within([...conditionsOf(conditions), hasId(ids)], undefined),
    limit: Math.max(1, ids.length),
    // Upstream: none unless asked for, unlike a scroll.
    withPayload: request.withPayload ?? NO_PAYLOAD,
    ...{ withVectors, readConsistency, shardKeySelector, timeout },
  });
  return {
    ...{ type: 'ScrollPoints', message: scroll, method: '/qdrant.Points/Scroll' },
    answer: { kind: 'retrieved', ids, one: false, fields: hiddenFields(conditions) },
  };
}

interface GetPoints extends Placed {
  readonly ids: readonly IdMessage[];
  readonly withPayload?: Uint8Array;
  readonly withVectors?: Uint8Array;
  readonly readConsistency?: Uint8Array;
  readonly timeout?: bigint;
}

/** `WithPayloadSelector{enable: false}`. */
const NO_PAYLOAD = Buffer.from([0x08, 0x00]);
