import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { RefusalPacing } from '../../src/limits/refusal-pacing.ts';
import type { LimitSettings } from '../../src/policy/limits/limits.ts';
import { framed } from '../support/clients/raw-grpc.ts';
import { openHttp2 } from '../support/clients/sockets.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { startGateway } from '../support/gateway.ts';
import { makeToken } from '../support/tokens.ts';
import { until } from '../support/until.ts';
import { AGREEABLE, fromAll, openVerdictLanes, type Request } from '../support/verdicts/lanes.ts';

/*
 * Refusals of a caller that goes on asking over its limit, and of one that guesses keys, wait, over every lane. The time is out of it: a caller has used up what
 * is answered at once, and what waits is answered when the test says so.
 */

/** Streams of one connection of a known caller. */
const STREAMS = 40;

const pacings = new Set<RefusalPacing>();
const { refused, guessed, hold } = RefusalPacing.prototype;
/** Refusals are answered at once, as those of a caller that has just begun. */
let fresh = false;
RefusalPacing.prototype.refused = function (this: RefusalPacing, exchange) {
  pacings.add(this);
  if (fresh) return 0;
  for (let used = 0; used < 300; used += 1) refused.call(this, { principal: exchange.principal });
  return refused.call(this, exchange);
};
RefusalPacing.prototype.guessed = function (this: RefusalPacing, exchange) {
  pacings.add(this);
  if (fresh) return 0;
  for (let used = 0; used < 60; used += 1) guessed.call(this, { principal: undefined, guesses: exchange.guesses });
  return guessed.call(this, exchange);
};
RefusalPacing.prototype.hold = function (this: RefusalPacing, exchange, _ms, answer) {
  hold.call(this, exchange, 3_600_000, answer);
};
const waiting = (): number => [...pacings].reduce((sum, { size }) => sum + size, 0);
const answerAll = (): void => {
  for (const pacing of pacings) pacing.releaseAll();
};

const exchanges: Exchange[] = [];
const limit = (id: string, more: Partial<LimitSettings>): LimitSettings => ({
  ...{ id, mode: 'enforce', each: 'principal', subjects: [id] },
  ...more,
});

async function started() {
  const gateway = await startGateway({
    limits: [
      limit('over', { requests: { per: 'day', most: 1 } }),
      limit('cost', { cost: { per: 'day', most: 1 } }),
      limit('one', { concurrent: 1, cost: { per: 'day', most: 1 } }),
    ],
    observers: [(exchange) => void exchanges.push(exchange)],
    upstream: AGREEABLE,
    settings: { 'gateway.limits.http2_max_concurrent_streams': STREAMS / 10 },
  });
  const lanes = await openVerdictLanes(gateway);
  return {
    gateway,
    lanes,
    close: async () => {
      lanes.close();
      await gateway.close();
    },
  };
}

const own = await started();
const { gateway, lanes } = own;
t.teardown(() => own.close());

const caller = (subject: string) => ({ 'api-key': makeToken({ access: 'm', subject }) });
const query = (more = ''): Request => ({
  rest: ['POST', '/collections/docs/points/query', `{"query":[1,2,3,4]${more}}`],
  grpc: ['/qdrant.Points/Query', message({ 1: 'docs' })],
});
const OVER = 'Rate limiting exceeded: limit over of 1 requests per day exceeded. Retry after';
const COST = 'Rate limiting exceeded: limit cost of 1 cost per day exceeded, the request has more and never fits';
const withoutSeconds = (heard: readonly string[]): string[] =>
  heard.map((text) => text.replace(/ \d+s$/, '').replace(/has \d+/, 'has more'));

/** Uses up the limit of this caller. */
async function usedUp(subject: string): Promise<void> {
  fresh = true;
  await lanes.ask(query(), caller(subject));
  fresh = false;
}

/** Lets each lane wait, one after the other. */
async function heardLate(
  request: Request,
  by: string | { readonly 'api-key': string },
): Promise<{ readonly heard: string[]; readonly waited: number }> {
  let waited = 0;
  let over = false;
  const asked = lanes.ask(request, typeof by === 'string' ? caller(by) : by).finally(() => {
    over = true;
  });
  while (!over) {
    await until(() => over || waiting() > 0, 'a refusal waits');
    if (over) break;
    waited += 1;
    answerAll();
  }
  return { heard: withoutSeconds(await asked), waited };
}

