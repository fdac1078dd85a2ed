import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { frameClient } from '../support/clients/raw-grpc.ts';
import { http1Client } from '../support/clients/raw-http.ts';
import { ask } from '../support/clients/raw-rest.ts';
import { type FakeQdrantOptions, startFakeQdrant } from '../support/fake-qdrant/main.ts';
import type { OnRest } from '../support/fake-qdrant/rest.ts';
import { KEYS, startGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts';
import { cachedModules } from '../support/process/cached-modules.ts';
import { byName, eachOf, loadCaseFile } from '../support/verdicts/cells.ts';
import { lackingIn, OLD_RELEASE, oldQdrant } from '../support/verdicts/old-qdrant.ts';
import { credentialOf, type Grant, tokenOf } from '../support/verdicts/principals.ts';

const LANES = 8;
const ADMIN = { 'api-key': KEYS.admin };
const DOCS_READER = { 'api-key': tokenOf({ access: [{ collection: 'docs', access: 'r' }] }) };
const DOCS_POINTS = { 'api-key': tokenOf({ access: [{ collection: 'docs', access: 'prw' }] }) };
const NOTHING_LISTED = { 'api-key': tokenOf({ access: [] }) };

/** The recorded state, as far as it shows: three collections, points in one, aliases of two. */
async function fill(url: string): Promise<void> {
  const send = async (method: string, path: string, body: object): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const { ok, status } = await fetch(`${url}${path}`, { method, headers, body: JSON.stringify(body) });
    if (!ok) throw new Error(`${method} ${path}: ${status}`);
  };
  for (const name of ['docs', 'notes', 'drafts']) {
    await send('PUT', `/collections/${name}`, { vectors: { size: 4, distance: 'Dot' } });
  }
  await send('PUT', '/collections/docs/points', {
    points: [{ id: 1, vector: [1, 0, 0, 0], payload: { kind: 'a' } }],
  });
  const aliases = [
    ['docs-live', 'docs'],
    ['notes-live', 'notes'],
  ].map(([alias_name, collection_name]) => ({ create_alias: { alias_name, collection_name } }));
  await send('POST', '/collections/aliases', { actions: aliases });
}

async function startBefore(
  t: { teardown: (close: () => Promise<void>) => void },
  upstream: FakeQdrantOptions,
  options: TestGatewayOptions = {},
): Promise<TestGateway> {
  const gateway = await startGateway({ ...options, upstream });
  t.teardown(gateway.close);
  await fill(gateway.upstream.restUrl);
  gateway.upstream.recorder.clear();
  return gateway;
}

interface MatrixRow {
  readonly method: string;
  /** REST only. */
  readonly path?: string;
  readonly target?: string;
  readonly body?: string;
  readonly text?: true;
  /** gRPC only. */
  readonly field?: number;
  readonly streams?: true;
  readonly served: string;
  readonly refused: Readonly<Record<string, string>>;
}

interface Matrix {
  readonly principals: Readonly<Record<string, Grant>>;
  readonly refusals: Readonly<Record<string, string>>;
  readonly rows: readonly MatrixRow[];
}

/** Every row with every principal, and the text it is refused with; `undefined` = allowed. */
function* cellsOf(matrix: Matrix): Generator<{ row: MatrixRow; principal: string; refusal: string | undefined }> {
  for (const row of matrix.rows) {
    const refused = byName(Object.fromEntries(Object.entries(row.refused).map(([id, names]) => [id, names])));
    for (const principal of Object.keys(matrix.principals)) {
      const id = refused.get(principal);
      yield { row, principal, refusal: id === undefined ? undefined : matrix.refusals[id] };
    }
  }
}

