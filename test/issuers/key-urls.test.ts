import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Server, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { fetchKeys } from '../../src/issuers/fetch-keys.ts';
import { get } from '../../src/issuers/get.ts';
import type { RemoteSource } from '../../src/policy/mapping/issuer.ts';
import { makeAuthority } from '../support/authority.ts';
import { providerKey } from '../support/issuers/keys.ts';

/* Servers of keys and metadata that are wrong, slow or elsewhere, each a real one. */

const KEYS = JSON.stringify({ keys: [providerKey('ES256', 'k').jwk] });
const folder = t.testdir();
const [own, other] = await Promise.all([makeAuthority(folder, 'own'), makeAuthority(folder, 'other')]);
const CA = readFileSync(own.ca, 'utf8');
const named = await own.issue('localhost');
const misnamed = await own.issue('elsewhere.test');
const stranger = await other.issue('localhost');

async function listening(t: Test, server: Server, host: string) {
  server.listen(0, host);
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

const serve = async (t: Test, answer: RequestListener, host = '127.0.0.1') => {
  const server = createHttp(answer);
  t.teardown(() => server.closeAllConnections());
  return await listening(t, server, host);
};

const serveTls = async (t: Test, answer: RequestListener, { cert, key } = named) => {
  const server = createHttps({ cert: readFileSync(cert), key: readFileSync(key) }, answer);
  t.teardown(() => server.closeAllConnections());
  return await listening(t, server, '127.0.0.1');
};

/** A server that says what a test writes, byte for byte. */
const serveRaw = async (t: Test, talk: (socket: Socket) => void) => {
  const open = new Set<Socket>();
  const server = createTcp((socket) => {
    open.add(socket);
    socket.on('error', () => undefined).once('close', () => open.delete(socket));
    socket.once('data', () => talk(socket));
  });
  t.teardown(() => {
    for (const socket of open) socket.destroy();
  });
  return await listening(t, server, '127.0.0.1');
};

const source = (url: string, more: Partial<RemoteSource> = {}): RemoteSource => ({
  ...{ from: 'url', url, ca: CA, bearerTokenFile: undefined, refreshMs: 1, coolDownMs: 1, maxStaleMs: 1 },
  ...more,
});
const keysOf = async (url: string, more: Partial<RemoteSource> = {}, issuer = '') =>
  (await fetchKeys(source(url, more), issuer)).map(({ kid }) => kid);
const refusal = (url: string, limitMs = 5000, ca: string | undefined = CA) =>
  get({ url, ca, bearer: undefined, maxBytes: 1_048_576, limitMs }).then(
    (body) => `taken: ${body.length}`,
    (error: unknown) => String(error),
  );

t.test('no redirect is followed, wherever it leads', async (t) => {
  let asked = 0;
  const target = await serve(t, (_, response) => {
    asked += 1;
    response.end(KEYS);
  });
  for (const status of [301, 302, 303, 307, 308]) {
    for (const location of [`http://127.0.0.1:${target}/`, '/keys', 'file:///etc/passwd', '//127.0.0.1/']) {
      const port = await serve(t, (_, response) => void response.writeHead(status, { location }).end(KEYS));
      t.match(await refusal(`http://127.0.0.1:${port}/`), new RegExp(`${status}, and redirects are not followed`));
    }
  }
  t.equal(asked, 0);
});

t.test('only 200 is an answer', async (t) => {
  for (const status of [201, 204, 206, 304, 400, 401, 403, 404, 429, 500, 503]) {
    const port = await serve(
      t,
      (_, response) => void response.writeHead(status).end(status === 204 ? undefined : KEYS),
    );
    t.match(await refusal(`http://127.0.0.1:${port}/`), new RegExp(`it answered ${status}`));
  }
});

t.test('compressed answers are refused by their head, and unannounced ones are no key set', async (t) => {
  const bomb = gzipSync(Buffer.alloc(50_000_000, ' '));
  for (const coding of ['gzip', 'GZIP', 'deflate', 'br', 'zstd', 'identity', 'gzip, gzip']) {
    const head = { 'content-encoding': coding, 'content-type': 'application/json' };
    const port = await serve(t, (_, response) => void response.writeHead(200, head).end(bomb));
    t.match(await refusal(`http://127.0.0.1:${port}/`), /compression/, coding);
  }
  const raw = await serveRaw(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n');
    socket.write(`${bomb.length.toString(16)}\r\n`);
    socket.end(Buffer.concat([bomb, Buffer.from('\r\n0\r\n\r\n')]));
  });
  await t.rejects(keysOf(`http://127.0.0.1:${raw}/`), { name: 'KeyFetchFault' }, 'as transfer coding');
  const plain = await serve(t, (_, response) => void response.end(bomb));
  await t.rejects(keysOf(`http://127.0.0.1:${plain}/`), { message: /cannot be used/ }, 'without a header');
});

t.test('the type of an answer does not count, its bytes do', async (t) => {
  for (const type of ['application/json', 'application/jwk-set+json', 'text/plain', 'text/html', undefined]) {
    const head = type === undefined ? {} : { 'content-type': type };
    const good = await serve(t, (_, response) => void response.writeHead(200, head).end(KEYS));
    t.same(await keysOf(`http://127.0.0.1:${good}/`), ['k'], `${type}`);
    const page = await serve(t, (_, response) => void response.writeHead(200, head).end('<html>Sign in</html>'));
    await t.rejects(keysOf(`http://127.0.0.1:${page}/`), { message: /cannot be used/ }, `${type}, a page`);
  }
});

