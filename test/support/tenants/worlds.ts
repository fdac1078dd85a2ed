import { isDeepStrictEqual } from 'node:util';
import { QdrantClient } from '@qdrant/js-client-rest';
import type { FakeQdrant } from '../fake-qdrant/main.ts';

/*
 * Two collections with the same points of one tenant: `docs` has those of another tenant and of none, too, and `alone` does not. A
 * tenant must not be able to tell them apart.
 */

export const SHARED = 'docs';
export const ALONE = 'alone';
/** A collection that tenants use without a condition, and one that they do not use. */
export const FREE = 'open';
export const OUTSIDE = 'secret';

/** The tenant that asks, and the other one. */
export const TENANT = 'acme';
export const OTHER = 'umbrella';

/** The entries of the policy for tokens with the claim `tenant`. */
export const TENANT_ENTRIES = [
  {
    id: 'docs',
    keys: ['api_key'],
    credentials: 'tokens',
    collections: [SHARED, ALONE],
    field: 'tenant',
    from: 'tenant',
  },
  { id: 'open', keys: ['api_key'], credentials: 'tokens', collections: [FREE], free: true },
] as const;

/** The same with fields that are kept from the tenant, and a shard key. */
export const KEPT_ENTRIES = TENANT_ENTRIES.map((entry) =>
  entry.id === 'docs'
    ? { ...entry, hidden_fields: ['secret', 'parts.code'], read_only_fields: ['plan'], shard_key: true }
    : entry,
);

interface Point {
  readonly id: number | string;
  readonly vector: {
    readonly '': number[];
    readonly words?: { readonly indices: number[]; readonly values: number[] };
  };
  readonly payload: Record<string, unknown>;
}

const words = (...indices: number[]) => ({ indices, values: indices.map((index) => 1 / index) });

const OWN: readonly Point[] = [
  {
    id: 1,
    vector: { '': [1, 0.1], words: words(1, 2) },
    payload: { tenant: TENANT, colour: 'red', price: 1, parts: [{ size: 1 }], partner: 7 },
  },
  {
    id: 2,
    vector: { '': [0.2, 1.1], words: words(2, 3) },
    payload: { tenant: TENANT, colour: 'blue', price: 2, partner: 8 },
  },
  { id: 3, vector: { '': [1.1, 1.3] }, payload: { tenant: TENANT, colour: 'red', price: 3, parts: [] } },
  {
    id: 4,
    vector: { '': [2, 1.07], words: { indices: [1], values: [0.8] } },
    payload: { tenant: TENANT, colour: null, price: 4, deep: { er: { a: 1 } } },
  },
  { id: 5, vector: { '': [0.53, 0.51] }, payload: { tenant: TENANT } },
  {
    id: 'a1000000-0000-4000-8000-000000000001',
    vector: { '': [3, 3.2] },
    payload: { tenant: TENANT, colour: 'green', price: 5 },
  },
];

const OTHERS: readonly Point[] = [
  {
    id: 101,
    vector: { '': [9, 9], words: words(1, 9) },
    payload: { tenant: OTHER, colour: 'red', price: 100, parts: [{ size: 9 }], partner: 7 },
  },
  { id: 102, vector: { '': [8, 9], words: words(9) }, payload: { tenant: OTHER, colour: 'blue', price: 101 } },
  { id: 103, vector: { '': [9, 8], words: words(1, 2, 3) }, payload: { tenant: OTHER, colour: 'gold', price: 2.5 } },
  { id: 104, vector: { '': [1, 0] }, payload: { tenant: OTHER, colour: 'red' } },
  { id: 105, vector: { '': [7, 7] }, payload: { tenant: `${TENANT} ` } },
  { id: 'b2000000-0000-4000-8000-000000000001', vector: { '': [6, 6] }, payload: { tenant: OTHER, colour: 'green' } },
  { id: 201, vector: { '': [5, 9], words: words(1) }, payload: { colour: 'red' } },
  { id: 202, vector: { '': [4, 9] }, payload: { tenant: null, colour: 'red' } },
  { id: 203, vector: { '': [9, 4] }, payload: { tenant: { [TENANT]: true }, colour: 'red' } },
];

