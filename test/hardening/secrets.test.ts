import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import t from 'tap';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import { writeData, writeHeaders } from '../../src/http2/write-frames.ts';
import { framed, H2Client, naming } from '../support/clients/h2-client.ts';
import { openTls, talk } from '../support/clients/sockets.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { FakeKeys } from '../support/fake-qdrant/secured.ts';
import { head, say } from '../support/invariants.ts';
import { grpcFields, outcome, restFields } from '../support/invariants-http2.ts';
import { FILE_MS } from '../support/patience.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/process/gateway-process.ts';
import { runScript } from '../support/process/run-script.ts';
import { makeToken, nowSeconds } from '../support/tokens.ts';

t.setTimeout(FILE_MS);

/** Stands in every secret; nothing else holds it. */
const MARK = 'mArKeR77';
const ADMIN = `${MARK}-admin-key-0123456789abcdef`;
const READ_ONLY = `${MARK}-read-only-0123456789abcdef`;
const UPSTREAM_KEY = `${MARK}-upstream-0123456789abcdef`;
const claim = { sub: `${MARK}-subject`, [`${MARK}-claim`]: `${MARK}-value` };
const list = [{ collection: 'mine', access: 'r' }];
const token = (claims: object, secret = ADMIN) => makeToken({ ...claim, ...claims }, secret);
const unsigned = (header: object) =>
  `${[header, { ...claim, access: 'm' }].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')}.`;

const CREDENTIALS: Readonly<Record<string, string>> = {
  admin: ADMIN,
  'read-only': READ_ONLY,
  'wrong key': `${MARK}-wrong`,
  reader: token({ access: list }),
  'global token': token({ access: 'm' }),
  expired: token({ access: 'm', exp: nowSeconds() - 600 }),
  'of another secret': token({ access: 'm' }, `${MARK}-other-secret`),
  'without a signature': unsigned({ alg: 'none' }),
  'with crit': `${unsigned({ alg: 'HS256', crit: [MARK] })}AAAA`,
  'odd access': token({ access: { [MARK]: MARK } }),
  'value_exists without a point': token({
    access: 'r',
    value_exists: { collection: 'mine', matches: [{ key: MARK, value: MARK }] },
  }),
};

/** Whole secrets, the parts of tokens, and the mark in the encodings in which it may turn up. */
const FORBIDDEN = [
  MARK,
  Buffer.from(MARK).toString('base64').slice(0, 8),
  ...Object.values(CREDENTIALS).flatMap((credential) => [credential, ...credential.split('.')]),
].filter((text) => text.length >= 8 && !text.startsWith(Buffer.from('{"alg":"HS256"').toString('base64url')));

const found = (text: string) => FORBIDDEN.filter((secret) => text.includes(secret));

const upstream = await startFakeQdrant();
const garbage = createServer((socket) => socket.on('error', () => undefined).end('\0 nonsense \r\n\r\n'));
await new Promise<void>((resolve) => garbage.listen(0, '127.0.0.1', resolve));
const garbageUrl = `http://127.0.0.1:${(garbage.address() as AddressInfo).port}`;
const env = {
  QDRANT__LOG_LEVEL: 'trace',
  QDRANT__SERVICE__API_KEY: ADMIN,
  QDRANT__SERVICE__READ_ONLY_API_KEY: READ_ONLY,
  QDRANT_GATEWAY__LIMITS__BODY_IDLE_TIMEOUT_MS: '500',
  QDRANT_GATEWAY__LIMITS__HEADER_TIMEOUT_MS: '1000',
};
/** Also the key that upstream requires; the second upstream refuses it. */
const keyed = { ...env, QDRANT_GATEWAY__UPSTREAM__API_KEY: UPSTREAM_KEY };
const keyedUpstream = await startFakeQdrant({ check: new FakeKeys().check });
const gateways: Readonly<Record<string, GatewayProcess>> = {
  'in front of a stand-in': await startGatewayProcess(upstream, keyed),
  'the Fastify lane alone': await startGatewayProcess(keyedUpstream, {
    ...keyed,
    QDRANT_GATEWAY__REST__RELAY: 'false',
  }),
  'upstream talks nonsense': await startGatewayProcess({ restUrl: garbageUrl, grpcUrl: garbageUrl }, env),
  'upstream is not there': await startGatewayProcess(
    { restUrl: 'http://127.0.0.1:1', grpcUrl: 'http://127.0.0.1:1' },
    env,
  ),
};
t.teardown(async () => {
  await Promise.all(Object.values(gateways).map((gateway) => gateway.close()));
  garbage.close();
  await Promise.all([upstream.close(), keyedUpstream.close()]);
});