t.test('every row and principal over REST, before a release that knows no tokens', async (t) => {
  const gateway = await startBefore(t, oldQdrant());
  const client = http1Client(gateway, LANES);
  t.teardown(client.close);
  const matrix = loadCaseFile<Matrix>('matrix-rest.json');
  const lacking = lackingIn(OLD_RELEASE.release, OLD_RELEASE.rest);
  const count = { refused: 0, lacking: 0, served: 0 };
  await eachOf([...cellsOf(matrix)], LANES, async ({ row, principal, refusal }) => {
    const { method, path = '', target = '' } = row;
    const typed = row.body === 'none' ? [] : [['content-type', 'application/json'] as const];
    const headers = [...credentialOf(principal, matrix.principals[principal] ?? null), ...typed];
    const body = row.body === 'none' ? undefined : '{}';
    const { status, text, contentType } = await client.send({ method, target, headers, body });
    const name = `${method} ${path} as ${principal}`;
    if (refusal !== undefined) {
      count.refused++;
      const bare = row.text || /^(Must|Invalid)/.test(refusal);
      const said = bare ? text : JSON.parse(text).status.error;
      t.strictSame([status === 401 || status === 403, said], [true, refusal], `${name} is refused`);
    } else if (lacking.has(`${method} ${path}`)) {
      count.lacking++;
      t.strictSame([status, text, contentType], [404, '', undefined], `${name} gets upstream's 404`);
    } else {
      count.served++;
      t.notOk(status === 401 || status === 403 || status >= 502, `${name} is served: ${status} ${text}`);
    }
  });
  t.comment(`REST before ${OLD_RELEASE.release}: ${JSON.stringify(count)}`);
  t.ok(count.refused > 500 && count.lacking > 100 && count.served > 300, 'all three kinds are there');
});

t.test('every row and principal over gRPC, before a release that knows no tokens', async (t) => {
  const gateway = await startBefore(t, oldQdrant());
  const client = frameClient(gateway);
  t.teardown(client.close);
  const matrix = loadCaseFile<Matrix>('matrix-grpc.json');
  const lacking = lackingIn(OLD_RELEASE.release, OLD_RELEASE.grpc);
  const count = { refused: 0, lacking: 0, served: 0 };
  await eachOf([...cellsOf(matrix)], LANES, async ({ row, principal, refusal }) => {
    const headers = credentialOf(principal, matrix.principals[principal] ?? null);
    const sent = row.field === 1 ? Buffer.from('\x0a\x04docs') : Buffer.alloc(0);
    const { code, message } = await client.call({ method: row.method, headers, message: sent });
    const name = `${row.method} as ${principal}`;
    if (refusal !== undefined) {
      count.refused++;
      t.strictSame([code === 7 || code === 16, message], [true, refusal], `${name} is refused`);
    } else if (lacking.has(row.method)) {
      count.lacking++;
      t.strictSame([code, message], [12, ''], `${name} gets upstream's UNIMPLEMENTED`);
    } else {
      count.served++;
      t.notOk(code === 7 || code === 16 || code === 14, `${name} is served: ${code} ${message}`);
    }
  });
  t.comment(`gRPC before ${OLD_RELEASE.release}: ${JSON.stringify(count)}`);
  t.ok(count.refused > 200 && count.lacking > 50 && count.served > 200, 'all three kinds are there');
});

t.test('an upstream that normalises no path gets canonical ones', async (t) => {
  const gateway = await startBefore(t, oldQdrant());
  const { recorder, restUrl } = gateway.upstream;
  for (const [target, status] of Object.entries(OLD_RELEASE.targets)) {
    if (target.includes('%%')) continue;
    t.equal((await fetch(`${restUrl}${target}`)).status, status, `upstream itself: ${target}`);
  }
  const cases: readonly (readonly [target: string, received: string])[] = [
    ['//collections', '/collections'],
    ['//collections/', '/collections'],
    ['/collections//docs///', '/collections/docs'],
    ['/c%6Fllections', '/collections'],
    ['/collections/d%6fcs/', '/collections/docs'],
    ['/collections/docs/exists/', '/collections/docs/exists'],
    ['//telemetry/?details_level=1', '/telemetry?details_level=1'],
    ['/locks/', '/locks'],
  ];
  for (const [target, received] of cases) {
    recorder.clear();
    t.equal((await ask(gateway, 'GET', target, ADMIN)).status, 200, target);
    t.strictSame(
      recorder.rest.map((record) => record.target),
      [received],
      `${target} is sent as ${received}`,
    );
  }
  recorder.clear();
  t.equal((await ask(gateway, 'GET', '/collections/%%36%34ocs', ADMIN)).status, 400, 'decoded twice by upstream');
  t.equal((await ask(gateway, 'GET', '//collections/notes/', DOCS_READER)).status, 403, 'refused in any spelling');
  t.strictSame(recorder.rest, []);
});

