import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { QdrantClient } from '@qdrant/js-client-rest';
import t, { type Test } from 'tap';
import { ask } from '../support/clients/raw-rest.ts';
import { prepare } from '../support/clients/tutorial.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { type Operated, startOperated } from '../support/operated.ts';
import { startGatewayProcess } from '../support/process/gateway-process.ts';
import { makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import {
  AGREEABLE,
  fromAll,
  openVerdictLanes,
  type Request,
  shadowNotes,
  VERDICT_LANES,
  type VerdictLanes,
} from '../support/verdicts/lanes.ts';

/** Nothing protects in these modes: what would be refused passes, is counted, and in learn mode written down. */

const UPSERT: Request = {
  rest: ['PUT', '/collections/cities/points', '{"points":[]}'],
  grpc: ['/qdrant.Points/Upsert', message({ 1: 'cities' })],
};
const QUERY: Request = {
  rest: [
    'POST',
    '/collections/cities/points/query',
    JSON.stringify({ query: 1, lookup_from: { collection: 'private' } }),
  ],
  grpc: ['/qdrant.Points/Query', message({ 1: 'cities', 14: message({ 1: 'private' }) })],
};
const SCROLL: Request = {
  rest: ['POST', '/collections/cities/points/scroll', '{}'],
  grpc: ['/qdrant.Points/Scroll', message({ 1: 'cities' })],
};
const ELSEWHERE: Request = {
  rest: ['POST', '/collections/private/points/scroll', '{}'],
  grpc: ['/qdrant.Points/Scroll', message({ 1: 'private' })],
};
const LIST: Request = { rest: ['GET', '/collections'], grpc: ['/qdrant.Collections/List', new Uint8Array()] };
const FULL: Request = { rest: ['GET', '/snapshots'], grpc: ['/qdrant.Snapshots/ListFull', new Uint8Array()] };

const admin = { 'api-key': KEYS.admin };
const reader = { 'api-key': makeToken({ access: [{ collection: 'cities', access: 'r' }], subject: 'reader' }) };
const writer = {
  'api-key': makeToken({
    access: [
      { collection: 'cities', access: 'rw' },
      { collection: 'private', access: 'rw' },
    ],
    subject: 'writer',
  }),
};
const all = fromAll;

const NONE = 'Must provide an API key or an Authorization bearer token';
const WRONG = 'Invalid API key or JWT';

for (const mode of ['shadow', 'learn']) {
  t.test(
    `in ${mode} mode no key, a wrong one and too little access pass on every lane, and are noted`,
    async (test) => {
      const notes = shadowNotes();
      const gateway = await startGateway({
        settings: { 'gateway.mode': mode, 'gateway.learn_file': join(test.testdir(), 'learned.yaml') },
        observers: [notes.observe],
        upstream: AGREEABLE,
      });
      await prepare(new QdrantClient({ url: gateway.upstream.restUrl, checkCompatibility: false }));
      const lanes = await openVerdictLanes(gateway);
      test.teardown(async () => {
        lanes.close();
        await gateway.close();
      });
      const cases: readonly [name: string, request: Request, headers: Record<string, string>, note: string][] = [
        ['no key', UPSERT, {}, `policy: ${NONE}`],
        ['no key, a name in the body', QUERY, {}, `policy: ${NONE}`],
        ['a wrong key', UPSERT, { 'api-key': 'wrong' }, `policy: ${WRONG}`],
        ['an expired token', UPSERT, { 'api-key': makeToken({ access: 'm', exp: 1 }) }, 'policy: ExpiredSignature'],
        [
          'a token that may not write',
          UPSERT,
          reader,
          'policy: Forbidden: Write access to collection cities is required',
        ],
        ['a name its body may not hold', QUERY, reader, 'policy: Forbidden: Access to collection private is required'],
        [
          'a collection it does not list',
          ELSEWHERE,
          reader,
          'policy: Forbidden: Access to collection private is required',
        ],
        ['global access it has not', FULL, reader, 'policy: Forbidden: Global access is required'],
        ['what is allowed anyway', SCROLL, reader, 'none'],
        ['the admin key', QUERY, admin, 'none'],
      ];
      for (const [name, request, headers, note] of cases) {
        test.same(await lanes.ask(request, headers), all('ok'), name);
        test.same(notes.take(), all(note), `${name}: ${note}`);
      }
    },
  );

  t.test(`in ${mode} mode what protects upstream stays refused`, async (test) => {
    const gateway = await startGateway({
      settings: { 'gateway.mode': mode, 'gateway.learn_file': join(test.testdir(), 'learned.yaml') },
      upstream: AGREEABLE,
    });
    const client = rawClient(gateway);
    test.teardown(async () => {
      client.close();
      await gateway.close();
    });
    const deep = `${'[{"a":'.repeat(40)}1${'}]'.repeat(40)}`;
    const body = { 'content-type': 'application/json' };
    const rest = async (method: string, path: string, text?: string, headers: Record<string, string> = {}) =>
      (await ask(gateway, method, path, { ...headers, ...(text ? { 'content-length': `${text.length}` } : {}) }, text))
        .status;
    gateway.upstream.recorder.clear();
    test.equal(await rest('TRACE', '/collections', undefined, admin), 404, 'a method that is never forwarded');
    test.equal(await rest('POST', '/collections/cities/points/query', deep, body), 400, 'a body that nests too deeply');
    test.equal(
      await rest('POST', '/collections/cities/points/query', '{"lookup_from":', reader),
      400,
      'a body that cannot be read',
    );
    for (const path of [
      '/collections/%2e%2e/points/1',
      '/collections/a/points/%2e%2e',
      '/collections/%2e%2e',
      '/collections/%ff',
    ]) {
      test.equal(await rest('GET', path), 400, `a path that cannot be carried: ${path}`);
      test.equal(await rest('GET', path, undefined, admin), 400, `for any caller: ${path}`);
    }
    let nested: Uint8Array = message({ 1: 'x' });
    for (let at = 0; at < 200; at += 1) nested = message({ 1: message({ 4: nested }) });
    const grpc = async (path: string, bytes: Uint8Array, headers = {}) =>
      (await unary(client, path, bytes, headers)).code;
    test.equal(
      await grpc('/qdrant.Points/Scroll', message({ 1: 'cities', 2: nested })),
      3,
      'a message that nests too deeply',
    );
    test.equal(
      await grpc('/qdrant.PointsInternal/Scroll', message({ 1: 'cities' }), admin),
      12,
      'a service of the internal port',
    );
    test.equal(
      gateway.upstream.recorder.rest.length + gateway.upstream.recorder.grpc.length,
      0,
      'nothing reached upstream',
    );
    test.equal(await rest('GET', '/collections'), 200, 'though it protects nothing');
  });
}

/** A gateway that learns, and its lanes. */
async function learning(test: Test, settings: Record<string, unknown> = {}, files: Record<string, string> = {}) {
  const gateway = await startOperated({
    settings: { 'gateway.mode': 'learn', ...settings },
    files,
    upstream: AGREEABLE,
  });
  await prepare(new QdrantClient({ url: gateway.upstream.restUrl, checkCompatibility: false }));
  const lanes = await openVerdictLanes(gateway);
  test.teardown(async () => {
    lanes.close();
    await gateway.close();
  });
  return { gateway, lanes };
}

const learned = (gateway: Operated): string => {
  const path = join(gateway.folder, 'learned.yaml');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
};

type Traffic = readonly [request: Request, headers: Record<string, string>];
const RECORDED: readonly Traffic[] = [
  [SCROLL, reader],
  [QUERY, writer],
  [UPSERT, writer],
  [LIST, admin],
  [FULL, admin],
];
/** The same callers, doing what they were not seen to do though their credentials carry it. */
const OTHER: readonly Traffic[] = [
  [ELSEWHERE, writer],
  [SCROLL, writer],
  [SCROLL, admin],
  [UPSERT, admin],
  [LIST, reader],
];

async function replay(lanes: VerdictLanes, traffic: readonly Traffic[]): Promise<boolean[]> {
  const heard: boolean[] = [];
  for (const [request, headers] of traffic)
    heard.push(...(await lanes.ask(request, headers)).map((one) => one === 'ok'));
  return heard;
}

t.test('what is learned, put in force, serves the recorded traffic and refuses the rest', async (test) => {
  const { gateway, lanes } = await learning(test);
  for (let round = 0; round < 2; round += 1) test.notOk((await replay(lanes, RECORDED)).includes(false), 'recorded');
  await lanes.ask(UPSERT, {});
  await lanes.ask(UPSERT, reader);
  const counts = (text: string) =>
    [
      `subject "writer": ${4 * VERDICT_LANES} requests`,
      `reader": ${2 * VERDICT_LANES} requests`,
      `without a subject: ${4 * VERDICT_LANES} requests`,
      `Callers without a credential (missing_credential): ${VERDICT_LANES} requests`,
    ].every((one) => text.includes(one));
  await until(() => counts(learned(gateway)), 'it is written down', 5000);
  const text = learned(gateway);
  test.notMatch(text, /eyJ|admin-key/, 'no credential');
  const before = await learning(test, { 'gateway.mode': 'enforce' }, { 'policy.yaml': text });
  test.notOk((await replay(before.lanes, RECORDED)).includes(false), 'all of it is served');
  test.notOk((await replay(before.lanes, OTHER)).includes(true), 'nothing else is');
  test.same(await before.lanes.ask(UPSERT, {}), all(NONE), 'callers without a key are refused');
  const without = await learning(test, { 'gateway.mode': 'enforce' });
  test.notOk((await replay(without.lanes, OTHER)).includes(false), 'though their credentials would carry it');
});

t.test('the file of an earlier run is kept, and the last requests are in the new one', async (test) => {
  const { gateway, lanes } = await learning(test, {}, { 'learned.yaml': '# earlier\n' });
  await until(() => learned(gateway).includes('rules: []'), 'the first writing');
  test.equal(readFileSync(join(gateway.folder, 'learned.yaml.previous'), 'utf8'), '# earlier\n');
  await lanes.ask(SCROLL, reader);
  await gateway.supervisor.stop(0);
  test.match(learned(gateway), `subject "reader": ${VERDICT_LANES} requests`);
});

t.test('two workers learn together', async (test) => {
  const folder = test.testdir();
  const upstream = await startFakeQdrant(AGREEABLE);
  const gateway = await startGatewayProcess(upstream, {
    QDRANT_GATEWAY__MODE: 'learn',
    QDRANT_GATEWAY__WORKERS: '2',
    QDRANT_GATEWAY__LEARN_FILE: join(folder, 'learned.yaml'),
  });
  test.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  for (let at = 0; at < 8; at += 1) await ask(gateway, 'POST', '/collections/cities/points/scroll', reader, '{}');
  const text = (): string =>
    existsSync(join(folder, 'learned.yaml')) ? readFileSync(join(folder, 'learned.yaml'), 'utf8') : '';
  await until(() => /subject "reader": 8 requests/.test(text()), 'what both have seen is in one file');
  test.match(gateway.errors(), /NOTHING IS PROTECTED: gateway\.mode is learn\./);
});