t.test('the refusals of a caller that goes on asking wait on every lane, and come as they would have', async (test) => {
  await usedUp('over');
  fresh = true;
  test.same(withoutSeconds(await lanes.ask(query(), caller('over'))), fromAll(OVER), 'at once');
  fresh = false;
  exchanges.length = 0;
  test.same(await heardLate(query(), 'over'), { heard: fromAll(OVER), waited: fromAll('').length });
  await until(() => exchanges.length === fromAll('').length, 'all are recorded');
  test.same(
    exchanges.map(({ slowed, refusal, forwardedAt }) => [slowed, refusal?.code, forwardedAt]),
    fromAll('').map(() => ['over_limit', 'rate_limited', 0]),
  );
  test.same(await lanes.ask(query(), caller('nobody')), fromAll('ok'), 'another caller');
});

t.test(
  'those of wrong credentials wait on every lane, too, and a good credential beside them does not',
  async (test) => {
    const wrong = { 'api-key': 'wrong' };
    exchanges.length = 0;
    test.same(await heardLate(query(), wrong), {
      heard: fromAll('Invalid API key or JWT'),
      waited: fromAll('').length,
    });
    await until(() => exchanges.length === fromAll('').length, 'all are recorded');
    test.same(
      exchanges.map(({ slowed, refusal, forwardedAt }) => [slowed, refusal?.code, forwardedAt]),
      fromAll('').map(() => ['guesses', 'bad_credential', 0]),
    );
    test.same(await lanes.ask(query(), caller('nobody')), fromAll('ok'), 'a good one');
  },
);

t.test('so do those that the body decides', async (test) => {
  test.same(await heardLate(query(), 'cost'), { heard: fromAll(COST), waited: fromAll('').length });
  const large = query(`,"with_payload":["${'x'.repeat(300_000)}"]`);
  test.same(await heardLate(large, 'cost'), { heard: fromAll(COST), waited: fromAll('').length }, 'a large one');
});

interface Asked {
  readonly stream: ClientHttp2Stream;
  status: number | undefined;
}

/** A request over HTTP/2. @param body its bytes @param lane `server` = it is not plain */
function asks(session: ClientHttp2Session, subject: string, body: string, lane: 'plain' | 'server'): Asked {
  const stream = session.request({
    ...{ ':method': 'POST', ':path': '/collections/docs/points/query', ...caller(subject) },
    ...(lane === 'server' ? { 'content-encoding': 'identity' } : {}),
    'content-length': body.length,
  });
  const asked: Asked = { stream, status: undefined };
  stream.once('response', (head) => {
    asked.status = Number(head[':status']);
  });
  stream.on('error', () => undefined);
  stream.resume().end(body);
  return asked;
}

for (const lane of ['plain', 'server'] as const) {
  t.test(`HTTP/2, ${lane}: what waits holds up no other caller of its connection`, async (test) => {
    await usedUp('over');
    const session = await openHttp2(gateway.rest.port, gateway.ca);
    test.teardown(() => session.destroy());
    // More than the window of a connection, unless the credit of what waits comes back.
    const large = `{"query":[1],"with_payload":["${'x'.repeat(400_000)}"]}`;
    const first = asks(session, 'nobody', '{"query":[1]}', lane);
    await until(() => first.status === 200, 'the connection is of a known caller');
    const refusedOnes = Array.from({ length: STREAMS / 2 }, () => asks(session, 'over', large, lane));
    await until(() => waiting() === STREAMS / 2, 'all wait');
    await until(
      () => refusedOnes.every(({ stream }) => stream.writableFinished && stream.writableLength === 0),
      'what they send is taken',
    );
    const other = asks(session, 'nobody', large, lane);
    await until(() => other.status === 200, 'another caller is served');
    test.equal(refusedOnes.filter(({ status }) => status !== undefined).length, 0, 'and they still wait');
    const oneMore = asks(session, 'over', '{"query":[1]}', lane);
    await until(() => oneMore.status === 429, 'half of the streams wait: the next one is told at once');
    answerAll();
    await until(() => refusedOnes.every(({ status }) => status === 429), 'none is lost');
    test.equal(waiting(), 0);
  });
}