const NAMES = /notes|drafts/;

t.test('answers of old shape are filtered for a list', async (t) => {
  const gateway = await startBefore(t, oldQdrant());
  const see = async (target: string, who: Record<string, string>): Promise<unknown> => {
    const { status, body } = await ask(gateway, 'GET', target, who);
    if (status !== 200) return [status, body];
    const { result } = JSON.parse(body);
    return result;
  };
  t.strictSame(await see('/collections', DOCS_READER), { collections: [{ name: 'docs' }] });
  t.strictSame(await see('/collections', NOTHING_LISTED), { collections: [] });
  const alias = { alias_name: 'docs-live', collection_name: 'docs' };
  const both = {
    'api-key': tokenOf({ access: ['docs', 'docs-live'].map((collection) => ({ collection, access: 'r' })) }),
  };
  t.strictSame(await see('/aliases', both), { aliases: [alias] });
  t.strictSame(await see('/collections/docs/aliases', both), { aliases: [alias] });
  t.strictSame(await see('/aliases', DOCS_READER), { aliases: [] }, 'the alias is not listed');
  t.strictSame(await see('/issues', DOCS_READER), [404, ''], 'a release without issues says so');
  t.strictSame(await see('/cluster/telemetry', DOCS_READER), [404, ''], 'and without cluster telemetry');

  const [, , docs] = levelTwo().collections.collections;
  const { id, app } = levelTwo();
  const params = docs?.config.params;
  // Upstream counts vectors by segment there.
  const rebuilt = { vectors: 8, optimizers_status: 'ok', params };
  const levels: readonly (readonly [query: string, collections: object])[] = [
    ['', { number_of_collections: 1 }],
    ['?details_level=0', { number_of_collections: 1 }],
    ['?details_level=1', { number_of_collections: 1, collections: [rebuilt], snapshots: [] }],
    ['?details_level=2', { number_of_collections: 1, collections: [docs], snapshots: [] }],
    ['?details_level=6', { number_of_collections: 1, collections: [docs], snapshots: [] }],
    ['?details_level=6&anonymize=true', { number_of_collections: 1, collections: [], snapshots: [] }],
  ];
  for (const [query, collections] of levels) {
    const shown = (await see(`/telemetry${query}`, DOCS_READER)) as Record<string, unknown>;
    const short = query === '' || query.endsWith('=0');
    const { name, version, startup } = app;
    const seenApp = short ? { name, version, startup, jwt_rbac: true } : { ...app, jwt_rbac: true };
    t.same(shown, { id, app: seenApp, collections }, `telemetry${query}`);
    t.notMatch(JSON.stringify(await see(`/telemetry${query}`, NOTHING_LISTED)), /docs|notes|drafts/, 'an empty list');
  }
  const whole = await ask(gateway, 'GET', '/telemetry?details_level=2', ADMIN);
  const sent = JSON.stringify({ result: levelTwo(), status: 'ok', time: 0.5 });
  t.equal(whole.body, sent.replace('"app":{', '"app":{"jwt_rbac":true,'), 'a global access sees all, and the flag');
});

interface OldTelemetry {
  readonly id: string;
  readonly app: Readonly<Record<string, unknown>>;
  readonly collections: { readonly collections: readonly { readonly config: { readonly params: object } }[] };
}

