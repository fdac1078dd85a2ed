import { once } from 'node:events';
import { type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import t, { type Test } from 'tap';
import { Guard } from '../../src/lifetime/guard.ts';
import { Lifetime } from '../../src/lifetime/lifetime.ts';
import { createAnswerMemory } from '../../src/limits/answer-memory.ts';
import { WorkScheduler } from '../../src/limits/work-scheduler.ts';
import { AnswerBudget, type AnswerReservation } from '../../src/rest/response/answer-budget.ts';
import { AnswerBytes } from '../../src/rest/response/answer-bytes.ts';
import {
  authenticate,
  exchangeRaw,
  readAnswer,
  recordingUpstream,
  startGateway,
  testCertificate,
} from '../rest/lane-fixture.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';
import { laterTurns } from '../support/later.ts';
import { until } from '../support/until.ts';

/*
 * Answers that are held whole to be changed (filtered lists, telemetry) were held without a common bound: 800 streams of
 * telemetry whose clients took nothing grew the process by 900 MB. And each was changed as it came, on the thread that
 * serves: 16 connections that ask for a list of 20 000 collections kept all others waiting for a second.
 */
const PLACES_OF_OWNER = 8;
const PLACES_OF_CONNECTION = 4;
const PLACES = 32;
const certificate = await testCertificate();
const large = (name: string) =>
  `{"result":{"app":{"name":"qdrant"},"collections":[{"name":"${name}"}${`,{"name":"${name}"},{"name":"secret"}`.repeat(30_000)}]},"status":"ok","time":0}`;
const PATCHED = { jwtRbac: true, hideJwtDashboard: undefined, audit: undefined };

/** One principal for each key, as the gateway has it. */
function knownOnce() {
  const known = new Map<string, ReturnType<typeof authenticate>>();
  return (headers: readonly string[]): ReturnType<typeof authenticate> => {
    const key = headers[headers.findIndex((part) => part.toLowerCase() === 'api-key') + 1] ?? '';
    const found = known.get(key) ?? authenticate(headers);
    known.set(key, found);
    return found;
  };
}

async function start(test: Test, overrides: Parameters<typeof startGateway>[1] = {}) {
  const upstream = await recordingUpstream((_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(large('a'));
  });
  const gateway = await startGateway(upstream.port, {
    tls: certificate,
    maxFilteredBytes: 8 << 20,
    telemetry: PATCHED,
    parts: {
      ...PLAIN_PARTS,
      authenticate: knownOnce(),
      record: () => undefined,
      fault: (error) => test.fail('a fault of ours', { error }),
    },
    ...overrides,
  });
  test.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  return { gateway, upstream };
}

const begins = new WeakSet<ClientHttp2Stream>();

/** So many requests on one connection, whose client takes no byte of any answer. */
function holding(port: number, count: number, path: string, key: string) {
  const session = connectHttp2(`https://127.0.0.1:${port}`, {
    rejectUnauthorized: false,
    settings: { initialWindowSize: 0 },
  });
  session.on('error', () => undefined);
  const streams = Array.from({ length: count }, () => session.request({ ':path': path, 'api-key': key }));
  for (const stream of streams) {
    stream.on('error', () => undefined);
    stream.on('response', () => begins.add(stream));
  }
  return { session, streams };
}

for (const [what, path, key] of [
  ['patched telemetry', '/telemetry', 'main'],
  ['a filtered list', '/collections', 'listA'],
] as const) {
  t.test(`one caller holds some answers and its others wait before they are asked for (${what})`, async (t) => {
    const { gateway, upstream } = await start(t, {
      limits: { stream_idle_timeout_ms: 600_000 },
      upstreamWaitMs: 600_000,
    });
    const held = [holding(gateway.port, 40, path, key), holding(gateway.port, 40, path, key)];
    const figures = () => gateway.listener.figures();
    await until(() => figures().changing === 80, 'all are there');
    const streams = held.flatMap((one) => one.streams);
    const begun = () => streams.filter((stream) => begins.has(stream)).length;
    await until(() => begun() === PLACES_OF_OWNER && gateway.upstream.size() === 0, 'some are answered');
    t.equal(figures().answers, PLACES_OF_OWNER);
    t.equal(upstream.received.length, PLACES_OF_OWNER, 'no other was asked for');
    t.ok(figures().answerBytes > 0);
    t.ok(figures().answerBytes <= PLACES_OF_OWNER * 2 * large('a').length, `${figures().answerBytes} bytes are held`);

    const other = await exchangeRaw(
      gateway.port,
      'GET /collections HTTP/1.1\r\nhost: x\r\napi-key: writeA\r\nconnection: close\r\n\r\n',
      { tls: true },
    );
    const { status, body } = readAnswer(other.text);
    const names = JSON.parse(body).result.collections.map(({ name }: { name: string }) => name);
    t.equal(status, 200, 'another caller has its answer meanwhile');
    t.strictSame([names.length, new Set(names).size], [30_001, 1], 'a filtered one');
    for (const { session } of held) session.destroy();
    await until(() => Object.values(figures()).every((count) => count === 0), 'nothing is left');
  });
}

t.test('an exchange that has no place in time is told to come again', async (t) => {
  const { gateway, upstream } = await start(t, { upstreamWaitMs: 200, limits: { stream_idle_timeout_ms: 600_000 } });
  const sessions = [1, 2].map(() => holding(gateway.port, PLACES_OF_CONNECTION, '/telemetry', 'main'));
  await Promise.all(sessions.flatMap(({ streams }) => streams.map((stream) => once(stream, 'response'))));
  const { text } = await exchangeRaw(
    gateway.port,
    'GET /telemetry HTTP/1.1\r\nhost: x\r\napi-key: main\r\nconnection: close\r\n\r\n',
    { tls: true },
  );
  t.equal(readAnswer(text).status, 503);
  t.match(readAnswer(text).body.slice(0, 200), /too many answers are filtered at the moment/);
  t.equal(upstream.received.length, PLACES_OF_OWNER);
  for (const { session } of sessions) session.destroy();
});

t.test('one connection has half of the places of its owner, and another one finds a place', async (t) => {
  const { gateway, upstream } = await start(t, {
    upstreamWaitMs: 600_000,
    limits: { stream_idle_timeout_ms: 600_000 },
  });
  const greedy = holding(gateway.port, 3 * PLACES_OF_OWNER, '/telemetry', 'main');
  await until(() => greedy.streams.filter((one) => begins.has(one)).length === PLACES_OF_CONNECTION, 'it has its half');
  const { text } = await exchangeRaw(
    gateway.port,
    'GET /telemetry HTTP/1.1\r\nhost: x\r\napi-key: main\r\nconnection: close\r\n\r\n',
    { tls: true },
  );
  t.equal(readAnswer(text).status, 200, 'another connection of the same key is answered meanwhile');
  t.equal(upstream.received.length, PLACES_OF_CONNECTION + 1);
  greedy.session.destroy();
  await until(() => Object.values(gateway.listener.figures()).every((count) => count === 0), 'nothing is left');
});

t.test('an answer that is taken gives its place on to the next', async (t) => {
  const { gateway, upstream } = await start(t, {
    upstreamWaitMs: 600_000,
    limits: { stream_idle_timeout_ms: 600_000 },
  });
  const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, {
    rejectUnauthorized: false,
    settings: { initialWindowSize: 1 << 20 },
  });
  const lengths = await Promise.all(
    Array.from({ length: 40 }, () => lengthOf(session.request({ ':path': '/telemetry', 'api-key': 'main' }))),
  );
  t.equal(new Set(lengths).size, 1);
  t.ok((lengths[0] ?? 0) > large('a').length, 'all of it, and what was added');
  t.equal(upstream.received.length, 40);
  session.destroy();
  await until(() => Object.values(gateway.listener.figures()).every((count) => count === 0), 'nothing is left');
});

