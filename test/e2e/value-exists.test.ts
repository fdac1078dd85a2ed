import type { IncomingMessage, ServerResponse } from 'node:http';
import t from 'tap';
import { type CallAnswer, frameClient } from '../support/clients/raw-grpc.ts';
import { http2Client } from '../support/clients/raw-http.ts';
import { ask } from '../support/clients/raw-rest.ts';
import type { FakeQdrantOptions } from '../support/fake-qdrant/main.ts';
import { startGateway, type TestGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';
import { oldQdrant } from '../support/verdicts/old-qdrant.ts';
import { tokenOf } from '../support/verdicts/principals.ts';

const STATEFUL = 'Invalid JWT, stateful validation failed';
const LOOK_UP = '/collections/users/points/scroll';
const DOCS_FIELD = Buffer.from('\x0a\x04docs');
const ACCESS = [{ collection: 'docs', access: 'r' }];

const claimOf = (collection: string, matches: readonly object[]) => ({
  access: ACCESS,
  value_exists: { collection, matches },
});
const ANN = claimOf('users', [{ key: 'name', value: 'ann' }]);

interface Scene {
  readonly gateway: TestGateway;
  /** Status and text of a request for the collection the token lists, or another. */
  readonly rest: (token: string, collection?: string) => Promise<readonly [status: number, text: string]>;
  readonly grpc: (token: string) => Promise<readonly [code: number, text: string]>;
  /** Changes the points of `users`, behind the gateway's back. */
  readonly change: (path: string, body: object, method?: string) => Promise<void>;
  /** Targets of the look-ups upstream has received. */
  readonly lookUps: () => readonly string[];
}

async function startScene(
  t: { teardown: (close: () => unknown) => void },
  upstream: FakeQdrantOptions = {},
  settings: Readonly<Record<string, unknown>> = {},
): Promise<Scene> {
  const gateway = await startGateway({ upstream, settings });
  const calls = frameClient(gateway);
  t.teardown(async () => {
    calls.close();
    await gateway.close();
  });
  const { restUrl, recorder } = gateway.upstream;
  const change = async (path: string, body: object, method = 'POST'): Promise<void> => {
    const headers = { 'content-type': 'application/json' };
    const { ok, status } = await fetch(`${restUrl}${path}`, { method, headers, body: JSON.stringify(body) });
    if (!ok) throw new Error(`${method} ${path}: ${status}`);
  };
  for (const name of ['docs', 'users']) {
    await change(`/collections/${name}`, { vectors: { size: 1, distance: 'Dot' } }, 'PUT');
  }
  const points = [
    {
      id: 1,
      vector: [1],
      payload: { name: 'ann', age: 30, big: 5, admin: true, tags: ['x', 'y'], of: { team: 'red' } },
    },
    { id: 2, vector: [1], payload: { name: 'bob', age: 40, admin: false } },
  ];
  await change('/collections/users/points?wait=true', { points }, 'PUT');
  recorder.clear();
  const rest: Scene['rest'] = async (token, collection = 'docs') => {
    const { status, body } = await ask(gateway, 'GET', `/collections/${collection}`, { 'api-key': token });
    return [status, status === 200 ? '' : body];
  };
  const grpc: Scene['grpc'] = async (token) => {
    const headers = [['api-key', token] as const];
    const answer: CallAnswer = await calls.call({ method: '/qdrant.Collections/Get', headers, message: DOCS_FIELD });
    return [answer.code, answer.message];
  };
  const lookUps = () => recorder.rest.filter(({ target }) => target.endsWith('/scroll')).map(({ target }) => target);
  return { gateway, rest, grpc, change, lookUps };
}

for (const [name, upstream] of [
  ['a current release', {}],
  ['v1.8.4, which knows no tokens', oldQdrant()],
  ['v1.2.0', oldQdrant('1.2.0')],
] as const) {
  t.test(`a token holds as long as its point is there, before ${name}`, async (t) => {
    const { rest, grpc, change, lookUps, gateway } = await startScene(t, upstream);
    const both = async (token: string) => [await rest(token), await grpc(token)];
    const served = [
      [200, ''],
      [0, ''],
    ];
    const refused = [
      [401, STATEFUL],
      [16, STATEFUL],
    ];
    const missing = [
      [403, STATEFUL],
      [7, STATEFUL],
    ];
    const token = tokenOf(ANN);
    t.strictSame(await both(token), served, 'the point is there');
    t.strictSame(lookUps(), [LOOK_UP, LOOK_UP], 'asked once for each request');
    const [sent] = gateway.upstream.recorder.rest;
    const must = [{ key: 'name', match: { value: 'ann' } }];
    const question = { limit: 1, with_payload: false, with_vector: false, filter: { must } };
    t.strictSame(JSON.parse(String(sent?.body)), question, 'for one point and nothing of it');
    t.strictSame((await rest(token, 'users'))[0], 403, 'the collection that is looked into is not opened by that');

    await change('/collections/users/points/payload?wait=true', { payload: { name: 'eve' }, points: [1] });
    t.strictSame(await both(token), refused, 'the value has changed');
    await change('/collections/users/points/payload?wait=true', { payload: { name: 'ann' }, points: [1] });
    t.strictSame(await both(token), served, 'and is back: nothing is remembered');
    await change('/collections/users/points/delete?wait=true', { points: [1] });
    t.strictSame(await both(token), refused, 'the point is deleted');
    await change('/collections/users', {}, 'DELETE');
    t.strictSame(await both(token), missing, 'the collection is gone');
  });
}

t.test('what the claim asks is what upstream is asked', async (t) => {
  const { rest, lookUps, gateway, change } = await startScene(t);
  const actions = [{ create_alias: { alias_name: 'people', collection_name: 'users' } }];
  await change('/collections/aliases', { actions });
  const one = (key: string, value: unknown) => claimOf('users', [{ key, value }]);
  const cases: readonly (readonly [what: string, claims: object, status: number, lookUps: number])[] = [
    ['a number', one('age', 30), 200, 1],
    ['another number', one('age', 31), 401, 1],
    ['a boolean', one('admin', true), 200, 1],
    ['an item of a list', one('tags[]', 'y'), 200, 1],
    ['a nested field', one('of.team', 'red'), 200, 1],
    ['a text is no number', one('age', '30'), 401, 1],
    [
      'two values of one point',
      claimOf('users', [
        { key: 'name', value: 'ann' },
        { key: 'age', value: 30 },
      ]),
      200,
      1,
    ],
    [
      'values of two points',
      claimOf('users', [
        { key: 'name', value: 'ann' },
        { key: 'age', value: 40 },
      ]),
      401,
      1,
    ],
    ['no match asks for any point', claimOf('users', []), 200, 1],
    ['an empty collection has none', claimOf('docs', []), 401, 1],
    ['an alias', claimOf('people', [{ key: 'name', value: 'ann' }]), 200, 1],
    ['a collection that is not there', claimOf('nobody', []), 403, 1],
    ['a name that is a step back', claimOf('..', []), 403, 0],
    ['a name that is a path', claimOf('users/points/1/..', []), 403, 0],
    ['no name', claimOf('', []), 403, 0],
    ['an expired token is not looked up', { ...ANN, exp: 1 }, 403, 0],
    ['a token without the claim', { access: ACCESS }, 200, 0],
    ['a claim that is null', { access: ACCESS, value_exists: null }, 200, 0],
  ];
  for (const [what, claims, status, count] of cases) {
    gateway.upstream.recorder.clear();
    t.equal((await rest(tokenOf(claims)))[0], status, what);
    t.equal(lookUps().length, count, `${what}: ${count} look-ups`);
  }
  gateway.upstream.recorder.clear();
  const forged = tokenOf(ANN, 'some-other-secret-0123456789');
  t.equal((await rest(forged))[0], 403, 'a token with a wrong signature');
  t.strictSame(lookUps(), [], 'costs no look-up');
  const open = await ask(gateway, 'GET', '/healthz', { 'api-key': tokenOf(ANN) });
  t.strictSame([open.status, lookUps()], [200, []], 'an open route looks at no token');
});

t.test('a 64-bit number is asked for with all its digits', async (t) => {
  const { rest, gateway } = await startScene(t);
  const claims = `{"access":"r","value_exists":{"collection":"users","matches":[{"key":"big","value":9223372036854775807}]}}`;
  await rest(tokenOf(rawClaims(claims)));
  const [sent] = gateway.upstream.recorder.rest;
  t.match(String(sent?.body), '"value":9223372036854775807');
});

/** Claims as text: `JSON.stringify` has to write the number as it stands. */
function rawClaims(text: string): object {
  const { rawJSON } = JSON as unknown as { rawJSON: (text: string) => unknown };
  const { access, value_exists } = JSON.parse(text);
  const [digits = ''] = /\d{19}/.exec(text) ?? [];
  return { access, value_exists: { ...value_exists, matches: [{ key: 'big', value: rawJSON(digits) }] } };
}

/** Holds look-ups back; the rest of the stand-in goes on. */
function holdLookUps(): {
  onRest: (request: IncomingMessage, response: ServerResponse) => boolean;
  held: ServerResponse[];
} {
  const held: ServerResponse[] = [];
  const onRest = (request: IncomingMessage, response: ServerResponse): boolean => {
    if (request.url !== LOOK_UP) return false;
    request.resume();
    held.push(response);
    return true;
  };
  return { onRest, held };
}

const FOUND = '{"result":{"points":[{"id":1}]},"status":"ok","time":0.1}';

t.test('an upstream that does not answer in time fails closed', async (t) => {
  const { onRest, held } = holdLookUps();
  const limit = 300;
  const { rest, grpc, gateway } = await startScene(t, { onRest }, { 'gateway.value_exists.timeout_ms': limit });
  const slow = 'upstream did not answer in time';
  for (const protocol of ['rest', 'grpc']) {
    const [code, text] = await (protocol === 'rest' ? rest : grpc)(tokenOf(ANN));
    t.equal(code, protocol === 'rest' ? 504 : 4, `${protocol}: the time is over`);
    t.match(text, slow);
  }
  t.equal(held.length, 2);
  await until(() => held.every(({ destroyed }) => destroyed), 'upstream hears that the caller has left');
  t.equal((await rest(tokenOf({ access: ACCESS })))[0], 200, 'other tokens go on');
  t.strictSame(gateway.upstream.recorder.grpc.length, 0, 'the refused call has not reached upstream');
});

t.test('an upstream that answers wrongly, or not at all, fails closed', async (t) => {
  let reply: readonly [status: number, body: string] = [200, ''];
  const onRest = (request: IncomingMessage, response: ServerResponse): boolean => {
    if (request.url !== LOOK_UP) return false;
    response.writeHead(reply[0], { 'content-type': 'application/json' }).end(reply[1]);
    return true;
  };
  const { rest, grpc, gateway } = await startScene(t, { onRest });
  const cases: readonly (readonly [what: string, reply: readonly [number, string]])[] = [
    ['a fault', [500, '{"status":{"error":"x"}}']],
    ['a refusal', [403, '']],
    ['too many requests', [429, '']],
    ['text', [200, 'ok']],
    ['nothing', [200, '']],
    ['no points', [200, '{"result":{}}']],
    ['null', [200, '{"result":{"points":null}}']],
    ['a redirect', [301, '']],
  ];
  for (reply of cases.map(([, given]) => given)) {
    t.equal((await rest(tokenOf(ANN)))[0], 502, `${reply[0]} ${reply[1]}`);
    t.equal((await grpc(tokenOf(ANN)))[0], 14, `${reply[0]} ${reply[1]} over gRPC`);
  }
  reply = [200, FOUND];
  t.equal((await rest(tokenOf(ANN)))[0], 200, 'and is asked again');
  await gateway.upstream.close();
  t.equal((await rest(tokenOf(ANN)))[0], 502, 'upstream is gone');
  t.equal((await grpc(tokenOf(ANN)))[0], 14, 'for gRPC, too');
});

for (const cacheEntries of [10_000, 0]) {
  t.test(`1 000 parallel requests of one token, ${cacheEntries} tokens remembered`, async (t) => {
    const { onRest, held } = holdLookUps();
    let atOnce = 0;
    let most = 0;
    let asked = 0;
    const counted = (request: IncomingMessage, response: ServerResponse): boolean => {
      if (!onRest(request, response)) return false;
      asked++;
      atOnce++;
      most = Math.max(most, atOnce);
      response.once('close', () => atOnce--);
      // Upstream takes its time, so that look-ups would overlap if they could.
      setTimeout(() => held.shift()?.setHeader('content-type', 'application/json').end(FOUND), 20);
      return true;
    };
    const settings = { 'gateway.limits.token_cache_entries': cacheEntries };
    const { gateway } = await startScene(t, { onRest: counted }, settings);
    const client = http2Client(gateway);
    t.teardown(client.close);
    const request = { method: 'GET', target: '/collections/docs', headers: [['api-key', tokenOf(ANN)] as const] };
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => client.send(request)));
    t.equal(answers.filter(({ status }) => status === 200).length, 1_000, 'all are served');
    t.equal(most, 1, `one look-up at a time, ${asked} in all`);
    t.comment(`1 000 requests: ${asked} look-ups, ${most} at once`);
  });
}

