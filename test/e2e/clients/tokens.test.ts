import { createHash } from 'node:crypto';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { clientCalls } from '../../support/clients/calls.ts';
import { pythonWithClient } from '../../support/clients/python.ts';
import { makeCollection, openTeams } from '../../support/issuers/teams.ts';
import { MINTING_SECRET } from '../../support/minting.ts';
import { type Operated, startOperated } from '../../support/operated.ts';

/** The official Python client with a function that fetches tokens from a real provider, or exchanges what it has. */
const python = pythonWithClient();
const skip = python === undefined ? 'no Python with qdrant-client is here (.ci/programs installs it)' : false;

t.test('the official Python client goes through the tutorial with tokens of a provider', { skip }, async (t) => {
  const { provider, gateway, url } = await openTeams(t);
  const script = join(import.meta.dirname, 'tokens.py');
  const ports = [`${gateway.rest.port}`, `${gateway.grpc.port}`];
  const calls = await clientCalls(python ?? '', [script, ...ports, gateway.caFile, url, provider.ca]);
  t.equal(calls.length, 2 * 27 + 2);
  for (const { call, error } of calls) t.equal(error, null, call);
});

t.test('the official Python client exchanges a token of a provider, once for all its calls', { skip }, async (t) => {
  const { provider, gateway } = await openTeams(t);
  await makeCollection(gateway, 'search-docs');
  await checkExchange(t, gateway, await provider.token(), 'search-docs');
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
    settings: { 'gateway.keys_file': 'keys.yaml' },
  });
  t.teardown(() => gateway.close());
  await makeCollection(gateway, 'team-docs');
  await checkExchange(t, gateway, key, 'team-docs');
});

async function checkExchange(t: Test, gateway: Operated, credential: string, collection: string): Promise<void> {
  const script = join(import.meta.dirname, 'exchange.py');
  const ports = [`${gateway.rest.port}`, `${gateway.grpc.port}`];
  const calls = await clientCalls(python ?? '', [script, ...ports, gateway.caFile, credential, collection]);
  t.equal(calls.length, 10);
  for (const { call, error } of calls) t.equal(error, null, call);
}