async function lengthOf(stream: ClientHttp2Stream): Promise<number> {
  let length = 0;
  for await (const chunk of stream) length += (chunk as Buffer).length;
  return length;
}

t.test('an answer is changed in the same way whatever its size', async (t) => {
  let answer = '';
  const upstream = await recordingUpstream((_request, response) => response.end(answer));
  const gateway = await startGateway(upstream.port, { maxFilteredBytes: 16 << 20, telemetry: PATCHED });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const ask = async (path: string, key: string) => {
    const { text } = await exchangeRaw(
      gateway.port,
      `GET ${path} HTTP/1.1\r\nhost: x\r\napi-key: ${key}\r\nconnection: close\r\n\r\n`,
    );
    return readAnswer(text);
  };
  for (const hidden of [0, 10, 2_000, 60_000, 300_000]) {
    const others = ',{"name":"secret"}'.repeat(hidden);
    answer = `{"result":{"collections":[{"name":"a"}${others}]},"status":"ok","time":0}`;
    t.equal(
      (await ask('/collections', 'listA')).body,
      '{"result":{"collections":[{"name":"a"}]},"status":"ok","time":0}',
      `${answer.length} bytes are filtered`,
    );
    answer = `{"result":{"collections":[{"name":"a"}${others}`;
    t.equal((await ask('/collections', 'listA')).status, 502, `${answer.length} broken ones are not given`);
    t.equal((await ask('/telemetry', 'main')).body, answer, 'but to a global access as they are');
    answer = `{"result":{"app":{"jwt_rbac":false},"x":[0${others}]}}`;
    t.equal(
      (await ask('/telemetry', 'main')).body,
      answer.replace('false', 'true'),
      `${answer.length} bytes of telemetry are patched`,
    );
  }
  t.strictSame(gateway.faults, []);
});

