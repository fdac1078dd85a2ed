import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import { CLIENT_PREFACE } from '../../src/http2/frames.ts';
import { writeSettings } from '../../src/http2/write-frames.ts';
import { H2Client } from '../support/clients/h2-client.ts';
import { openPlain, openTls } from '../support/clients/sockets.ts';
import { KEYS } from '../support/gateway.ts';
import { casesOf, legitimate, only, percentile, settles, startArena, usageOf } from '../support/invariants.ts';
import { findProgram, runProgram } from '../support/process/programs.ts';
import { runScript } from '../support/process/run-script.ts';
import { timesLonger } from '../support/reference.ts';
import { replaceFile } from '../support/replace-file.ts';
import { until } from '../support/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-tls-'));
const first = await makeDevCerts(folder);
const other = await makeDevCerts(mkdtempSync(join(tmpdir(), 'qdrant-gateway-tls-')));
const arena = await startArena({ QDRANT_GATEWAY__LIMITS__TLS_HANDSHAKE_TIMEOUT_MS: '2000' });
const rotating = await startArena({
  QDRANT__TLS__CERT: first.cert,
  QDRANT__TLS__KEY: first.key,
  QDRANT__TLS__CERT_TTL: '1',
});
const mutual = await startArena({
  QDRANT__SERVICE__VERIFY_HTTPS_CLIENT_CERTIFICATE: 'true',
  QDRANT_GATEWAY__GRPC_CLIENT_CERTIFICATES: 'true',
  QDRANT__TLS__CERT: other.cert,
  QDRANT__TLS__KEY: other.key,
  QDRANT__TLS__CA_CERT: other.ca,
});
/** Trusts the certificate before the change and the one behind it. */
const trusting = {
  ...rotating,
  gateway: { ...rotating.gateway, ca: Buffer.concat([readFileSync(first.ca), readFileSync(other.ca)]) },
};
const ports = ({ gateway }: typeof arena) => [gateway.rest.port, gateway.grpc.port];

casesOf(arena)('T1: TLS 1.2 and 1.3 with forward secrecy and AEAD only, no renegotiation', async (t) => {
  const {
    ca,
    rest: { port: restPort },
  } = arena.gateway;
  for (const port of ports(arena)) {
    const alpn = { ca, ALPNProtocols: ['h2'] };
    for (const version of ['TLSv1', 'TLSv1.1'] as const) {
      const old = { ...alpn, minVersion: version, maxVersion: version, ciphers: 'ALL:@SECLEVEL=0' };
      await t.rejects(openTls(port, old), version);
    }
    const refused = [
      'AES256-SHA',
      'AES128-GCM-SHA256',
      'ECDHE-RSA-AES256-SHA384',
      'ECDHE-RSA-AES128-SHA',
      'DHE-RSA-AES256-SHA256',
    ];
    const exotic = [
      'ECDHE-ECDSA-AES256-CCM',
      'ECDHE-ARIA256-GCM-SHA384',
      'ECDHE-RSA-CAMELLIA256-SHA384',
      'NULL-SHA256',
      'ADH-AES256-GCM-SHA384',
    ];
    for (const ciphers of [...refused, ...exotic]) {
      await t.rejects(openTls(port, { ...alpn, maxVersion: 'TLSv1.2', ciphers: `${ciphers}:@SECLEVEL=0` }), ciphers);
    }
    const good = await openTls(port, { ...alpn, maxVersion: 'TLSv1.2' });
    t.match(good.getCipher().name, /^ECDHE-(ECDSA|RSA)-(AES(128|256)-GCM|CHACHA20)/);
    const renegotiated = new Promise<string>((resolve) => {
      good.once('error', () => resolve('ended')).once('close', () => resolve('ended'));
      good.renegotiate({}, (error) => resolve(error ? 'refused' : 'accepted'));
      setTimeout(() => resolve('ignored'), 1000).unref();
    });
    t.not(await renegotiated, 'accepted', `renegotiation on ${port === restPort ? 'REST' : 'gRPC'}`);
    good.destroy();
  }
});

const sslyze = findProgram('sslyze', ['.runtime/sslyze/bin']);
const skip = sslyze === undefined ? 'sslyze is not installed; .ci/run puts it into .runtime/sslyze' : false;

t.test("T1: sslyze finds both ports within Mozilla's intermediate configuration", { skip }, async (t) => {
  for (const port of ports(arena)) {
    const checks = ['--mozilla_config', 'intermediate', '--certinfo_ca_file', arena.gateway.caFile];
    const { code, out } = await runProgram(sslyze ?? '', [...checks, `localhost:${port}`]);
    const verdict = out.slice(out.indexOf('COMPLIANCE AGAINST'));
    t.equal(code, 0, 'its own verdict');
    t.match(verdict, /localhost:\d+: OK - Compliant/);
    t.match(out, /Client Renegotiation DoS Attack: +OK - Not vulnerable/);
  }
});

