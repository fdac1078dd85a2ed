import { Code, ConnectError } from '@connectrpc/connect';
import { Distance, QdrantClient } from '@qdrant/js-client-grpc';
import { type Caller, QUERY, type Refusal, run, type TenantCaller } from './steps.ts';

const collectionName = 'books';
const id = (value: number) => ({ pointIdOptions: { case: 'num' as const, value: BigInt(value) } });
const selected = {
  pointsSelectorOneOf: { case: 'points' as const, value: { ids: [id(1)] } },
};
const vectorsConfig = { config: { case: 'params' as const, value: { size: 4n, distance: Distance.Dot } } };
const nearest = {
  variant: { case: 'nearest' as const, value: { variant: { case: 'dense' as const, value: { data: QUERY } } } },
};
const first = { variant: { case: 'nearest' as const, value: { variant: { case: 'id' as const, value: id(1) } } } };
const withPayload = { selectorOptions: { case: 'enable' as const, value: true } };

/** The tutorial with @qdrant/js-client-grpc. */
function caller(key?: string): Caller {
  const apiKey = key === undefined ? {} : { apiKey: key };
  const client = new QdrantClient({
    url: `https://localhost:${process.env.GRPC_PORT}`,
    checkCompatibility: false,
    ...apiKey,
  });
  const [collections, points] = [client.api('collections'), client.api('points')];
  return {
    list: async () => (await collections.list({})).collections.map(({ name }) => name),
    create: () => collections.create({ collectionName, vectorsConfig }),
    write: (books) =>
      points.upsert({
        collectionName,
        wait: true,
        points: books.map((book) => ({
          id: id(book.id),
          vectors: { vectorsOptions: { case: 'vector' as const, value: { data: book.vector } } },
          payload: { title: { kind: { case: 'stringValue' as const, value: book.title } } },
        })),
      }),
    search: async () => {
      const { result } = await points.query({ collectionName, query: nearest, limit: 1n, withPayload });
      return result[0]?.payload.title?.kind.value;
    },
    count: async (name) => Number((await points.count({ collectionName: name })).result?.count),
    deletePoint: () => points.delete({ collectionName, wait: true, points: selected }),
    deleteCollection: () => collections.delete({ collectionName }),
    lookUp: () => points.query({ collectionName, query: first, lookupFrom: { collectionName: 'private' } }),
    tenant: tenantCaller(client),
  };
}

const text = (value: string) => ({ kind: { case: 'stringValue' as const, value } });

function tenantCaller(client: QdrantClient): TenantCaller {
  const points = client.api('points');
  const shared = { collectionName: 'shared' };
  const ids = (
    found: readonly { readonly id?: { readonly pointIdOptions: { readonly value?: unknown } } | undefined }[],
  ) => found.map((point) => Number(point.id?.pointIdOptions.value));
  return {
    write: (books, tenant) =>
      points.upsert({
        ...{ ...shared, wait: true },
        points: books.map((book) => ({
          id: id(book.id),
          vectors: { vectorsOptions: { case: 'vector' as const, value: { data: book.vector } } },
          payload: { title: text(book.title), ...(tenant && { tenant: text(tenant) }) },
        })),
      }),
    search: async () => {
      const { result } = await points.query({ ...shared, query: nearest, limit: 1n, withPayload });
      return result[0]?.payload.title?.kind.value;
    },
    scroll: async () => ids((await points.scroll({ ...shared, limit: 10 })).result),
    retrieve: async (wanted) => ids((await points.get({ ...shared, ids: wanted.map(id) })).result),
    delete: (wanted) =>
      points.delete({
        ...{ ...shared, wait: true },
        points: { pointsSelectorOneOf: { case: 'points', value: { ids: wanted.map(id) } } },
      }),
    count: async () => Number((await points.count(shared)).result?.count),
  };
}

/** Every error is a ConnectError; one without an answer of the gateway says that it is unavailable. */
function refusal(error: unknown): Refusal {
  if (!(error instanceof ConnectError) || error.code === Code.Unavailable || error.code === Code.Internal) {
    return { code: null, text: null };
  }
  return { code: Code[error.code].replace(/(?<!^)[A-Z]/g, '_$&').toUpperCase(), text: error.rawMessage };
}

await run(caller, refusal);
