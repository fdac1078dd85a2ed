import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, createServer } from 'node:tls';
import t from 'tap';
import { makeDevCerts } from '../../src/cli/init/dev-certs.ts';
import { loadConfig } from '../../src/config/load.ts';
import { ConfigError } from '../../src/config/problem.ts';
import { loadSecrets } from '../../src/config/secrets.ts';

const YEAR_MS = 31_536_000_000;
const folder = t.testdir();
const certs = await makeDevCerts(join(folder, 'dev'));
const other = await makeDevCerts(join(folder, 'other'));
writeFileSync(join(folder, 'text.pem'), 'not pem');
writeFileSync(join(folder, 'key.txt'), 'a-key\n');
mkdirSync(join(folder, 'empty'));

function load(env: Record<string, string>, nowMs: number = Date.now()) {
  const base = {
    QDRANT__SERVICE__API_KEY_FILE: 'key.txt',
    QDRANT_GATEWAY__UPSTREAM__REST_URL: 'https://q:1',
    QDRANT__SERVICE__GRPC_PORT: '',
  };
  const { config } = loadConfig({ env: { ...base, ...env }, argv: {}, cwd: folder });
  return loadSecrets(config, { cwd: folder, now: () => nowMs });
}

function problemsOf(env: Record<string, string>): string[] {
  try {
    load(env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ place, message }) => `${place}: ${message}`);
  }
}

const TLS = { QDRANT__SERVICE__ENABLE_TLS: '1', QDRANT__TLS__CERT: 'dev/cert.pem', QDRANT__TLS__KEY: 'dev/key.pem' };

t.test('keys come from files, certificates only with TLS on', async (t) => {
  t.strictSame(load({}).secrets, {
    apiKey: 'a-key',
    altApiKey: null,
    readOnlyApiKey: null,
    adminToken: null,
    tls: null,
    upstreamKey: null,
    upstreamCa: null,
  });
  const { secrets, warnings } = load({ ...TLS, QDRANT_GATEWAY__UPSTREAM__TLS_CA: 'dev/ca.pem' });
  t.strictSame(warnings, []);
  const pair = { cert: readFileSync(certs.cert), key: readFileSync(certs.key) };
  t.strictSame(secrets.tls, { ...pair, clientCa: null });
  t.strictSame(secrets.upstreamCa, readFileSync(certs.ca));
});

t.test('the CA of client certificates is read for the ports that ask for them', async (t) => {
  const ca = readFileSync(certs.ca);
  const read = (env: Record<string, string>) => {
    const { tls } = load({ ...TLS, QDRANT__TLS__CA_CERT: certs.ca, ...env }).secrets;
    return { rest: tls?.clientCa, grpc: tls?.grpcClientCa ?? null };
  };
  const ofRest = { QDRANT__SERVICE__VERIFY_HTTPS_CLIENT_CERTIFICATE: 'true' };
  const ofGrpc = { QDRANT_GATEWAY__GRPC_CLIENT_CERTIFICATES: 'true' };
  t.strictSame(read({}), { rest: null, grpc: null });
  t.strictSame(read(ofRest), { rest: ca, grpc: null });
  t.strictSame(read(ofGrpc), { rest: null, grpc: ca });
  t.strictSame(read({ ...ofRest, ...ofGrpc }), { rest: ca, grpc: ca });
  t.throws(() => read({ ...ofGrpc, QDRANT__TLS__CA_CERT: 'no.pem' }), 'one that is missing is no start without');
});