/** The first bytes that a client sends. */
async function clientHello(): Promise<Buffer> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = connectTls((server.address() as AddressInfo).port, '127.0.0.1', { servername: 'localhost' });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  server.close();
  return hello;
}

casesOf(arena)('T2: five hundred stalled handshakes and garbage are cut, others shake hands meanwhile', async (t) => {
  const before = usageOf(arena);
  const hello = await clientHello();
  const openings = [
    Buffer.alloc(0),
    Buffer.of(0x16),
    hello.subarray(0, 11),
    hello.subarray(0, -1),
    Buffer.concat([Buffer.of(0x16, 3, 1), Buffer.alloc(64 << 10, 0xff)]),
  ];
  const shake = async (count: number): Promise<number[]> => {
    const ms: number[] = [];
    while (ms.length < count) {
      const began = performance.now();
      (await openTls(arena.gateway.rest.port, { ca: arena.gateway.ca })).destroy();
      ms.push(performance.now() - began);
    }
    return ms;
  };
  const quiet = await shake(50);
  let holding = true;
  const stalled: { socket: Socket; sent: number }[] = [];
  const stall = async (index: number): Promise<void> => {
    const socket = await openPlain(ports(arena)[index % 2] ?? 0);
    const opening = openings[index % openings.length] ?? Buffer.alloc(0);
    socket.on('error', () => undefined).write(opening);
    stalled[index] = { socket, sent: 0 };
    // As many as before, once the gateway has lost its patience; what it cuts at once need not come back at once.
    socket.once('close', () => {
      if (holding && opening.length <= hello.length) void stall(index);
    });
    socket.resume();
  };
  await Promise.all(Array.from({ length: 500 }, (_, index) => stall(index)));
  const dribble = setInterval(() => {
    for (const one of stalled.filter((_, index) => index % openings.length === 0)) {
      if (!one.socket.destroyed) one.socket.write(hello.subarray(one.sent, one.sent + 1));
      one.sent += 1;
    }
  }, 20);
  const ms = await shake(150);
  const p99 = percentile(ms, 0.99);
  t.comment(`T2: handshake p50 ${percentile(ms, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms beside 500 stalled ones`);
  const longer = timesLonger(ms, quiet);
  t.ok(longer < 20, `a handshake takes ${longer.toFixed(1)} times as long as in quiet`);
  holding = false;
  await until(() => stalled.every(({ socket }) => socket.closed), 'all are cut');
  clearInterval(dribble);
  const whole = stalled.filter(({ sent }) => sent >= hello.length);
  t.same(whole, [], 'before a hello that came byte by byte was whole');
  await settles(t, arena, before);
});