const every = (socket: Socket, text: string): void => {
  const timer = setInterval(() => void socket.write(text), 5);
  socket.once('close', () => clearInterval(timer));
};
const SLOW: readonly (readonly [name: string, talk: (socket: Socket) => void])[] = [
  ['silence', () => undefined],
  ['a head without end', (socket) => void (socket.write('HTTP/1.1 200 OK\r\n') && every(socket, 'x: y\r\n'))],
  ['other answers before the answer', (socket) => every(socket, 'HTTP/1.1 103 Early Hints\r\n\r\n')],
  [
    'a body, byte by byte',
    (socket) => void (socket.write('HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n') && every(socket, ' ')),
  ],
  [
    'chunks without end',
    (socket) =>
      void (socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n') && every(socket, '1\r\n \r\n')),
  ],
];
for (const [name, talk] of SLOW) {
  t.test(`one time limit holds for the whole answer: ${name}`, async (t) => {
    const port = await serveRaw(t, talk);
    t.match(await refusal(`http://127.0.0.1:${port}/`, 150), /no answer in time|UND_ERR_(HEADERS|BODY)/);
  });
}

const MALFORMED: readonly (readonly [name: string, bytes: string])[] = [
  ['a head of 40 KB', `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(40_000)}\r\ncontent-length: 2\r\n\r\n{}`],
  ['no HTTP', 'SSH-2.0-OpenSSH_9.6\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}'],
  ['fewer bytes than announced', 'HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{}'],
  ['chunks that stop', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n'],
  ['a change of protocol', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
];
for (const [name, bytes] of MALFORMED) {
  t.test(`an answer with ${name} is a fault`, async (t) => {
    const port = await serveRaw(t, (socket) => void socket.end(bytes));
    t.match(await refusal(`http://127.0.0.1:${port}/`), /the connection failed/);
  });
}

t.test('a name that is not there, a port without a server, and certificates that do not prove the name', async (t) => {
  const closed = await serve(t, () => undefined);
  const gone = createTcp();
  const freed = await listening(t, gone, '127.0.0.1');
  gone.close();
  t.match(await refusal('https://name.invalid/keys'), /the connection failed \((ENOTFOUND|EAI_AGAIN)\)/);
  t.match(await refusal(`https://localhost:${freed}/`), /the connection failed/);
  t.match(await refusal(`https://localhost:${closed}/`), /the connection failed/, 'a server without TLS');
  for (const [name, pair, said] of [
    ['of another CA', stranger, /the connection failed \((UNABLE|SELF|CERT)/],
    ['of another name', misnamed, /the connection failed \(ERR_TLS_CERT_ALTNAME_INVALID\)/],
  ] as const) {
    const port = await serveTls(t, (_, response) => void response.end(KEYS), pair);
    t.match(await refusal(`https://localhost:${port}/`), said, name);
  }
  const good = await serveTls(t, (_, response) => void response.end(KEYS));
  t.same(await keysOf(`https://localhost:${good}/`), ['k']);
  t.match(await refusal(`https://localhost:${good}/`, 5000, readFileSync(other.ca, 'utf8')), /connection failed/);
});

t.test('a name with several addresses: one that answers is enough, IPv6 or IPv4', async (t) => {
  const four = await serve(t, (_, response) => void response.end(KEYS));
  t.same(await keysOf(`http://localhost:${four}/`), ['k'], 'of IPv4 alone');
  const server = createHttp((_, response) => void response.end(KEYS));
  const opened = await Promise.race([
    listening(t, server, '::1'),
    once(server, 'error').then(
      () => undefined,
      () => undefined,
    ),
  ]).catch(() => undefined);
  if (opened === undefined) {
    t.comment('this machine has no IPv6');
    return;
  }
  t.same(await keysOf(`http://[::1]:${opened}/`), ['k'], 'an address of IPv6');
});

t.test(
  'metadata may name keys of another origin, which gets neither the token of the first nor less TLS',
  async (t) => {
    const seen: (string | undefined)[] = [];
    const keys = await serveTls(t, (request, response) => {
      seen.push(request.headers.authorization);
      response.end(KEYS);
    });
    const strange = await serveTls(t, (_, response) => void response.end(KEYS), stranger);
    const plain = await serve(t, (_, response) => void response.end(KEYS));
    let jwks = '';
    const at = await serveTls(t, (_, response) => void response.end(JSON.stringify({ issuer, jwks_uri: jwks })));
    const issuer = `https://localhost:${at}`;
    const discover = () =>
      keysOf(`${issuer}/.well-known/openid-configuration`, { from: 'discovery' }, issuer).catch((error: unknown) =>
        String(error),
      );
    jwks = `https://localhost:${keys}/other/place?x=1`;
    t.same(await discover(), ['k']);
    t.same(seen, [undefined]);
    for (const [uri, said] of [
      [`https://localhost:${strange}/`, /the connection failed/],
      [`http://127.0.0.1:${plain}/`, /must begin with https/],
      [`http://example.com/`, /https/],
      ['data:application/json,{"keys":[]}', /https/],
      ['file:///etc/passwd', /https/],
      [`https://user:secret@localhost:${keys}/`, /must not hold a password/],
      [`https://localhost:${keys}/#x`, /must not have a fragment/],
      ['/keys', /must be an https URL/],
      ['', /must be an https URL/],
    ] as const) {
      jwks = uri;
      const met = await discover();
      t.match(met, said, uri);
      t.notMatch(String(met), /secret/);
    }
    t.equal(seen.length, 1, 'and none of those was asked');
  },
);
