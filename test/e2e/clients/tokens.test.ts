import { createHash } from 'node:crypto';
import { join } from 'node:path';
import t from 'tap';
import { clientCalls } from '../../support/clients/calls.ts';
import { pythonWithClient } from '../../support/clients/python.ts';
import { KEYS } from '../../support/gateway.ts';
import { startProvider } from '../../support/issuers/provider.ts';
import { MINTING_SECRET } from '../../support/minting.ts';
import { startOperated } from '../../support/operated.ts';

/** The official Python client with a function that fetches tokens from a real provider: writes and reads the collections of its team. */
const python = pythonWithClient();
const skip = python === undefined ? 'no Python with qdrant-client is here (.ci/programs installs it)' : false;

t.test('the official Python client fetches its tokens from an identity provider', { skip }, async (t) => {
  const provider = await startProvider(t.testdir());
  t.teardown(() => provider.stop());
  const policy = `
issuers:
  - id: corp
    issuer: ${provider.issuer}
    audiences: [qdrant]
    ca_file: ${provider.ca}
    subject: client_id
    mappings:
      - id: teams
        claim: team
        access: [{ collections: ['\${team}-*'], access: rw, manage: [create, delete] }]
`;
  const settings = { 'service.enable_tls': false };
  const gateway = await startOperated({ files: { 'policy.yaml': policy }, settings });
  t.teardown(() => gateway.close());
  const script = join(import.meta.dirname, 'tokens.py');
  const ports = [`${gateway.rest.port}`, `${gateway.grpc.port}`];
  const calls = await clientCalls(python ?? '', [script, ...ports, `${provider.issuer}/token`, provider.ca]);
  t.equal(calls.length, 14);
  for (const { call, error } of calls) t.equal(error, null, call);
});

t.test('the official Python client exchanges a key for a token, once for all its calls', { skip }, async (t) => {
  const key = 'qgw_team_secret';
  const hash = `sha256:${createHash('sha256').update(key).digest('hex')}`;
  const access = [{ collections: ['team-*'], access: 'rw' }];
  const gateway = await startOperated({
    files: {
      'keys.yaml': JSON.stringify({ keys: [{ id: 'team', name: 'Team', hash, expires_at: 'never', access }] }),
      'policy.yaml': JSON.stringify({
        signing_keys: [{ id: 'minting', secret: MINTING_SECRET, exchange: true }],
        token_exchange: { rest_port: true },
      }),
    },
    settings: { 'service.enable_tls': false, 'gateway.keys_file': 'keys.yaml' },
  });
  t.teardown(() => gateway.close());
  const made = await fetch(`${gateway.rest.url}/collections/team-docs`, {
    method: 'PUT',
    headers: { 'api-key': KEYS.admin, 'content-type': 'application/json' },
    body: JSON.stringify({ vectors: { size: 2, distance: 'Dot' } }),
  });
  t.equal(made.status, 200);
  const script = join(import.meta.dirname, 'exchange.py');
  const calls = await clientCalls(python ?? '', [script, `${gateway.rest.port}`, `${gateway.grpc.port}`, key]);
  t.equal(calls.length, 10);
  for (const { call, error } of calls) t.equal(error, null, call);
});
