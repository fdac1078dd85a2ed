import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import t from 'tap';
import { SuspectAnswer } from '../../src/rest/response/suspect-answer.ts';
import { grpcRefusesCredential, isSuspect } from '../../src/upstream/refused-key.ts';

/** Which answers of upstream are about the credential that the gateway showed, and which are the caller's to read. */

const json = (text: string) => JSON.stringify({ status: { error: text }, time: 0.000_01 });
const JSON_TYPE = 'application/json';
const TEXT_TYPE = 'text/plain; charset=utf-8';

const OF_THE_KEY: readonly (readonly [name: string, status: number, type: string | undefined, body: string])[] = [
  ['no key', 401, undefined, 'Must provide an API key or an Authorization bearer token'],
  ['a wrong key', 401, undefined, 'Invalid API key or JWT'],
  ['a wrong key before 1.9', 403, undefined, 'Invalid api-key'],
  ['a token in place of a key, expired', 403, undefined, 'ExpiredSignature'],
  ['a read-only key', 403, JSON_TYPE, json('Forbidden: Global manage access is required')],
  ['a read-only key, on a row of bare text', 403, TEXT_TYPE, 'Forbidden: Global manage access is required'],
  ['a token with a list', 403, JSON_TYPE, json('Forbidden: Global access is required')],
  ['another list', 403, JSON_TYPE, json('Forbidden: Access to collection a "b" is required')],
  ['a list of points', 403, JSON_TYPE, json('Forbidden: Only points access is allowed for collection a')],
  ['a list that reads', 403, JSON_TYPE, json('Forbidden: Write access to collection a is required')],
  ['a list that writes', 403, JSON_TYPE, json('Forbidden: Manage access for this operation is required')],
  ['a proxy of a cloud', 403, JSON_TYPE, '{"error":"forbidden"}'],
  ['a page of a proxy', 403, 'text/html', '<h1>403 Forbidden</h1>'],
  ['a long page of a proxy', 403, JSON_TYPE, json(`Forbidden: ${'x'.repeat(9000)}`)],
  ['a proxy that asks for a login', 401, 'text/html', '<h1>401</h1>'],
];

const OF_THE_CALLER: readonly (readonly [name: string, type: string, body: string])[] = [
  [
    'a snapshot from a URL',
    JSON_TYPE,
    json('Forbidden: Snapshot recovery from remote URLs is disabled in the configuration'),
  ],
  [
    'a snapshot outside of its folder',
    TEXT_TYPE,
    'Forbidden: Snapshot file path must be inside the snapshots directory "/q"',
  ],
  [
    'a path that reads like a refusal of the key',
    JSON_TYPE,
    json(
      'Forbidden: Snapshot file "/x/Forbidden: Global access is required" must be inside the snapshots directory "/q"',
    ),
  ],
  [
    'a path with quotes that reads like a refusal of the key',
    JSON_TYPE,
    json('Forbidden: Snapshot file "/"error":"Forbidden: Global access is required" must be inside the directory "/q"'),
  ],
  ['a locked storage', JSON_TYPE, json('Storage locked: maintenance')],
];

/** True = the gateway takes the answer for a refusal of its key. */
function judged(status: number, headers: readonly string[], parts: readonly Buffer[], framed = false): boolean {
  const answer = new SuspectAnswer(status, headers, framed);
  answer.add(
    parts,
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  return answer.refuses;
}

t.test('refusals of the key, and what else is 403', async (t) => {
  for (const [name, status, type, body] of OF_THE_KEY) {
    t.ok(isSuspect(status), name);
    t.equal(judged(status, type ? ['content-type', type] : [], [Buffer.from(body)]), true, name);
  }
  for (const [name, type, body] of OF_THE_CALLER) {
    t.equal(judged(403, ['Content-Type', type], [Buffer.from(body)]), false, name);
  }
  for (const status of [200, 400, 404, 429, 500, 503]) t.notOk(isSuspect(status), `${status} is never one`);
});

t.test('the text is found in every coding and framing that Qdrant answers with', async (t) => {
  const codings = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync, zstd: zstdCompressSync };
  const refused = json('Forbidden: Global access is required');
  const other = json('Storage locked: maintenance');
  for (const [coding, compress] of Object.entries(codings)) {
    const headers = ['content-type', JSON_TYPE, 'content-encoding', coding];
    t.equal(judged(403, headers, [compress(refused)]), true, `${coding}: refused`);
    t.equal(judged(403, headers, [compress(other)]), false, `${coding}: something else`);
    t.equal(judged(403, headers, [Buffer.from('broken')]), true, `${coding}: what cannot be read is a refusal`);
    t.equal(judged(403, headers, [compress(other + ' '.repeat(100_000))]), true, `${coding}: more than an error text`);
  }
  t.equal(judged(403, ['content-type', JSON_TYPE, 'content-encoding', 'x'], [Buffer.from(other)]), true, 'unknown');
  const chunks = [...other].map((character) => Buffer.from(`1\r\n${character}\r\n`));
  t.equal(judged(403, ['content-type', JSON_TYPE], [...chunks, Buffer.from('0\r\n\r\n')], true), false, 'chunks');
});

t.test('refusals of gRPC', async (t) => {
  const call = (status: number | undefined, text = '', http = '200') =>
    grpcRefusesCredential({ http, status, message: () => text });
  t.equal(call(16, 'anything'), true, 'UNAUTHENTICATED');
  for (const text of [
    'Forbidden: Global manage access is required',
    'Forbidden: Access to collection a is required',
    'InvalidSignature',
    'ExpiredSignature',
    'Invalid JWT, stateful validation failed',
  ]) {
    t.equal(call(7, text), true, text);
    t.equal(call(3, text), false, `${text}, with another code`);
  }
  for (const text of ["Path '/q/../x' is outside the shard directory", 'Permission denied: no such permission']) {
    t.equal(call(7, text), false, text);
  }
  t.equal(call(undefined, '', '401'), true, 'a proxy that refuses');
  t.equal(call(undefined, '', '403'), true, 'a proxy that forbids');
  t.equal(call(0), false, 'OK');
});

t.test('a text of a caller within an error over gRPC is not taken for a refusal of the key', async (t) => {
  const judge = (message: string) => grpcRefusesCredential({ http: '200', status: 7, message: () => message });
  t.equal(judge('Forbidden: Global access is required'), true);
  t.equal(judge('path /Forbidden: Global access is required is outside of the shard'), false);
});
