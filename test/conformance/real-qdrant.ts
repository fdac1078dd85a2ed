import { type QdrantPlace, realQdrant } from '../support/real-qdrant.ts';

/** An unsecured Qdrant the recorded requests may be let loose on. */
export interface RealQdrant extends QdrantPlace {
  readonly version: string;
  /** Deletes every collection; there was none before. */
  clear(): Promise<void>;
}

const TIMEOUT_MS = 10_000;
const POINTS = [1, 2, 3, 4].map((id) => ({
  id,
  vector: { '': [id, 0.5, 0.25, 0.125], words: { indices: [id], values: [1] } },
  payload: { kind: id % 2 ? 'a' : 'b', rank: id, group: 'g' },
}));

/**
 * The Qdrant QDRANT_URL names, with the collections the recorded requests speak of; `undefined` when it is not set.
 * Among those requests are some that delete, so this rejects when it is secured or holds a collection.
 */
export async function openRealQdrant(env: NodeJS.ProcessEnv): Promise<RealQdrant | undefined> {
  const place = realQdrant(env);
  if (place === undefined) return undefined;
  const { restUrl } = place;
  const { version } = (await ask(restUrl, 'GET', '/')) as { version: string };
  const found = await collectionsOf(restUrl);
  if (found.length > 0) {
    throw new Error(`${restUrl} holds collections (${found.length}); this deletes some, so give it an empty Qdrant`);
  }
  const clear = async (): Promise<void> => {
    for (const name of await collectionsOf(restUrl)) await ask(restUrl, 'DELETE', `/collections/${name}`);
  };
  try {
    await seed(restUrl);
  } catch (error) {
    await clear();
    throw error;
  }
  return { ...place, version, clear };
}

async function seed(restUrl: string): Promise<void> {
  for (const name of ['docs', 'notes', 'drafts']) {
    const vectors = { size: 4, distance: 'Dot' };
    await ask(restUrl, 'PUT', `/collections/${name}`, { vectors, sparse_vectors: { words: {} } });
    await ask(restUrl, 'PUT', `/collections/${name}/points?wait=true`, { points: POINTS });
    await ask(restUrl, 'PUT', `/collections/${name}/index?wait=true`, { field_name: 'kind', field_schema: 'keyword' });
  }
  const aliases = { 'docs-live': 'docs', 'docs-old': 'docs', 'notes-live': 'notes' };
  const actions = Object.entries(aliases).map(([alias_name, collection_name]) => ({
    create_alias: { alias_name, collection_name },
  }));
  await ask(restUrl, 'POST', '/collections/aliases', { actions });
}

async function collectionsOf(restUrl: string): Promise<string[]> {
  const { result } = (await ask(restUrl, 'GET', '/collections')) as { result: { collections: { name: string }[] } };
  return result.collections.map(({ name }) => encodeURIComponent(name));
}

async function ask(restUrl: string, method: string, path: string, body?: object): Promise<unknown> {
  const response = await fetch(`${restUrl}${path}`, {
    method,
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  }).catch((cause: unknown) => {
    throw new Error(`${restUrl} cannot be reached`, { cause });
  });
  if (response.ok) return response.json();
  const hint = response.status === 401 || response.status === 403 ? '; it must be unsecured' : '';
  throw new Error(`${method} ${path} is answered ${response.status}${hint}`);
}
