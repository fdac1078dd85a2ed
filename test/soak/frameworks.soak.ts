import { join } from 'node:path';
import { newKeyText } from '../../src/identity/key-text.ts';
import { clientCalls } from '../support/clients/calls.ts';
import { KEYS, startGateway, type TestGateway } from '../support/gateway.ts';
import { namedKey } from '../support/named-keys.ts';
import { collectionToken } from '../support/tokens.ts';

/*
 * Frameworks with a named key that may create collections inside a prefix, and with a token that may write one collection, which
 * exists: with `gateway.compatibility.create_existing` and without.
 *
 *   npm run soak -- frameworks PYTHON
 *
 * PYTHON has `qdrant-client` and those of `langchain-qdrant`, `mem0ai`, `llama-index-vector-stores-qdrant` and
 * `mcp-server-qdrant` that are to be shown.
 */

const python = process.argv[2] ?? 'python3';
const SCRIPT = join(import.meta.dirname, '../e2e/clients/frameworks.py');
const COLLECTION = JSON.stringify({ vectors: { size: 4, distance: 'Cosine' } });
const SCOPED = newKeyText('scoped');
/** A named key for one prefix, where it may create collections: nothing has to be there before. */
const MAY_CREATE = namedKey('scoped', SCOPED, {
  access: [{ collections: ['mine*'], access: 'rw', manage: ['create'] }],
});

async function show(gateway: TestGateway, key: string, what: string): Promise<void> {
  const ports = [gateway.rest.port, gateway.grpc.port].map(String);
  for (const { call, error } of await clientCalls(python, [SCRIPT, ...ports, key])) {
    if (call !== 'end' || error) process.stdout.write(`${what}: ${call}: ${error ?? 'works'}\n`);
  }
}

const gateway = await startGateway({ tls: false, namedKeys: [MAY_CREATE] });
await show(gateway, SCOPED, 'a key that may create');
await gateway.close();

for (const on of [false, true]) {
  const gateway = await startGateway({ tls: false, settings: { 'gateway.compatibility.create_existing': on } });
  const made = await fetch(`http://127.0.0.1:${gateway.rest.port}/collections/mine`, {
    method: 'PUT',
    headers: { 'api-key': KEYS.admin, 'content-type': 'application/json' },
    body: COLLECTION,
  });
  if (made.status !== 200) throw new Error(`the collection was not made: ${made.status}`);
  await show(gateway, collectionToken('rw', 'mine'), `a token, create_existing ${on}`);
  await gateway.close();
}