function levelTwo(): OldTelemetry {
  return OLD_RELEASE.telemetry[2] as OldTelemetry;
}

t.test('issues without a collection are hidden from a list', async (t) => {
  const issues = [
    { id: 'a', description: 'index in notes', solution: {}, timestamp: 'x' },
    { id: 'b', description: 'index in docs', solution: {}, timestamp: 'x' },
  ];
  const answer = JSON.stringify({ result: { issues }, status: 'ok', time: 0.1 });
  const gateway = await startBefore(t, { version: '1.9.0', onRest: replyTo('/issues', 200, answer) });
  const listed = await ask(gateway, 'GET', '/issues', DOCS_READER);
  t.strictSame([listed.status, JSON.parse(listed.body).result], [200, { issues: [] }]);
  t.equal((await ask(gateway, 'GET', '/issues', ADMIN)).body, answer);
});

t.test('an old answer that is not what the filter knows is 502, never shown', async (t) => {
  const odd = [
    '{"result":["notes"]}',
    '{"collections":["notes"]}',
    'notes',
    '{"result":{"collections":{"notes":1}}}',
    '',
  ];
  let reply = '';
  const gateway = await startBefore(t, {
    ...oldQdrant(),
    onRest(request, response) {
      if (request.headers['x-forwarded-for'] === undefined || request.method !== 'GET') return false;
      response.setHeader('content-type', 'application/json').end(reply);
      return true;
    },
  });
  for (const target of ['/collections', '/aliases', '/telemetry', '/issues', '/collections/docs/aliases']) {
    for (reply of odd) {
      const { status, body } = await ask(gateway, 'GET', target, DOCS_READER);
      const empty = status === 200 && !NAMES.test(body);
      t.ok(status === 502 || empty, `${target} with ${reply} is ${status} ${body}`);
      t.notMatch(body, NAMES);
    }
  }
});

t.test('the gateway enforces what upstream has never heard of', async (t) => {
  const gateway = await startBefore(t, oldQdrant());
  const cases: readonly (readonly [what: string, method: string, path: string, who: object, status: number])[] = [
    ['a points token reads points', 'POST', '/collections/docs/points/scroll', DOCS_POINTS, 200],
    ['but no cluster', 'GET', '/collections/docs/cluster', DOCS_POINTS, 403],
    ['and no snapshots', 'GET', '/collections/docs/snapshots', DOCS_POINTS, 403],
    ['and no other collection', 'POST', '/collections/notes/points/scroll', DOCS_POINTS, 403],
    ['a reader does not write', 'POST', '/collections/docs/points/delete', DOCS_READER, 403],
    ['no credential is refused', 'GET', '/collections', {}, 401],
    ['an expired token is refused', 'GET', '/collections', { 'api-key': tokenOf({ exp: 1 }) }, 403],
    ['locks are read globally', 'GET', '/locks', { 'api-key': KEYS.readOnly }, 200],
    ['and not with a list', 'GET', '/locks', DOCS_READER, 403],
    ['locks are set by a manager', 'POST', '/locks', ADMIN, 200],
    ['and not by a reader', 'POST', '/locks', { 'api-key': KEYS.readOnly }, 403],
  ];
  for (const [what, method, path, who, status] of cases) {
    const typed = { ...who, 'content-type': 'application/json' };
    const answer = await ask(gateway, method, path, typed, method === 'POST' ? '{}' : undefined);
    t.equal(answer.status, status, `${what}: ${answer.body}`);
  }
});

