import { once } from 'node:events';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeAuthority } from '../support/authority.ts';
import { type ProviderKey, providerKey, signToken } from '../support/issuers/keys.ts';
import { makeCollection } from '../support/issuers/teams.ts';
import { startOperated } from '../support/operated.ts';
import { until } from '../support/until.ts';

/*
 * Projected tokens of a cluster whose API server gives its keys to service accounts alone: the gateway asks as a pod does, with the CA
 * and the token of its own account, which the kubelet replaces.
 */

const ISSUER = 'https://kubernetes.default.svc.cluster.local';

/** The API server: its key set for one bearer token. */
async function startApiServer(t: Test, folder: string) {
  const authority = await makeAuthority(folder, 'cluster');
  const pair = await authority.issue('localhost');
  const state = { accepts: 'pod-token-1', key: providerKey('RS256', 'key-1'), refused: 0, asked: [] as string[] };
  const server = createServer({ cert: readFileSync(pair.cert), key: readFileSync(pair.key) }, (request, response) => {
    state.asked.push(request.url ?? '');
    if (request.headers.authorization !== `Bearer ${state.accepts}`) {
      state.refused += 1;
      const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Unauthorized', code: 401 };
      response.writeHead(401, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      return;
    }
    const type = { 'content-type': 'application/jwk-set+json', 'cache-control': 'no-cache, private' };
    if (request.url === '/openid/v1/jwks') response.writeHead(200, type).end(JSON.stringify({ keys: [state.key.jwk] }));
    else response.writeHead(404).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { state, ca: authority.ca, port: (server.address() as AddressInfo).port };
}

/** A projected token in the form of Kubernetes 1.30 and later. */
function projected(key: ProviderKey, { audience = 'qdrant', account = 'indexer', seconds = 3600 } = {}): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    aud: [audience],
    ...{ exp: now + seconds, iat: now - 5, nbf: now - 5, iss: ISSUER, jti: 'b0c6cd0e-4c36-4d5a-9f5d-2f3a5c1f7a11' },
    'kubernetes.io': {
      namespace: 'search',
      node: { name: 'node-1', uid: '5d2e3f6b-1b0e-4d0e-8a4a-0d9a3f0a2b11' },
      pod: { name: 'indexer-7c9d', uid: '0f4d2f4e-8b1f-4a1e-9a86-6a5a7d2f0c55' },
      serviceaccount: { name: account, uid: 'b6f2c1f4-5c53-4b7a-8c3e-1f7b8a2f9d77' },
    },
    sub: `system:serviceaccount:search:${account}`,
  };
  return signToken(key, claims, { typ: undefined });
}

t.test('projected tokens by the keys of the API server, asked with the own token of the pod', async (t) => {
  const folder = t.testdir({ token: 'pod-token-1\n' });
  const tokenFile = join(folder, 'token');
  const api = await startApiServer(t, folder);
  const policy = {
    issuers: [
      {
        ...{ id: 'cluster', preset: 'kubernetes', audiences: ['qdrant'], cool_down: 1 },
        ...{ jwks_url: `https://localhost:${api.port}/openid/v1/jwks`, ca_file: api.ca, bearer_token_file: tokenFile },
        mappings: [
          {
            ...{ id: 'indexer', claim: 'sub', value: 'system:serviceaccount:search:indexer' },
            access: [{ collections: [`\${"kubernetes.io".namespace}--*`], access: 'rw' }],
          },
        ],
      },
    ],
  };
  const gateway = await startOperated({ files: { 'policy.yaml': JSON.stringify(policy) } });
  t.teardown(() => gateway.close());
  await makeCollection(gateway, 'search--docs');
  await makeCollection(gateway, 'other--docs');
  const ask = async (token: string, collection = 'search--docs') => {
    const { Agent, fetch } = await import('undici');
    const dispatcher = new Agent({ connect: { ca: gateway.ca } });
    const answer = await fetch(`${gateway.rest.url}/collections/${collection}`, {
      ...{ dispatcher, headers: { authorization: `Bearer ${token}` } },
    });
    const said = await answer.text();
    await dispatcher.close();
    return answer.status === 200 ? 'ok' : `${answer.status} ${said}`;
  };

  const first = api.state.key;
  t.equal(await ask(projected(first)), 'ok');
  t.same([...new Set(api.state.asked)], ['/openid/v1/jwks'], 'no discovery, which most clusters refuse to strangers');
  t.equal(api.state.refused, 0);
  for (const [name, token, said, collection] of [
    ['another namespace', projected(first), /^403 .*Access to collection other--docs is required/, 'other--docs'],
    ['another account', projected(first, { account: 'web' }), /^403 .*no mapping of the policy/],
    ['a token for the API server', projected(first, { audience: ISSUER }), /^403 InvalidAudience/],
    ['an expired one', projected(first, { seconds: -60 }), /^403 ExpiredSignature/],
    ['of another cluster', projected(providerKey('RS256', 'key-1')), /^403 InvalidSignature/],
    ['the token of the gateway itself', 'pod-token-1', /^401 /],
  ] as const) {
    t.match(await ask(token, collection), said, name);
  }

  // The kubelet replaces the token, and the cluster its key: with the old token the gateway would learn of no new key.
  api.state.accepts = 'pod-token-2';
  api.state.key = providerKey('RS256', 'key-2');
  await until(async () => (await ask(projected(api.state.key))) !== 'ok' && api.state.refused > 0, 'it is refused');
  t.equal(await ask(projected(first)), 'ok', 'the known key stays in use');
  writeFileSync(`${tokenFile}.new`, 'pod-token-2\n');
  renameSync(`${tokenFile}.new`, tokenFile);
  await until(async () => (await ask(projected(api.state.key))) === 'ok', 'the new token is read for the next fetch');
  t.match(await ask(projected(first)), /^403 /, 'and the former key is gone');
});