/** Requests that are refused or broken, each with a credential where one can stand. */
function restRequests(credential: string): Readonly<Record<string, string>> {
  const close = 'connection: close';
  const query = '/collections/mine/points/query';
  const post = (body: string, lines: readonly string[] = []) =>
    `${head('POST', query, credential, [close, `content-length: ${body.length}`, ...lines])}\r\n${body}`;
  return {
    'its own collection': `${head('GET', '/collections/mine', credential, [close])}\r\n`,
    'another collection': `${head('GET', '/collections/other', credential, [close])}\r\n`,
    'an unknown route': `${head('GET', '/nope', credential, [close])}\r\n`,
    'a bearer': `${head('GET', '/collections/mine', undefined, [close, `authorization: Bearer ${credential}`])}\r\n`,
    'a basic credential': `${head('GET', '/collections/mine', undefined, [close, `authorization: Basic ${credential}`])}\r\n`,
    'the credential twice': `${head('GET', '/collections/mine', credential, [close, `api-key: ${credential}`])}\r\n`,
    'the list of collections': `${head('GET', '/collections', credential, [close])}\r\n`,
    telemetry: `${head('GET', '/telemetry', credential, [close])}\r\n`,
    'a name in the body': post('{"query":1,"lookup_from":{"collection":"other"}}'),
    'a body that is no JSON': post('{"lookup_from":'),
    'a body that nests too deeply': post(`{"lookup_from":1,"a":${'['.repeat(70)}${']'.repeat(70)}}`),
    'an unknown coding': post('{"query":1}', ['content-encoding: x']),
    'damaged gzip': post('{"query":1}', ['content-encoding: gzip']),
    'a body that stands still': `${head('POST', query, credential, [close, 'content-length: 50'])}\r\n{`,
    'a body that is too large': `${head('POST', query, credential, [close, 'content-length: 999999999'])}\r\n`,
    'broken chunks': `${head('POST', query, credential, [close, 'transfer-encoding: chunked'])}\r\nzz\r\n`,
    'two lengths': `${head('PUT', query, credential, [close, 'content-length: 1', 'content-length: 2'])}\r\n{}`,
    'a control byte in the credential': `${head('GET', '/collections/mine', `${credential}\x01`, [close])}\r\n`,
    'a line end in the credential': `${head('GET', '/collections/mine', `${credential}\n x`, [close])}\r\n`,
    'blanks in the request line': `GET  /collections/mine HTTP/1.1\r\nhost: x\r\napi-key: ${credential}\r\n\r\n`,
    'a malformed escape': `${head('GET', '/collections/%zz', credential, [close])}\r\n`,
    'a head over the limit': `${head('GET', '/collections/mine', credential, [close, `x: ${'y'.repeat(70_000)}`])}\r\n`,
    'a head that never ends': head('GET', '/collections/mine', credential),
    'a second host': `${head('GET', '/collections/mine', credential, [close, 'host: x'])}\r\n`,
  };
}

/** Fields of calls and requests over HTTP/2 that are refused or broken. */
function frameRequests(credential: string): readonly (readonly ['rest' | 'grpc', readonly HeaderField[], Buffer])[] {
  const key: HeaderField = ['api-key', credential];
  const bearer: HeaderField = ['authorization', `Bearer ${credential}`];
  const call = (path: string, extra: readonly HeaderField[], bytes: Buffer) =>
    ['grpc', grpcFields(path, extra), bytes] as const;
  const get = '/qdrant.Collections/Get';
  return [
    call(get, [key], framed(naming('mine'))),
    call(get, [key], framed(naming('other'))),
    call(get, [bearer], framed(naming('other'))),
    call('/qdrant.Collections/List', [key], framed(Buffer.alloc(0))),
    call('/qdrant.Nope/Nope', [key], framed(Buffer.alloc(0))),
    call(get, [key], Buffer.of(0, 0, 0, 0, 99)),
    call(get, [key], framed(Buffer.alloc(20, 0xff))),
    call(get, [key, ['grpc-encoding', 'x']], framed(naming('mine'), 1)),
    call(get, [['api-key', `${credential}\0`]], framed(naming('mine'))),
    ['rest', restFields('/collections/other', [key]), Buffer.alloc(0)],
    ['rest', restFields('/collections/mine', [['api-key', `${credential}\r\nx: y`]]), Buffer.alloc(0)],
  ];
}

t.test('the look for secrets finds them, whole or in part', async (test) => {
  for (const [who, credential] of Object.entries(CREDENTIALS)) {
    test.not(found(`x ${credential} y`).length, 0, who);
    test.not(found(`x ${credential.split('.').at(1) ?? MARK} y`).length, 0, `a part of ${who}`);
  }
  test.same(found('Invalid API key or JWT'), []);
});