t.test('gRPC: what waits holds up no other caller of its connection', async (test) => {
  await usedUp('over');
  const client = rawClient(gateway);
  test.teardown(() => client.close());
  const large = message({ 1: 'docs', 2: 'x'.repeat(400_000) });
  const [method] = query().grpc;
  test.equal((await unary(client, method, message({ 1: 'docs' }), caller('nobody'))).code, 0);
  let told = 0;
  const refusedOnes = Array.from({ length: STREAMS / 2 }, async () => {
    const { code } = await unary(client, method, large, caller('over'));
    told += 1;
    return code;
  });
  await until(() => waiting() === STREAMS / 2, 'all wait');
  test.equal((await unary(client, method, large, caller('nobody'))).code, 0, 'another caller is served');
  test.equal(told, 0, 'and they still wait');
  test.equal((await unary(client, method, message({ 1: 'docs' }), caller('over'))).code, 8, 'the next is told at once');
  answerAll();
  test.same(await Promise.all(refusedOnes), Array(STREAMS / 2).fill(8), 'none is lost');
  test.equal(waiting(), 0);
});

t.test('a place of what waits is free at once', async (test) => {
  const first = lanes.ask(query(), caller('one'));
  await until(() => waiting() === 1, 'a refusal waits');
  const others = await openVerdictLanes(gateway);
  test.teardown(() => others.close());
  const second = others.ask(query(), caller('one'));
  await until(() => waiting() === 2, 'the limit of one at once does not refuse the other');
  let over = false;
  const both = Promise.all([first, second]).finally(() => {
    over = true;
  });
  await until(() => {
    answerAll();
    return over;
  }, 'all are answered');
  const text = COST.replace('limit cost', 'limit one');
  const [one, two] = (await both).map(withoutSeconds);
  test.same([one?.[0], two?.[0]], [text, text]);
});

const HEAD = `POST /collections/docs/points/query HTTP/1.1\r\nhost: a\r\napi-key: ${caller('over')['api-key']}\r\n`;
const LEAVERS: Readonly<Record<string, () => Promise<() => void>>> = {
  'HTTP/1.1, relay': () => leavesHttp1(`${HEAD}content-length: 2\r\n\r\n{}`),
  'HTTP/1.1, server': () => leavesHttp1(`${HEAD}content-encoding: identity\r\ncontent-length: 2\r\n\r\n{}`),
  'HTTP/2': async () => {
    const session = await openHttp2(gateway.rest.port, gateway.ca);
    asks(session, 'over', '{}', 'plain');
    asks(session, 'over', '{}', 'server');
    return () => session.destroy();
  },
  gRPC: async () => {
    const session = await openHttp2(gateway.grpc.port, gateway.ca);
    const [method, bytes] = query().grpc;
    const fields = { 'content-type': 'application/grpc', te: 'trailers', ...caller('over') };
    const stream = session.request({ ':method': 'POST', ':path': method, ...fields });
    stream.on('error', () => undefined).resume();
    stream.end(framed(Buffer.from(bytes)));
    return () => session.destroy();
  },
};

/** By a reset: a client that has only ended its side may still read. */
async function leavesHttp1(bytes: string): Promise<() => void> {
  const carrier = connect(gateway.rest.port, '127.0.0.1');
  carrier.on('error', () => undefined);
  await once(carrier, 'connect');
  const socket = connectTls({ socket: carrier, rejectUnauthorized: false });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  socket.write(bytes);
  return () => void carrier.resetAndDestroy();
}

for (const [lane, open] of Object.entries(LEAVERS)) {
  t.test(`${lane}: a client that leaves waits no more`, async (test) => {
    await usedUp('over');
    const leave = await open();
    await until(() => waiting() > 0, 'its refusal waits');
    leave();
    await until(() => waiting() === 0, 'it is forgotten');
    test.same(await lanes.ask(query(), caller('nobody')), fromAll('ok'));
  });
}

t.test('a reload answers what waits, and so does the stop of the gateway', async (test) => {
  const other = await started();
  for (const [name, end] of [
    ['reload', () => other.gateway.setTenants([])],
    ['stop', () => other.gateway.close()],
  ] as const) {
    fresh = true;
    await other.lanes.ask(query(), caller('over'));
    fresh = false;
    const session = await openHttp2(other.gateway.rest.port, other.gateway.ca);
    const both = [asks(session, 'over', '{}', 'plain'), asks(session, 'over', '{}', 'server')];
    await until(() => waiting() === 2, 'they wait');
    const ended = end();
    await until(() => both.every(({ status }) => status === 429), `${name}: they are answered`);
    session.close();
    if (name === 'stop') other.lanes.close();
    await ended;
  }
  test.equal(waiting(), 0);
});
