import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { curl, curlMissing } from '../support/clients/curl.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { collectionToken } from '../support/tokens.ts';

const skip = curlMissing();
const gateway = await startGateway();
const folder = mkdtempSync(join(tmpdir(), 'gateway-curl-'));
t.teardown(async () => {
  rmSync(folder, { recursive: true });
  await gateway.close();
});
const { recorder } = gateway.upstream;
const { url } = gateway.rest;
const admin = ['-H', `api-key: ${KEYS.admin}`];
const reader = ['-H', `api-key: ${collectionToken('r', 'cities')}`];
const writer = ['-H', `authorization: Bearer ${collectionToken('rw', 'cities')}`];
const run = (...args: string[]) => curl(gateway.caFile, args);

await fetch(`${gateway.upstream.restUrl}/collections/cities`, {
  method: 'PUT',
  body: '{"vectors":{"size":4,"distance":"Dot"}}',
});

// About five megabytes of points, four numbers each.
const points = Array.from(
  { length: 60_000 },
  (_, id) => `{"id":${id},"vector":[0.1,0.2,0.3,0.4],"payload":{"a":"${'x'.repeat(30)}"}}`,
);
const bodyFile = join(folder, 'points.json');
const body = `{"points":[${points.join(',')}]}`;
writeFileSync(bodyFile, body);
const snapshotFile = join(folder, 'a.snapshot');
const snapshot = randomBytes(5 << 20);
writeFileSync(snapshotFile, snapshot);

const FORBIDDEN = 'Forbidden: Write access to collection cities is required';