/** A room, and a way into it. */
function roomOf(test: Test, limits: { waitMs?: number; stallMs?: number } = {}) {
  const failed = (error: unknown): void => void test.fail('a fault of ours', { error });
  const scheduler = new WorkScheduler(failed);
  const memory = createAnswerMemory(60_000);
  const room = new AnswerBudget({
    scheduler,
    memory,
    waitMs: limits.waitMs ?? 60_000,
    stallMs: limits.stallMs ?? 60_000,
  });
  const enter = (key: unknown, client: unknown = {}) => {
    const life = new Lifetime(failed);
    const entered: { place: AnswerReservation | undefined; refused: boolean; life: Lifetime } = {
      place: undefined,
      refused: false,
      life,
    };
    const guard = new Guard({ fail: failed, cut: () => undefined }, 'exchange', failed);
    room.take(
      { owner: key, client },
      { guard, life },
      (place) => {
        entered.place = place;
      },
      () => {
        entered.refused = true;
      },
    );
    return entered;
  };
  return { room, enter };
}

t.test('the places', async (t) => {
  const { room, enter } = roomOf(t);
  const ofA = Array.from({ length: 20 }, () => enter('a'));
  t.equal(ofA.filter(({ place }) => place).length, PLACES_OF_OWNER, 'one owner has some of them');
  const others = ['b', 'c', 'd'].flatMap((key) => Array.from({ length: PLACES_OF_OWNER }, () => enter(key)));
  t.ok(
    others.every(({ place }) => place),
    'others have theirs at once',
  );
  t.equal(room.held, PLACES, 'until all are taken');
  const [late, next] = [enter('e'), ofA[PLACES_OF_OWNER]];
  t.notOk(late.place);
  ofA[0]?.life.end();
  await laterTurns();
  t.notOk(next?.place && late.place, 'one place goes to one');
  t.ok(late.place, 'to the owner that waited before');
  ofA[1]?.life.end();
  await laterTurns();
  t.ok(next?.place);
  for (const one of [...ofA, ...others, late]) one.life.end();
  t.strictSame([room.held, room.size, room.bytes], [0, 0, 0], 'all are given back, those that waited too');
  const gone = enter('a');
  gone.life.end();
  gone.place?.leave();
  t.equal(room.size, 0, 'once');
});

t.test('the bytes', async (t) => {
  const { room, enter } = roomOf(t);
  const entered = Array.from({ length: PLACES }, (_, at) => enter(at));
  let resumed = 0;
  const source = {
    resume: () => {
      resumed += 1;
    },
    giveUp: () => t.fail('given up'),
  };
  const go = entered.map(({ place }) => {
    let taken = 0;
    while (taken < 1_966_080 && place?.add(65_536, source)) taken += 65_536;
    return taken;
  });
  t.ok(room.bytes <= 32 << 20, `${room.bytes} bytes are held`);
  const paused = go.filter((taken) => taken < 1_966_080).length;
  t.ok(paused > 0, `${paused} have to wait`);
  for (const { life } of entered.slice(0, 16)) life.end();
  t.equal(resumed, 0, 'none in the stack of one that ends: that may be the parser of an answer');
  await laterTurns();
  t.ok(resumed >= paused - 1, 'they go on when there is room');
  for (const { life } of entered) life.end();
  t.equal(room.bytes, 0);
});