t.test('files that do not fit are refused with their names', async (t) => {
  const verify = { QDRANT__SERVICE__VERIFY_HTTPS_CLIENT_CERTIFICATE: 'true' };
  const cases: [string, Record<string, string>, string[]][] = [
    [
      'no files',
      { ...TLS, QDRANT__TLS__CERT: 'no.pem', QDRANT__TLS__KEY: 'empty' },
      [
        'tls.cert: cannot read the certificate `no.pem`: no such file',
        'tls.key: cannot read the private key `empty`: it is a folder',
      ],
    ],
    ['no certificate', { ...TLS, QDRANT__TLS__CERT: 'text.pem' }, ['tls.cert: `text.pem` contains no PEM certificate']],
    [
      'no key',
      { ...TLS, QDRANT__TLS__KEY: 'text.pem' },
      ['tls.key: `text.pem` contains no usable PEM private key (keys with a passphrase are not supported)'],
    ],
    [
      'key of another certificate',
      { ...TLS, QDRANT__TLS__KEY: 'other/key.pem' },
      ['tls.key: the private key `other/key.pem` does not belong to the certificate `dev/cert.pem`'],
    ],
    [
      'client certificates without their CA',
      { ...TLS, ...verify },
      ['tls.ca_cert: cannot read the client CA `./tls/cacert.pem`: no such file'],
    ],
    [
      'several at once',
      { ...TLS, ...verify, QDRANT__TLS__CA_CERT: 'text.pem', QDRANT_GATEWAY__UPSTREAM__TLS_CA: 'text.pem' },
      [
        'tls.ca_cert: `text.pem` contains no PEM certificate',
        'gateway.upstream.tls_ca: `text.pem` contains no PEM certificate',
      ],
    ],
  ];
  for (const [name, env, problems] of cases) t.strictSame(problemsOf(env), problems, name);
});

t.test('all three key encodings are accepted', async (t) => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(join(folder, 'pkcs1.pem'), privateKey.export({ type: 'pkcs1', format: 'pem' }));
  const mismatch = 'tls.key: the private key `pkcs1.pem` does not belong to the certificate `dev/cert.pem`';
  t.strictSame(problemsOf({ ...TLS, QDRANT__TLS__KEY: 'pkcs1.pem' }), [mismatch], 'PKCS#1 is read');
  t.strictSame(problemsOf(TLS), [], 'PKCS#8 is read');
});

t.test('a certificate out of its time is a warning', async (t) => {
  const now = Date.now();
  t.match(load(TLS, now + 3 * YEAR_MS).warnings, [/^tls\.cert: the certificate `dev\/cert\.pem` expired on /]);
  t.match(load(TLS, now - YEAR_MS).warnings, [/^tls\.cert: the certificate `dev\/cert\.pem` is not valid before /]);
});

t.test('development certificates are kept until a week before their end', async (t) => {
  const again = await makeDevCerts(join(folder, 'dev'));
  t.strictSame(again, { ...certs, made: false });
  t.equal(statSync(certs.key).mode & 0o777, 0o600);
  const soon = await makeDevCerts(join(folder, 'soon'), Date.now() - 819 * 86_400_000);
  t.strictSame([soon.made, (await makeDevCerts(join(folder, 'soon'))).made], [true, true]);
  writeFileSync(other.ca, readFileSync(certs.ca));
  t.equal((await makeDevCerts(join(folder, 'other'))).made, true, 'a CA that signed another certificate');
});

function handshake(port: number, host: string, ca: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const servername = host === 'localhost' ? { servername: host } : {};
    const socket = connect({ port, host: '127.0.0.1', ca, ...servername, checkServerIdentity: () => undefined }, () => {
      resolve(socket.authorized ? socket.alpnProtocol || 'ok' : String(socket.authorizationError));
      socket.destroy();
    });
    socket.on('error', (error) => resolve('code' in error ? String(error.code) : 'error'));
  });
}

t.test('a client that trusts the development CA shakes hands, another does not', async (t) => {
  const fresh = await makeDevCerts(join(folder, 'handshake'));
  const server = createServer({ cert: readFileSync(fresh.cert), key: readFileSync(fresh.key) }, (socket) =>
    socket.end(),
  );
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('no address');
  t.equal(await handshake(address.port, 'localhost', readFileSync(fresh.ca)), 'ok');
  t.equal(await handshake(address.port, '127.0.0.1', readFileSync(fresh.ca)), 'ok');
  t.equal(await handshake(address.port, 'localhost', readFileSync(certs.ca)), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});
