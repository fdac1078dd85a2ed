import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKey } from '../../src/cli/key/commands.ts';
import type { QdrantPlace } from '../support/real-qdrant.ts';
import { FOREIGN } from './steps.ts';

/* A tenant with a named key, and the collection that it shares. */

/** The files that a gateway reads, and the key of the tenant. */
export interface TenantFiles {
  readonly policy: string;
  readonly keys: string;
  readonly key: string;
}

const SHARED = 'shared';
const FIELD = 'tenant';

/** Writes the files into a folder. */
export async function tenantFiles(folder: string): Promise<TenantFiles> {
  const [policy, keys] = [join(folder, 'policy.yaml'), join(folder, 'keys.yaml')];
  writeFileSync(
    policy,
    `tenants: [{id: shared, keys: [acmeshop], collections: [${SHARED}], field: ${FIELD}, from: ${FIELD}}]\n`,
  );
  const said: string[] = [];
  const output = { out: (text: string) => said.push(text), err: () => undefined };
  const wanted = { file: keys, name: 'Acme shop', id: 'acmeshop', collection: [`${SHARED}=prw`], tenant: ['acme'] };
  await createKey(wanted, { output, now: Date.now(), readStdin: async () => '' });
  return { policy, keys, key: said.join('').trim() };
}

/** Makes the collection anew, with the point of another tenant. */
export async function makeShared(upstream: QdrantPlace): Promise<void> {
  await ask(upstream, 'DELETE', '');
  await ask(upstream, 'PUT', '', { vectors: { size: 4, distance: 'Dot' } });
  const index = { field_name: FIELD, field_schema: { type: 'keyword', is_tenant: true } };
  await ask(upstream, 'PUT', '/index?wait=true', index);
  const foreign = { id: FOREIGN, vector: [9, 9, 9, 9], payload: { title: 'Persuasion', [FIELD]: 'umbrella' } };
  await ask(upstream, 'PUT', '/points?wait=true', { points: [foreign] });
}

/** The point of another tenant as it is now. */
export async function foreignPoint(upstream: QdrantPlace): Promise<unknown> {
  const { result } = await ask(upstream, 'GET', `/points/${FOREIGN}`);
  return result;
}

const ask = (upstream: QdrantPlace, method: string, path: string, body?: object) =>
  askUpstream(upstream, method, `/collections/${SHARED}${path}`, body);

/**
 * Asks Qdrant itself; a refusal is an error, but of a deletion. On a connection of its own: installing a client stops this process, and a
 * connection that is kept may be closed meanwhile.
 */
export async function askUpstream(
  { restUrl }: QdrantPlace,
  method: string,
  path: string,
  body?: object,
): Promise<{ readonly result?: unknown }> {
  const headers = { connection: 'close', 'content-type': 'application/json' };
  const answer = await fetch(`${restUrl}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) });
  if (!answer.ok && method !== 'DELETE') throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as { readonly result?: unknown };
}