t.test('the turns at being changed', async (t) => {
  const { enter } = roomOf(t);
  const order: string[] = [];
  const changing = new Map<string, () => void>();
  for (const name of ['a1', 'a2', 'a3', 'b1']) {
    enter(name[0]).place?.change(1 << 20, (changed) => {
      order.push(name);
      changing.set(name, changed);
    });
  }
  for (const name of ['a1', 'a2', 'b1', 'a3']) {
    await until(() => changing.has(name), `${name} is next`);
    t.equal(order.at(-1), name, 'one at a time, owner after owner');
    changing.get(name)?.();
  }
  t.strictSame(order, ['a1', 'a2', 'b1', 'a3']);

  let small = 0;
  for (let at = 0; at < PLACES_OF_OWNER; at += 1) {
    enter('c').place?.change(16_384, (changed) => {
      small += 1;
      changed();
    });
  }
  const perTurn = [small];
  while (small < PLACES_OF_OWNER) {
    const before = small;
    await new Promise((resolve) => setImmediate(resolve));
    perTurn.push(small - before);
  }
  t.ok(Math.max(...perTurn) <= 1, `in a turn of the event loop: ${perTurn.join(' ')}`);
  let tiny = 0;
  await new Promise((resolve) => setImmediate(resolve));
  for (let at = 0; at < PLACES_OF_OWNER; at += 1) {
    enter('d').place?.change(100, (changed) => {
      tiny += 1;
      changed();
    });
  }
  await until(() => tiny === PLACES_OF_OWNER, 'small ones are changed as well');
});

t.test('an answer of which nothing is taken ends for those that wait, and only for them', async (t) => {
  const { enter } = roomOf(t, { stallMs: 5 });
  const entered = Array.from({ length: PLACES_OF_OWNER }, () => enter('a'));
  let ended = 0;
  entered[0]?.place?.untaken(() => {
    ended += 1;
  });
  // Its time is over once that of a later one is.
  const another = roomOf(t, { stallMs: 5 });
  const wanted = Array.from({ length: PLACES_OF_OWNER + 1 }, () => another.enter('a'));
  let later = false;
  wanted[0]?.place?.untaken(() => {
    later = true;
  });
  await until(() => later, 'one that others wait for has ended');
  t.equal(ended, 0, 'nothing waits');
  const taken = entered[1]?.place?.untaken(() => t.fail('it was taken'));
  taken?.();
  const next = enter('a');
  await until(() => ended === 1, 'it has ended');
  await laterTurns();
  t.ok(next.place, 'and the next one has its place');
  const waits = enter('a');
  t.notOk(waits.place);
  for (const { life } of [...entered, ...wanted, next, waits]) life.end();
});

t.test('an exchange waits for a place for a time', async (t) => {
  const { room, enter } = roomOf(t, { waitMs: 5 });
  const entered = Array.from({ length: PLACES_OF_OWNER }, () => enter('a'));
  const late = enter('a');
  await until(() => late.refused, 'it is refused');
  entered[0]?.life.end();
  t.notOk(late.place, 'and gets none any more');
  t.equal(room.held, PLACES_OF_OWNER - 1);
  for (const { life } of entered) life.end();
});

t.test('an answer in pieces of one byte is held as one of a few pieces', async (t) => {
  const bytes = new AnswerBytes();
  const expected = Buffer.alloc(300_000);
  for (let at = 0; at < expected.length; at += 1) expected[at] = (at * 31) & 255;
  let at = 0;
  for (const size of [1, 3, 4096, 1, 70_000, 2]) {
    for (let round = 0; round < (size < 10 ? 50_000 / size : 1) && at < expected.length; round += 1) {
      bytes.push(expected.subarray(at, at + size));
      at += size;
    }
  }
  bytes.push(expected.subarray(at));
  t.ok(bytes.pieces < 12, `${bytes.pieces} pieces`);
  t.ok(bytes.take().equals(expected), 'it is whole');
  t.equal(bytes.pieces, 0);
});
