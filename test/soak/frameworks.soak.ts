import { join } from 'node:path';
import { clientCalls } from '../support/clients/calls.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { collectionToken } from '../support/tokens.ts';

/*
 * Frameworks with a token that may write one collection, which exists: with `gateway.compatibility.create_existing` and without.
 *
 *   npm run soak -- frameworks PYTHON
 *
 * PYTHON has `qdrant-client` and those of `langchain-qdrant`, `mem0ai`, `llama-index-vector-stores-qdrant` and
 * `mcp-server-qdrant` that are to be shown.
 */

const python = process.argv[2] ?? 'python3';
const SCRIPT = join(import.meta.dirname, '../e2e/clients/frameworks.py');
const COLLECTION = JSON.stringify({ vectors: { size: 4, distance: 'Cosine' } });

for (const on of [false, true]) {
  const gateway = await startGateway({ tls: false, settings: { 'gateway.compatibility.create_existing': on } });
  const made = await fetch(`http://127.0.0.1:${gateway.rest.port}/collections/mine`, {
    method: 'PUT',
    headers: { 'api-key': KEYS.admin, 'content-type': 'application/json' },
    body: COLLECTION,
  });
  if (made.status !== 200) throw new Error(`the collection was not made: ${made.status}`);
  const ports = [gateway.rest.port, gateway.grpc.port].map(String);
  for (const { call, error } of await clientCalls(python, [SCRIPT, ...ports, collectionToken('rw', 'mine')])) {
    if (call !== 'end' || error) process.stdout.write(`create_existing ${on}: ${call}: ${error ?? 'works'}\n`);
  }
  await gateway.close();
}