t.test('health is answered for a node that has no such route', async (t) => {
  const gateway = await startBefore(t, oldQdrant('1.4.1'));
  const routes = [
    ['/healthz', 'healthz check passed'],
    ['/livez', 'healthz check passed'],
    ['/readyz', 'all shards are ready'],
  ] as const;
  t.equal((await fetch(`${gateway.upstream.restUrl}/healthz`)).status, 404, 'upstream has none');
  for (const [path, text] of routes) {
    const { status, body, headers } = await ask(gateway, 'GET', path);
    t.strictSame([status, body, headers['content-type']], [200, text, 'text/plain; charset=utf-8'], path);
  }
  t.equal((await ask(gateway, 'GET', '/readyz', {})).status, 200, 'once more on a connection of its own');
  t.equal((await ask(gateway, 'POST', '/healthz')).status, 404, 'only for GET');
  t.equal(
    (await ask(gateway, 'GET', '/collections/docs/exists', ADMIN)).status,
    404,
    'other routes it lacks stay lacking',
  );

  const client = frameClient(gateway);
  t.teardown(client.close);
  const check = { method: '/grpc.health.v1.Health/Check', headers: [], message: Buffer.alloc(0) };
  const health = await client.call(check);
  t.strictSame([health.code, health.body], [0, Buffer.from([0, 0, 0, 0, 2, 0x08, 0x01])], 'serving');
  const release = await client.call({ ...check, method: '/qdrant.Qdrant/HealthCheck' });
  t.match(release.body.toString('latin1'), /1\.4\.1/, 'the release is upstream\u2019s');
  await gateway.upstream.close();
  for (const [path] of routes) t.equal((await ask(gateway, 'GET', path)).status, 502, `${path} of a node that is gone`);
  t.equal((await client.call(check)).code, 14, 'not serving');
});

t.test('health of a node that tells it is passed on', async (t) => {
  const sick = 'some shards are not ready';
  const gateway = await startBefore(t, { onRest: replyTo('/readyz', 503, sick) });
  const { status, body } = await ask(gateway, 'GET', '/readyz');
  t.strictSame([status, body], [503, sick]);
  const { recorder } = gateway.upstream;
  t.strictSame(
    recorder.rest.map((record) => record.target),
    ['/readyz'],
    'nothing else is asked',
  );
});

t.test('something that is no Qdrant is not healthy', async (t) => {
  const gateway = await startBefore(t, {
    onRest(request, response) {
      if (request.headers['content-type'] !== undefined) return false;
      response.writeHead(404).end('nothing here');
      return true;
    },
  });
  t.equal((await ask(gateway, 'GET', '/healthz')).status, 502);
});

t.test('a route of a newer release asks for full manage', async (t) => {
  const gateway = await startBefore(t, { version: '1.99.0', onRest: replyTo('/brand/new', 200, 'new') });
  const answers = [];
  for (const who of [ADMIN, { 'api-key': KEYS.readOnly }, DOCS_READER, {}]) {
    answers.push((await ask(gateway, 'GET', '/brand/new', who)).status);
  }
  t.strictSame(answers, [200, 404, 404, 401]);
  t.equal(gateway.upstream.recorder.rest.length, 1, 'one of them has reached upstream');
});

function replyTo(path: string, status: number, body: string): OnRest {
  return (request, response) => {
    if (request.url !== path) return false;
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
    return true;
  };
}

t.test('the release behind is shown at the start', async (t) => {
  const upstream = await startFakeQdrant(oldQdrant());
  const script = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts');
  const flags = ['--upstream', upstream.restUrl, '--upstream-grpc', upstream.grpcUrl];
  const env = {
    PATH: process.env.PATH ?? '',
    ...cachedModules(),
    QDRANT__SERVICE__API_KEY: KEYS.admin,
    QDRANT__SERVICE__HTTP_PORT: '0',
    QDRANT__SERVICE__GRPC_PORT: '0',
    QDRANT__SERVICE__HOST: '127.0.0.1',
    QDRANT__LOG_LEVEL: 'info',
  };
  const child = spawn(process.execPath, [script, 'serve', ...flags], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
    await upstream.close();
  });
  const lines: string[] = [];
  for await (const line of createInterface(child.stderr)) {
    lines.push(line);
    if (line.includes('upstream answers')) break;
  }
  t.match(lines.at(-1), /"version":"1\.8\.4"/, lines.join('\n'));
});
