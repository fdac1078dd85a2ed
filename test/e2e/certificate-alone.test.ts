import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createSingle } from '../../src/gateway/workers/single.ts';
import { certificateState, LANE_NAMES, type Lane, openLanes, openLine } from '../support/certificate-clients.ts';
import { runCerts } from '../support/certs.ts';
import { newCa } from '../support/client-certificates.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';

/* A certificate as the only credential: a browser adds it to requests of every page, and no other credential may be there. */

const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-certificate-alone-'));
const server = await runCerts(folder);
const root = await newCa('root');
const client = await root.issue();
const caFile = join(folder, 'clients.pem');
writeFileSync(caFile, root.cert);
const upstream = await startFakeQdrant();
t.teardown(() => upstream.close());

const POLICY = 'client_certificates: { id: mesh, mappings: [{ id: all, access: m }] }';
const FILES = { 'tls.cert': server.cert, 'tls.key': server.key, 'tls.ca_cert': caFile };
const REST = LANE_NAMES.filter((lane) => lane !== 'gRPC');
type Row = readonly [headers: Readonly<Record<string, string>>, expected: string];

/** Asks on each lane with each of the headers, and once more by key. */
async function check(lanes: readonly Lane[], rows: readonly Row[], settings: Readonly<Record<string, unknown>> = {}) {
  const mode = { 'gateway.client_certificates.mode': 'identity', ...FILES, ...settings };
  const open = await openLanes(createSingle, (more) => certificateState(upstream, { ...mode, ...more }, POLICY));
  const found: string[] = [];
  for (const lane of lanes) {
    const tls = { ca: readFileSync(server.ca), cert: client.cert, key: client.key };
    const line = await openLine(lane, open.portOf(lane), tls);
    for (const [headers, expected] of rows) {
      const met = await line.ask(undefined, headers);
      if (met !== expected) found.push(`${lane} ${JSON.stringify(headers)}: ${met}`);
      const byKey = 'api-key' in headers ? 'ok' : await line.ask(KEYS.admin, headers);
      if (byKey !== 'ok') found.push(`${lane} ${JSON.stringify(headers)} by key: ${byKey}`);
    }
    line.close();
  }
  await open.stop();
  return found;
}

const CROSS = 'certificate_cross_site';
const EVIL = { origin: 'https://evil.example' };

t.test('a request of another site is refused on each lane of REST, and is good with a key', async (t) => {
  const rows: readonly Row[] = [
    [{}, 'ok'],
    [{ 'sec-fetch-site': 'same-origin' }, 'ok'],
    [{ 'sec-fetch-site': 'none' }, 'ok'],
    [{ origin: 'https://localhost', 'sec-fetch-site': 'same-origin' }, 'ok'],
    [{ 'sec-fetch-site': 'cross-site' }, CROSS],
    [{ 'sec-fetch-site': 'same-site' }, CROSS],
    [{ 'sec-fetch-site': 'other' }, CROSS],
    [{ 'sec-fetch-site': '' }, CROSS],
    [EVIL, CROSS],
    [{ ...EVIL, 'sec-fetch-site': 'none' }, CROSS],
    [{ origin: 'null' }, CROSS],
    [{ origin: 'http://localhost' }, CROSS],
    [{ origin: 'https://localhost:8443' }, CROSS],
    [{ origin: 'https://localhost', 'sec-fetch-site': 'cross-site' }, CROSS],
  ];
  t.same(await check(REST, rows), []);
});

t.test('origins that the operator lists are no other sites', async (t) => {
  const listed = { 'gateway.cors.allowed_origins': ['https://app.example'] };
  const rows: readonly Row[] = [
    [{ origin: 'https://app.example', 'sec-fetch-site': 'cross-site' }, 'ok'],
    [{ origin: 'https://app.example.evil.example', 'sec-fetch-site': 'cross-site' }, CROSS],
    [EVIL, CROSS],
    [{ 'sec-fetch-site': 'cross-site' }, CROSS],
  ];
  t.same(await check(['HTTP/1.1 relay', 'HTTP/2 server'], rows, listed), []);
  const off = await check(['HTTP/1.1 relay'], [[{ origin: 'https://app.example' }, CROSS]], {
    ...{ ...listed, 'service.enable_cors': false },
  });
  t.same(off, [], 'without CORS no origin is');
});

t.test('over gRPC it counts with a content type that pages cannot send unasked', async (t) => {
  const rows: readonly Row[] = [
    [{ 'content-type': 'application/grpc' }, 'ok'],
    [{ 'content-type': 'application/grpc+proto' }, 'ok'],
    [{ 'content-type': 'text/plain' }, CROSS],
    [{ 'content-type': 'text/plain;application/grpc' }, CROSS],
    [{ 'content-type': 'application/grpc-web' }, CROSS],
  ];
  t.same(await check(['gRPC'], rows), []);
});

t.test('a header of a credential that counts as none natively is not replaced by the certificate', async (t) => {
  const absent = [
    { authorization: 'bearer x' },
    { authorization: 'Bearer' },
    { authorization: 'Basic d3Jvbmc=' },
    { authorization: '' },
  ];
  const rows = absent.map((headers): Row => [headers, 'missing_credential']);
  t.same(await check(LANE_NAMES, rows), []);
});