t.test('a request that comes after a change is not judged by a look-up from before it', async (t) => {
  const { onRest, held } = holdLookUps();
  const { rest } = await startScene(t, { onRest });
  const token = tokenOf(ANN);
  const answer = (found: boolean) =>
    held
      .shift()
      ?.setHeader('content-type', 'application/json')
      .end(found ? FOUND : FOUND.replace('{"id":1}', ''));
  const before = rest(token);
  await until(() => held.length === 1, 'the first look-up is under way');
  // The point is deleted here; upstream has looked already, its answer is still on the way.
  const after = rest(token);
  // Behind it, on the same connections: what it would ask has been asked by now.
  t.equal((await rest(tokenOf({ access: ACCESS })))[0], 200);
  t.equal(held.length, 1, 'one look-up at a time');
  answer(true);
  t.equal((await before)[0], 200);
  await until(() => held.length === 1, 'the second request is looked up anew');
  answer(false);
  t.equal((await after)[0], 401);
});

t.test('look-ups have connections of their own', async (t) => {
  let taken = (): void => undefined;
  const busy = new Promise<void>((resolve) => {
    taken = resolve;
  });
  const onRest = (request: IncomingMessage): boolean => {
    if (request.url !== '/collections/docs/aliases') return false;
    taken();
    return true;
  };
  const { gateway, rest, grpc } = await startScene(t, { onRest }, { 'gateway.upstream.max_connections': 1 });
  const client = http2Client(gateway);
  t.teardown(client.close);
  const headers = [['api-key', tokenOf({ access: 'm' })] as const];
  client.send({ method: 'GET', target: '/collections/docs/aliases', headers }).catch(() => undefined);
  await busy;
  const gone = tokenOf(claimOf('users', [{ key: 'name', value: 'nobody' }]));
  t.strictSame(await rest(gone), [401, STATEFUL], 'judged while every connection of clients is taken');
  t.strictSame(await grpc(gone), [16, STATEFUL]);
});