/** A point of the tenant with a read-only field. */
const KEPT: Point = { id: 9, vector: { '': [0.7, 0.2] }, payload: { tenant: TENANT, colour: 'red', plan: 'gold' } };

/** The hidden fields of a point, beside an object in an array that shows one. */
function withSecret(point: Point, secret: string): Point {
  const parts = [{ size: secret.length, code: secret }];
  return { ...point, payload: { ...point.payload, secret, parts } };
}

/** A stored point without its hidden fields. */
function withoutSecret(stored: unknown): unknown {
  const text = JSON.stringify(stored, (name, value: unknown) =>
    name === 'secret' || name === 'code' ? undefined : value,
  );
  return text === undefined ? undefined : JSON.parse(text);
}

const INDEXES = { tenant: 'keyword', colour: 'keyword', price: 'float', partner: 'integer' } as const;

/** Both collections, made anew by `reset`, and their points as they are. */
export class Worlds {
  readonly #direct: QdrantClient;

  constructor(upstream: Pick<FakeQdrant, 'restUrl'>) {
    this.#direct = new QdrantClient({ url: upstream.restUrl, checkCompatibility: false });
  }

  /** @param kept with fields that are kept from the tenant; the values of the hidden ones differ between the collections */
  async reset(kept = false): Promise<void> {
    const own = (salt: string) => (kept ? [...OWN, KEPT].map((point, at) => withSecret(point, `${salt}${at}`)) : OWN);
    await this.#make(SHARED, [...own('s'), ...OTHERS]);
    await this.#make(ALONE, own('t'));
  }

  /** The collections beside the two. */
  async others(): Promise<void> {
    for (const name of [FREE, OUTSIDE]) {
      await this.#make(
        name,
        [7, 8, 101].map((id) => ({ id, vector: { '': [id, 1] }, payload: { note: name } })),
      );
    }
  }

  async #make(name: string, points: readonly Point[]): Promise<void> {
    await this.#direct.deleteCollection(name).catch(() => undefined);
    await this.#direct.createCollection(name, {
      vectors: { size: 2, distance: 'Dot' },
      sparse_vectors: { words: { modifier: 'idf' } },
    });
    for (const [field, schema] of Object.entries(INDEXES)) {
      await this.#direct.createPayloadIndex(name, { field_name: field, field_schema: schema, wait: true });
    }
    await this.#direct.upsert(name, { wait: true, points: [...points] });
  }

  /** The points of a collection by id. */
  async stored(name: string): Promise<Map<string, unknown>> {
    const { points } = await this.#direct.scroll(name, { limit: 1000, with_payload: true, with_vector: true });
    return new Map(points.map(({ id, payload, vector }) => [String(id), { payload, vector }]));
  }

  /**
   * What an attack has changed that it must not: points of others, and points of the tenant that differ from those of a
   * collection of its own. Empty = nothing. Ids that are taken by others are the one difference that stays.
   */
  async harm(before: ReadonlyMap<string, unknown>): Promise<string[]> {
    const [shared, alone] = await Promise.all([this.stored(SHARED), this.stored(ALONE)]);
    const harm: string[] = [];
    for (const { id } of OTHERS) {
      const key = String(id);
      if (!isDeepStrictEqual(shared.get(key), before.get(key))) harm.push(`${key} of others has changed`);
      shared.delete(key);
      alone.delete(key);
    }
    for (const key of new Set([...shared.keys(), ...alone.keys()])) {
      if (!isDeepStrictEqual(withoutSecret(shared.get(key)), withoutSecret(alone.get(key))))
        harm.push(`${key} is not as it is alone`);
    }
    return harm;
  }
}
