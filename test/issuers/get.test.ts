import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { fetchKeys } from '../../src/issuers/fetch-keys.ts';
import { get } from '../../src/issuers/get.ts';
import type { RemoteSource } from '../../src/policy/mapping/issuer.ts';
import { providerKey } from '../support/issuers/keys.ts';

/* Answers of identity providers that are not what they should be. */

const key = providerKey('ES256', 'k');
const KEYS = JSON.stringify({ keys: [key.jwk] });
let answer: RequestListener = (_request, response) => void response.end(KEYS);
const seen: string[] = [];
const server = createServer((request, response) => {
  seen.push(`${request.url} ${request.headers.authorization ?? ''}`.trim());
  answer(request, response);
});
await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
t.teardown(() => {
  server.closeAllConnections();
  server.close();
});

const ask = (limitMs = 5000) =>
  get({ url: `${base}/keys?x=1`, ca: undefined, bearer: undefined, maxBytes: 1000, limitMs });

const FAULTS: readonly (readonly [name: string, answer: RequestListener, said: RegExp, limitMs?: number])[] = [
  ['an error', (_, response) => void response.writeHead(500).end('secret'), /^it answered 500$/],
  [
    'a redirect',
    (_, response) => void response.writeHead(302, { location: `${base}/other` }).end(),
    /302, and redirects are not followed/,
  ],
  ['an answer that is too large', (_, response) => void response.end('x'.repeat(1001)), /larger than 1000 bytes/],
  [
    'an answer without end',
    (_, response) => {
      const more = (): void => void (response.write('x'.repeat(500)) && setImmediate(more));
      more();
    },
    /larger than 1000 bytes/,
  ],
  ['no answer', () => undefined, /no answer in time|UND_ERR/, 50],
  ['an answer that stops', (_, response) => void response.write('{'), /no answer in time|UND_ERR/, 50],
  ['a connection that ends', (request) => void request.socket.destroy(), /the connection failed/],
  [
    'a compressed answer',
    (_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('x')),
    /compression/,
  ],
];
for (const [name, given, said, limitMs] of FAULTS) {
  t.test(`${name} is a fault with a reason, and nothing of the answer`, async (t) => {
    answer = given;
    const fault = await ask(limitMs).catch((error: unknown) => error);
    t.match(fault, { name: 'KeyFetchFault', message: said });
    t.notMatch(String(fault), /secret/);
  });
}

t.test('an answer of just the size is taken', async (t) => {
  answer = (_, response) => void response.end('x'.repeat(1000));
  t.equal((await ask()).length, 1000);
});

const source = (more: Partial<RemoteSource>): RemoteSource => ({
  ...{ from: 'url', url: `${base}/keys`, ca: undefined, bearerTokenFile: undefined },
  ...{ refreshMs: 1, coolDownMs: 1, maxStaleMs: 1, ...more },
});
const discovered = source({ from: 'discovery', url: `${base}/.well-known/openid-configuration` });
const metadata =
  (fields: object): RequestListener =>
  (request, response) =>
    void response.end(request.url === '/keys' ? KEYS : JSON.stringify(fields));

t.test('keys are found by the metadata of the issuer', async (t) => {
  answer = metadata({ issuer: base, jwks_uri: `${base}/keys` });
  t.match(await fetchKeys(discovered, base), [{ kid: 'k', kty: 'EC' }]);
});

const METADATA: readonly (readonly [name: string, answer: RequestListener, said: RegExp])[] = [
  ['of another issuer', metadata({ issuer: `${base}/`, jwks_uri: `${base}/keys` }), /another issuer/],
  ['without issuer', metadata({ jwks_uri: `${base}/keys` }), /another issuer/],
  ['without the address of keys', metadata({ issuer: base }), /`jwks_uri` of the metadata is missing/],
  ['with an address that is not https', metadata({ issuer: base, jwks_uri: 'http://10.0.0.1/' }), /https/],
  ['with a file for an address', metadata({ issuer: base, jwks_uri: 'file:///etc/passwd' }), /https/],
  ['that are no object', (_, response) => void response.end('[1'), /not a JSON object/],
];
for (const [name, given, said] of METADATA) {
  t.test(`metadata ${name} are refused`, async (t) => {
    answer = given;
    await t.rejects(fetchKeys(discovered, base), { name: 'KeyFetchFault', message: said });
  });
}

t.test('the token for the API server is sent to the URL of keys, and read anew each time', async (t) => {
  const folder = t.testdir({ token: 'first\n' });
  answer = (_, response) => void response.end(KEYS);
  const asked = source({ bearerTokenFile: `${folder}/token` });
  seen.length = 0;
  await fetchKeys(asked, base);
  const { writeFileSync } = await import('node:fs');
  writeFileSync(`${folder}/token`, 'second');
  await fetchKeys(asked, base);
  t.strictSame(seen, ['/keys Bearer first', '/keys Bearer second']);
  writeFileSync(`${folder}/token`, 'a\nb: c');
  await t.rejects(fetchKeys(asked, base), { message: /holds no token/ });
  await t.rejects(fetchKeys(source({ bearerTokenFile: `${folder}/gone` }), base), { message: /cannot be read/ });
});