for (const [place, gateway] of Object.entries(gateways)) {
  t.test(`I3, I9: no credential and no claim shows in an answer over REST (${place})`, async (test) => {
    const wrong: string[] = [];
    let answers = 0;
    const ask = async ([who, credential]: readonly [string, string]): Promise<void> => {
      const requests = Object.entries(restRequests(credential));
      const said = await Promise.all(requests.map(([, bytes]) => say({ gateway }, bytes, { withinMs: 4000 })));
      for (const [index, { text }] of said.entries()) {
        if (text !== '') answers += 1;
        if (found(text).length > 0) wrong.push(`${who}, ${requests[index]?.[0]}: ${found(text)}`);
      }
    };
    await Promise.all(Object.entries(CREDENTIALS).map(ask));
    test.same(wrong, []);
    test.ok(answers > 200, `${answers} answers looked at`);
  });

  t.test(`I3, I9: nor over gRPC and HTTP/2 (${place})`, async (test) => {
    const wrong: string[] = [];
    let answers = 0;
    for (const [who, credential] of Object.entries(CREDENTIALS)) {
      for (const [protocol, fields, body] of frameRequests(credential)) {
        const client = await H2Client.connect(gateway[protocol].port, { ca: gateway.ca });
        client.send(writeHeaders(1, encodeHeaders([...fields]), body.length === 0));
        if (body.length > 0) client.send(writeData(1, body, true));
        const ended = await outcome(client, 1);
        const text = JSON.stringify(client.frames.map(({ headers, payload }) => [headers, payload.toString('latin1')]));
        client.close();
        answers += 1;
        if (found(text).length > 0) wrong.push(`${who}, ${fields.join()}: ${ended}`);
      }
    }
    test.same(wrong, []);
    test.equal(answers, Object.keys(CREDENTIALS).length * 11);
  });
}

t.test('I3, I9: nor in what a gateway writes at level trace, nor in its arguments', async (test) => {
  for (const [place, { errors, output, child }] of Object.entries(gateways)) {
    test.same(found(errors()), [], `standard error, ${place}`);
    test.same(found(output()), [], `standard output, ${place}`);
    test.same(found(readFileSync(`/proc/${child.pid}/cmdline`, 'latin1')), [], `arguments, ${place}`);
    test.same([child.exitCode, child.signalCode], [null, null], 'I4');
  }
  const port = gateways['in front of a stand-in']?.rest.port ?? 0;
  const plain = await talk(
    await openTls(port, { rejectUnauthorized: false, ALPNProtocols: [] }),
    `${ADMIN}\r\n\r\n`,
    3000,
  );
  test.same(found(plain.received.toString('latin1')), [], 'a key instead of a request');
});

t.test('I9: nor in what a refused configuration says', async (test) => {
  const good = { QDRANT_GATEWAY__UPSTREAM__REST_URL: garbageUrl, QDRANT_GATEWAY__UPSTREAM__GRPC_URL: garbageUrl };
  const cases: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'a password in an upstream address': {
      QDRANT_GATEWAY__UPSTREAM__REST_URL: `http://user:${MARK}-password@127.0.0.1:1`,
      QDRANT__SERVICE__API_KEY: ADMIN,
    },
    'a key with blanks': { ...good, QDRANT__SERVICE__API_KEY: ` ${ADMIN}` },
    'equal keys': { ...good, QDRANT__SERVICE__API_KEY: ADMIN, QDRANT__SERVICE__READ_ONLY_API_KEY: ADMIN },
    'a key where a number belongs': { ...good, QDRANT__SERVICE__API_KEY: ADMIN, QDRANT__SERVICE__HTTP_PORT: 'x' },
    'an upstream key with a letter that no header carries': {
      ...{ ...good, QDRANT__SERVICE__API_KEY: ADMIN, QDRANT_GATEWAY__UPSTREAM__API_KEY: `${UPSTREAM_KEY}ü` },
    },
    'a good one': { ...good, QDRANT__SERVICE__API_KEY: ADMIN, QDRANT__SERVICE__READ_ONLY_API_KEY: READ_ONLY },
    'a good one with an upstream key': {
      ...{ ...good, QDRANT__SERVICE__API_KEY: ADMIN, QDRANT_GATEWAY__UPSTREAM__API_KEY: UPSTREAM_KEY },
    },
  };
  for (const [name, variables] of Object.entries(cases)) {
    const { out, err, code } = await runScript(['src/cli/main.ts', 'check-config'], { env: variables });
    test.same(found(out + err), [], name);
    test.equal(code === 0, name.startsWith('a good one'), `${name}: ${code}`);
  }
});
