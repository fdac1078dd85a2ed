import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { goodClaims, ISSUER, providerKey, signToken } from '../support/issuers/keys.ts';
import { runScript } from '../support/process/run-script.ts';

/* `token inspect` with a token of an identity provider: with its keys in a file, and fetched. */

const key = providerKey('ES256', 'one');
const server = createServer((_request, response) => void response.end(JSON.stringify({ keys: [key.jwk] })));
await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
t.teardown(() => server.close());
const { port } = server.address() as AddressInfo;
const entry = (keys: string) =>
  `issuers: [{ id: corp, issuer: "${ISSUER}", audiences: [qdrant], ${keys}, mappings: [{ id: m, claim: groups, value: a, access: r }] }]\n`;
const folder = t.testdir({
  'keys.json': JSON.stringify({ keys: [key.jwk] }),
  'fetched.yaml': entry(`jwks_url: "http://127.0.0.1:${port}/keys"`),
  'gone.yaml': entry('jwks_url: "http://127.0.0.1:1/keys"'),
});
const { writeFileSync } = await import('node:fs');
writeFileSync(`${folder}/file.yaml`, entry(`jwks_file: ${folder}/keys.json`));

const now = Math.floor(Date.now() / 1000);
const token = signToken(key, goodClaims(now, { groups: ['a'] }));
const inspect = (policy: string, input: string, ...more: readonly string[]) =>
  runScript(['src/cli/main.ts', 'token', 'inspect', ...more], {
    env: { QDRANT_GATEWAY__POLICY_FILE: `${folder}/${policy}` },
    input,
  });

t.test('with keys in a file: the issuer, the mappings and the access', async (t) => {
  t.match(await inspect('file.yaml', token), {
    code: 0,
    out: /by a private key: .*\nverdict: accepted: signed by the issuer `corp`\nmappings: m\naccess: r\n$/,
  });
  t.match(await inspect('file.yaml', signToken(key, goodClaims(now, { groups: ['b'] }))), {
    code: 1,
    out: /refused: the issuer is `corp`: the identity is valid, and no mapping .*\ncode: no_mapping\n$/,
  });
});

t.test('check-config fetches the keys once, and warns if it cannot', async (t) => {
  const check = (policy: string) =>
    runScript(['src/cli/main.ts', 'check-config'], {
      env: {
        QDRANT_GATEWAY__POLICY_FILE: `${folder}/${policy}`,
        QDRANT__SERVICE__GRPC_PORT: '',
        QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:1',
      },
    });
  t.match(await check('gone.yaml'), {
    code: 0,
    out: /issuer: corp \(mappings: 1\)/,
    err: /the keys of the issuer `corp` were not fetched from http:.*ECONNREFUSED/,
  });
  const fetched = await check('fetched.yaml');
  t.equal(fetched.code, 0);
  t.notMatch(fetched.err, /were not fetched/);
});

t.test('without keys it says how to fetch them, and with the flag it does', async (t) => {
  t.match(await inspect('fetched.yaml', token), { code: 1, out: /--fetch-keys\ncode: issuer_keys_unknown\n$/ });
  t.match(await inspect('fetched.yaml', token, '--fetch-keys'), {
    code: 0,
    out: /accepted: signed by the issuer `corp`/,
  });
  t.match(await inspect('gone.yaml', token, '--fetch-keys'), { code: 1, err: /ECONNREFUSED/ });
});

t.test('can-i tells the issuer and the mappings of a token', async (t) => {
  const asked = (policy: string) =>
    runScript(['src/cli/main.ts', 'can-i', '--credential-file', '-', 'GET', '/collections'], {
      env: {
        QDRANT_GATEWAY__POLICY_FILE: `${folder}/${policy}`,
        QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:1',
      },
      input: token,
    });
  t.match(await asked('file.yaml'), { code: 0, out: /token of the issuer corp, subject alice, by the mappings m/ });
  t.match(await asked('fetched.yaml'), { out: /issuer_keys_unknown[\s\S]*keys that issuers publish are not fetched/ });
});