t.test('T3: a certificate that cannot be used refuses the start', async (t) => {
  const broken = join(folder, 'broken.pem');
  writeFileSync(broken, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  const pairs = {
    'no certificate': [broken, first.key],
    'another key': [first.cert, other.key],
    'no file': [join(folder, 'none'), first.key],
  };
  for (const [name, [cert = '', key = '']] of Object.entries(pairs)) {
    const env = {
      QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:1',
      QDRANT_GATEWAY__UPSTREAM__GRPC_URL: 'http://127.0.0.1:1',
      QDRANT__SERVICE__API_KEY: KEYS.admin,
      QDRANT__SERVICE__ENABLE_TLS: 'true',
      QDRANT__TLS__CERT: cert,
      QDRANT__TLS__KEY: key,
    };
    const { code, out, err } = await runScript(['src/cli/main.ts', 'serve'], { env });
    t.not(code, 0, name);
    t.match(err, /tls\.(cert|key)|certificate|key/i, name);
    t.notMatch(out + err, /listens on|PRIVATE KEY|AAAA/, name);
  }
});

const serial = async (port: number, options: object = {}): Promise<string> => {
  const socket = await openTls(port, { rejectUnauthorized: false, ALPNProtocols: ['h2'], ...options });
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
};

casesOf(trusting)(
  'T3, T5: a bad file on reload keeps the old certificate, a good pair is taken, no request fails',
  async (t) => {
    const [restPort = 0, grpcPort = 0] = ports(rotating);
    const old = await serial(restPort);
    const before = usageOf(rotating);
    const cut = readFileSync(other.cert).subarray(0, 100);
    const changing = (async () => {
      replaceFile(first.cert, cut);
      await until(
        () => rotating.gateway.errors().includes('the old state stays in force'),
        'the half-written file is noticed',
      );
      t.equal(await serial(restPort), old, 'a half-written file changes nothing');
      t.equal(await serial(grpcPort), old);
      replaceFile(first.cert, readFileSync(other.cert));
      replaceFile(first.key, readFileSync(other.key));
      await until(
        async () => (await serial(restPort)) !== old && (await serial(grpcPort)) !== old,
        'the new pair is there',
      );
    })();
    const during = await legitimate(trusting, changing);
    await changing;
    t.equal(during.wrong, 0, `${during.ms.length} requests, none failed`);
    await settles(t, rotating, before);
  },
);

casesOf(arena)('T6: without client certificates every server name gets the same policy', async (t) => {
  for (const servername of ['localhost', 'LOCALHOST', 'LocalHost', 'other.test', '']) {
    const socket = await openTls(arena.gateway.rest.port, { rejectUnauthorized: false, servername });
    socket.write(only('GET', '/collections/mine'));
    const [chunk] = await once(socket, 'data');
    t.match(String(chunk), /^HTTP\/1\.1 401 /, servername);
    socket.destroy();
  }
});

/** What one caller gets on each port: a status of REST, the code of a gRPC call, or `refused`. */
async function asking({ gateway }: typeof arena, port: 'rest' | 'grpc', options: object): Promise<string> {
  const tried = openTls(gateway[port].port, {
    ca: readFileSync(other.ca),
    ALPNProtocols: [port === 'rest' ? 'http/1.1' : 'h2'],
    checkServerIdentity: () => undefined,
    ...options,
  });
  const socket = await tried.catch(() => undefined);
  if (!socket) return 'refused';
  if (port === 'grpc') {
    const client = new H2Client(socket);
    client.send(CLIENT_PREFACE, writeSettings([]));
    client.call(1, '/qdrant.Collections/List', Buffer.alloc(0), [['api-key', KEYS.admin]]);
    const status = await client.status(1).catch(() => 'refused');
    client.close();
    return status;
  }
  return await new Promise((resolve) => {
    socket.once('error', () => resolve('refused')).once('close', () => resolve('refused'));
    socket.once('data', (chunk: Buffer) => resolve(chunk.toString('latin1', 9, 12)));
    socket.write(only('GET', '/collections', KEYS.admin));
  });
}

t.test('T6: where client certificates are asked for, none and one of another CA are refused', async (t) => {
  const pair = (made: typeof first) => ({ cert: readFileSync(made.cert), key: readFileSync(made.key) });
  const foreign = pair(await makeDevCerts(mkdtempSync(join(tmpdir(), 'qdrant-gateway-tls-'))));
  for (const [port, served] of [
    ['rest', '200'],
    ['grpc', '0'],
  ] as const) {
    for (const servername of ['localhost', 'LOCALHOST', 'other.test']) {
      t.equal(await asking(mutual, port, { servername }), 'refused', `${port}: no certificate, ${servername}`);
      t.equal(await asking(mutual, port, { servername, ...foreign }), 'refused', `${port}: another CA, ${servername}`);
      t.equal(await asking(mutual, port, { servername, ...pair(other) }), served, `${port}: its CA, ${servername}`);
    }
  }
  t.same(mutual.asked(), [...Array(3).fill('GET /collections'), ...Array(3).fill('/qdrant.Collections/List')], 'I1');
});

t.test('T6: each port asks only when it is told to, also after the certificates were read again', async (t) => {
  const asks = { QDRANT__TLS__CERT: other.cert, QDRANT__TLS__KEY: other.key, QDRANT__TLS__CA_CERT: other.ca };
  const none = { servername: 'localhost' };
  const onRest = await startArena({ ...asks, QDRANT__SERVICE__VERIFY_HTTPS_CLIENT_CERTIFICATE: 'true' });
  t.equal(await asking(onRest, 'rest', none), 'refused');
  t.equal(await asking(onRest, 'grpc', none), '0', 'as upstream has it');
  const made = await makeDevCerts(mkdtempSync(join(tmpdir(), 'qdrant-gateway-tls-')));
  const onGrpc = await startArena({
    QDRANT__TLS__CERT: made.cert,
    QDRANT__TLS__KEY: made.key,
    QDRANT__TLS__CA_CERT: made.ca,
    QDRANT__TLS__CERT_TTL: '1',
    QDRANT_GATEWAY__GRPC_CLIENT_CERTIFICATES: 'true',
  });
  const trusted = { ...none, ca: Buffer.concat([readFileSync(made.ca), readFileSync(other.ca)]) };
  t.equal(await asking(onGrpc, 'grpc', trusted), 'refused');
  t.equal(await asking(onGrpc, 'rest', trusted), '200');
  const before = await serial(onGrpc.gateway.grpc.port, { cert: readFileSync(made.cert), key: readFileSync(made.key) });
  for (const name of ['cert', 'key', 'ca'] as const) replaceFile(made[name], readFileSync(other[name]));
  const pair = { cert: readFileSync(other.cert), key: readFileSync(other.key) };
  await until(async () => (await asking(onGrpc, 'grpc', { ...trusted, ...pair })) === '0', 'the new CA counts');
  t.not(await serial(onGrpc.gateway.grpc.port, pair), before);
  t.equal(await asking(onGrpc, 'grpc', trusted), 'refused', 'still asked for');
});