for (const [flag, version] of [
  ['--http1.1', '1.1'],
  ['--http2', '2'],
] as const) {
  t.test(`allowed, 401 and 403 over HTTP/${version}`, { skip }, async (test) => {
    const allowed = await run(flag, ...admin, `${url}/collections`);
    test.match(allowed, { exit: 0, status: 200, version });
    test.match(JSON.parse(allowed.body.toString()), { result: { collections: [{ name: 'cities' }] }, status: 'ok' });
    const none = await run(flag, `${url}/collections`);
    test.match(none, { exit: 0, status: 401, version });
    test.equal(none.body.toString(), 'Must provide an API key or an Authorization bearer token');
    const denied = await run(flag, ...reader, `${url}/collections/private`);
    test.match(denied, { exit: 0, status: 403, version });
    test.match(JSON.parse(denied.body.toString()).status, {
      error: 'Forbidden: Access to collection private is required',
    });
  });

  t.test(`a body of 5 MB with Expect: 100-continue over HTTP/${version}`, { skip }, async (test) => {
    const put = ['-X', 'PUT', '-H', 'Expect: 100-continue', '--data-binary', `@${bodyFile}`];
    const target = `${url}/collections/cities/points?wait=true`;
    recorder.clear();
    const allowed = await run(flag, ...put, '--expect100-timeout', '20', ...writer, target);
    test.match(allowed, { exit: 0, status: 200, version, sent: body.length });
    test.equal(recorder.rest[0]?.received.sha256, createHash('sha256').update(body).digest('hex'));
    if (version === '1.1') test.match(allowed.seen, /HTTP\/1\.1 100 Continue/);
    recorder.clear();
    const denied = await run(flag, ...put, '--expect100-timeout', '20', ...reader, target);
    test.match(denied, { exit: 0, status: 403, version });
    test.match(denied.body.toString(), FORBIDDEN);
    test.notMatch(denied.seen, /100 Continue/);
    if (version === '1.1') test.equal(denied.sent, 0, 'not a byte of the body was asked for');
    test.equal(recorder.rest.length, 0);
  });

  t.test(`a body of 5 MB without Expect over HTTP/${version}`, { skip }, async (test) => {
    const put = ['-X', 'PUT', '-H', 'Expect:', '--data-binary', `@${bodyFile}`];
    const target = `${url}/collections/cities/points?wait=true`;
    test.match(await run(flag, ...put, ...writer, target), { exit: 0, status: 200, sent: body.length });
    recorder.clear();
    const denied = await run(flag, ...put, ...reader, target);
    test.match(denied, { status: 403, version });
    test.match(denied.body.toString(), FORBIDDEN);
    test.equal(recorder.rest.length, 0);
  });

  t.test(`a multipart snapshot over HTTP/${version}`, { skip }, async (test) => {
    const form = ['-F', `snapshot=@${snapshotFile}`];
    const target = `${url}/collections/cities/snapshots/upload?priority=snapshot`;
    recorder.clear();
    const allowed = await run(flag, ...form, ...admin, target);
    test.match(allowed, { exit: 0, status: 200, version });
    const [record] = recorder.rest;
    test.equal(record?.target, '/collections/cities/snapshots/upload?priority=snapshot');
    test.ok((record?.received.length ?? 0) > snapshot.length);
    recorder.clear();
    for (const [credential, status, text] of [
      [reader, 403, 'Forbidden: Global access is required'],
      [writer, 403, 'Forbidden: Global access is required'],
      [[], 401, 'Must provide an API key or an Authorization bearer token'],
    ] as const) {
      const denied = await run(flag, ...form, ...credential, target);
      test.match(denied, { status, version });
      test.match(denied.body.toString(), text);
      test.ok(denied.sent < snapshot.length, 'refused before the body was read');
    }
    test.equal(recorder.rest.length, 0);
  });

  t.test(`answers are compressed only when asked for, over HTTP/${version}`, { skip }, async (test) => {
    const plain = await run(flag, ...admin, `${url}/collections/cities`);
    const asked = await run(flag, '--compressed', ...admin, `${url}/collections/cities`);
    test.equal(asked.exit, 0);
    test.match(JSON.parse(asked.body.toString()).result, JSON.parse(plain.body.toString()).result);
    const filtered = await run(flag, '--compressed', ...reader, `${url}/collections`);
    test.same(JSON.parse(filtered.body.toString()).result, { collections: [{ name: 'cities' }] });
  });

  t.test(`HEAD is not GET, over HTTP/${version}`, { skip }, async (test) => {
    for (const path of ['/collections', '/', '/healthz', '/nowhere']) {
      const head = await run(flag, '-I', ...admin, `${url}${path}`);
      test.match(head, { exit: 0, status: 404, version }, path);
    }
    const none = await run(flag, '-I', `${url}/collections`);
    test.match(none, { exit: 0, status: 401, version });
  });

  t.test(`a preflight needs no credential, over HTTP/${version}`, { skip }, async (test) => {
    const ask = ['-X', 'OPTIONS', '-H', 'Origin: https://app.example', '-H', 'Access-Control-Request-Method: PUT'];
    const extra = ['-H', 'Access-Control-Request-Headers: api-key,content-type'];
    const allowed = await run(flag, ...ask, ...extra, `${url}/collections/cities/points`);
    test.match(allowed, { exit: 0, status: 200, version });
    test.match(allowed.seen, /access-control-allow-origin: https:\/\/app\.example/);
    test.match(allowed.seen, /access-control-allow-headers: api-key,\s?content-type/);
    test.match(allowed.seen, /access-control-allow-methods: .*PUT/);
    const plain = await run(flag, '-X', 'OPTIONS', `${url}/collections`);
    test.match(plain, { status: 401 });
    const odd = await run(flag, ...ask.with(-1, 'Access-Control-Request-Method: FOO'), `${url}/collections`);
    test.match(odd, { status: 400 });
    test.equal(odd.body.toString(), 'Requested method is not allowed');
  });

  t.test(`one connection carries allowed and refused requests, over HTTP/${version}`, { skip }, async (test) => {
    const next = (credential: readonly string[], path: string) => [flag, ...credential, `${url}${path}`];
    const all = await run(
      ...next(admin, '/collections'),
      '-o',
      join(folder, 'first'),
      '--next',
      ...['--cacert', gateway.caFile, '-s', '-o', join(folder, 'second')],
      ...next(reader, '/collections/private'),
      '--next',
      ...['--cacert', gateway.caFile, '-s', '-w', '\n%{http_code} %{http_version} 0 %{num_connects}'],
      ...next(reader, '/collections/cities'),
    );
    test.match(all, { exit: 0, status: 200, version, connections: 0 });
  });
}
