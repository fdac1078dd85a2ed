import { QdrantClient } from '@qdrant/js-client-rest';
import { type Caller, QUERY, type Refusal, run, type TenantCaller } from './steps.ts';

/** The tutorial with @qdrant/js-client-rest. */
function caller(key?: string): Caller {
  const apiKey = key === undefined ? {} : { apiKey: key };
  const client = new QdrantClient({
    url: `https://localhost:${process.env.REST_PORT}`,
    checkCompatibility: false,
    ...apiKey,
  });
  return {
    list: async () => (await client.getCollections()).collections.map(({ name }) => name),
    create: () => client.createCollection('books', { vectors: { size: 4, distance: 'Dot' } }),
    write: (books) =>
      client.upsert('books', {
        wait: true,
        points: books.map(({ id, vector, title }) => ({ id, vector, payload: { title } })),
      }),
    search: async () => {
      const { points } = await client.query('books', { query: QUERY, limit: 1, with_payload: true });
      return points[0]?.payload?.title;
    },
    count: async (collection) => (await client.count(collection)).count,
    deletePoint: () => client.delete('books', { wait: true, points: [1] }),
    deleteCollection: () => client.deleteCollection('books'),
    lookUp: () => client.query('books', { query: 1, lookup_from: { collection: 'private' } }),
    tenant: tenantCaller(client),
  };
}

function tenantCaller(client: QdrantClient): TenantCaller {
  const points = (ids: readonly number[]) => ({ wait: true, points: [...ids] });
  const ids = (found: readonly { readonly id: unknown }[]): readonly number[] => found.map(({ id }) => Number(id));
  return {
    write: (books, tenant) =>
      client.upsert('shared', {
        wait: true,
        points: books.map(({ id, vector, title }) => ({ id, vector, payload: { title, ...(tenant && { tenant }) } })),
      }),
    search: async () => {
      const { points } = await client.query('shared', { query: QUERY, limit: 1, with_payload: true });
      return points[0]?.payload?.title;
    },
    scroll: async () => ids((await client.scroll('shared', { limit: 10 })).points),
    retrieve: async (wanted) => ids(await client.retrieve('shared', { ids: [...wanted] })),
    delete: (wanted) => client.delete('shared', points(wanted)),
    count: async () => (await client.count('shared')).count,
  };
}

/** The gateway's text is in `data`: the client's own message is the reason phrase. */
function refusal(error: unknown): Refusal {
  if (!(error instanceof Error && 'status' in error && 'data' in error)) return { code: null, text: null };
  const data = error.data as string | { readonly status: { readonly error: string } };
  return { code: Number(error.status), text: typeof data === 'string' ? data : data.status.error };
}

await run(caller, refusal);
