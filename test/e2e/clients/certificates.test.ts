import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { createSingle } from '../../../src/gateway/workers/single.ts';
import { certificateState } from '../../support/certificate-clients.ts';
import { runCerts } from '../../support/certs.ts';
import { newCa, type Pair } from '../../support/client-certificates.ts';
import { curl, curlMissing } from '../../support/clients/curl.ts';
import { pythonWithClient } from '../../support/clients/python.ts';
import { startFakeQdrant } from '../../support/fake-qdrant/main.ts';
import { KEYS } from '../../support/gateway.ts';
import { PATIENCE_MS } from '../../support/patience.ts';

/* Client certificates as programs show them: curl, Node, and Python with requests, httpx and grpc. */

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-certificate-clients-'));
const server = await runCerts(folder);
const [root, other] = await Promise.all([newCa('root'), newCa('other')]);
const at = (name: string): string => join(folder, name);
writeFileSync(at('clients.pem'), root.cert);
const upstream = await startFakeQdrant();
t.teardown(() => upstream.close());

interface Files {
  readonly cert: string;
  readonly key: string;
}

function files(name: string, { cert, key }: Pair): Files {
  writeFileSync(at(`${name}.pem`), cert);
  writeFileSync(at(`${name}.key`), key);
  return { cert: at(`${name}.pem`), key: at(`${name}.key`) };
}

const CLIENTS = {
  good: files('good', await root.issue({ san: [[6, 'spiffe://example.org/reader']] })),
  other: files('other', await other.issue({ san: [[6, 'spiffe://example.org/reader']] })),
  none: { cert: '', key: '' },
};

async function open(mode: string) {
  const settings = {
    ...{ 'tls.cert': server.cert, 'tls.key': server.key, 'tls.ca_cert': at('clients.pem') },
    'gateway.client_certificates.mode': mode,
  };
  const policy = `
client_certificates:
  id: mesh
  mappings: [{ id: reader, claim: spiffe_id, value: spiffe://example.org/reader, access: r }]
`;
  const fleet = await createSingle(certificateState(upstream, settings, policy));
  const { rest, grpc } = await fleet.start();
  t.teardown(() => fleet.stop(0));
  return { rest: rest.port, grpc: grpc?.port ?? 0 };
}

const ports = { identity: await open('identity'), beside_key: await open('beside_key') };

/** Mode, client, key, and the answers of REST and gRPC. */
const CASES = [
  ['identity', 'good', '', 200, 'OK'],
  ['identity', 'other', '', 401, 'UNAUTHENTICATED'],
  ['identity', 'none', '', 401, 'UNAUTHENTICATED'],
  ['identity', 'none', KEYS.admin, 200, 'OK'],
  ['beside_key', 'good', '', 401, 'UNAUTHENTICATED'],
  ['beside_key', 'good', KEYS.admin, 200, 'OK'],
  ['beside_key', 'none', KEYS.admin, 401, 'UNAUTHENTICATED'],
] as const;

const named = (mode: string, client: string, key: string): string =>
  `${mode}, certificate ${client}, ${key ? 'with' : 'without'} key`;

t.test('curl', { skip: curlMissing() }, async (t) => {
  for (const [mode, client, key, status] of CASES) {
    const { cert, key: keyFile } = CLIENTS[client];
    const shown = cert ? ['--cert', cert, '--key', keyFile] : [];
    for (const version of ['--http1.1', '--http2']) {
      const args = [version, ...shown, ...(key ? ['-H', `api-key: ${key}`] : [])];
      const answer = await curl(server.ca, [...args, `https://localhost:${ports[mode].rest}/collections`]);
      t.equal(answer.status, status, `${version} ${named(mode, client, key)}`);
    }
  }
});

t.test('Node, with an agent that keeps connections and sessions', async (t) => {
  for (const [mode, client, key, status] of CASES) {
    const { cert, key: keyFile } = CLIENTS[client];
    const shown = cert ? { cert: readFileSync(cert), key: readFileSync(keyFile) } : {};
    const agent = new Agent({ ca: readFileSync(server.ca), ...shown, maxSockets: 1 });
    for (let turn = 0; turn < 3; turn += 1) {
      const headers = { ...(key && { 'api-key': key }), connection: 'close' };
      const options = { agent, headers, port: ports[mode].rest, host: 'localhost', path: '/collections' };
      const met = await new Promise((resolve, reject) => {
        request(options, (response) => response.resume().once('end', () => resolve(response.statusCode)))
          .once('error', reject)
          .end();
      });
      t.equal(met, status, `${named(mode, client, key)}, turn ${turn}`);
    }
    agent.destroy();
  }
});

const python = pythonWithClient();
const skip = python === undefined ? 'no Python with qdrant-client is here (.ci/programs installs it)' : false;

t.test('Python: requests, httpx, and the official stubs over gRPC', { skip, timeout: PATIENCE_MS }, async (t) => {
  const script = join(import.meta.dirname, 'certificates.py');
  const given = CASES.map(([mode, client, key]) => {
    return { ...ports[mode], ca: server.ca, ...CLIENTS[client], api_key: key };
  });
  const { stdout } = await promisify(execFile)(python ?? '', ['-W', 'ignore', script, JSON.stringify(given)]);
  const met = stdout.trim().split('\n');
  t.equal(met.length, CASES.length);
  for (const [index, [mode, client, key, status, code]] of CASES.entries()) {
    const expected = [status, status, `HTTP/1.1 ${status}`, `HTTP/2 ${status}`, code];
    t.same(JSON.parse(met[index] ?? ''), expected, named(mode, client, key));
  }
});
