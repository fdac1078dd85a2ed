import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import type { Principal } from '../../../src/identity/principal.ts';
import { GLOBAL_MANAGE } from '../../../src/policy/access.ts';
import { AnswerReader } from '../../support/clients/answer-reader.ts';
import { PLAIN_PARTS } from '../../support/exchange-parts.ts';
import { LANES, startNodes } from '../../support/nodes.ts';
import { makeToken } from '../../support/tokens.ts';
import { until } from '../../support/until.ts';
import { recordingUpstream, startGateway } from '../lane-fixture.ts';
import { condition, FILTER, T, tenancyOf } from '../tenants/made.ts';

/*
 * Requests of tenants among others on one connection. The relay sends the body that was made anew in the place of the client's,
 * and hands over what needs more; upstream gets the same bytes as from the server.
 */

const INFO = '{"result":{"config":{"params":{"sparse_vectors":{"sparse":{"modifier":"idf"}}}}}}';
/** Questions about a collection that wait to be answered; `undefined` = they are answered at once. */
let questions: (() => void)[] | undefined;
const upstream = await recordingUpstream((_request, response, { method, target, body }) => {
  const say = (text: string): void => void response.setHeader('content-type', 'application/json').end(text);
  if (`${body}`.includes('"limit":400')) response.statusCode = 400;
  if (method !== 'GET') say(target.includes('scroll') ? '{"result":{"points":[{"id":1}]}}' : JSON.stringify(`${body}`));
  else if (questions) questions.push(() => say(INFO));
  else say(INFO);
});
t.teardown(() => upstream.close());

type Ended = readonly [status: number | undefined, received: number, bytes: boolean];

async function open(t: Test, relayed: boolean, trace?: readonly string[]) {
  const events: Ended[] = [];
  const base: Principal = {
    ...{
      kind: 'principal',
      access: GLOBAL_MANAGE,
      bounds: undefined,
      authType: 'ApiKey',
      keyId: 'x',
      subject: undefined,
    },
  };
  const gateway = await startGateway(upstream.port, {
    relayed,
    parts: {
      ...PLAIN_PARTS,
      authenticate: (headers) => (headers.includes('acme') ? { ...base, tenancy: tenancyOf(condition()) } : base),
      bodyRules: { ...PLAIN_PARTS.bodyRules, features: () => ({ updateFilter: true, idfCorpus: true }) },
      admit: (exchange) => {
        exchange.trace = trace;
        return undefined;
      },
      record: (exchange, { status, received }) => events.push([status, received, 'connection' in exchange]),
      fault: (error) => t.fail(String(error)),
    },
  });
  t.teardown(() => gateway.close());
  upstream.received.length = 0;
  questions = undefined;
  return { gateway, events };
}

const POINTS = '/collections/shop/points';
const ask = (key: string, method: string, path: string, body: string, more = ''): string =>
  `${method} ${POINTS}${path} HTTP/1.1\r\nhost: x\r\napi-key: ${key}\r\n${more}content-length: ${body.length}\r\n\r\n${body}`;
const CORPUS = `"params":{"idf":{"corpus":{"must":[${T}]}}}`;

/** What is said on one connection, what upstream gets of it, and whether the relay carries it. */
const STEPS: readonly (readonly [said: string, status: number, sent: readonly string[], bytes: boolean])[] = [
  [ask('acme', 'POST', '/query', '{"limit":1}'), 200, [`POST ${POINTS}/query {"limit":1,${FILTER}}`], true],
  [ask('main', 'POST', '/query', '{"limit":2}'), 200, [`POST ${POINTS}/query {"limit":2}`], true],
  [
    ask('acme', 'PUT', '?wait=true', '{"points":[{"id":1,"vector":[1]}]}'),
    ...([
      200,
      [
        `PUT ${POINTS}?wait=true {"points":[{"id":1,"vector":[1],"payload":{"tenant":"acme"}}],"update_filter":{"must":[${T}]}}`,
      ],
    ] as const),
    true,
  ],
  [ask('acme', 'POST', '/query', '{"odd":1}'), 400, [], true],
  [ask('acme', 'POST', '/query', '{"limit":1}'), 200, [`POST ${POINTS}/query {"limit":1,${FILTER}}`], true],
  [ask('main', 'PUT', '', '{"points":[]}'), 200, [`PUT ${POINTS} {"points":[]}`], true],
  [
    ask('acme', 'POST', '/query', '{"query":{"indices":[1],"values":[1]},"using":"sparse"}'),
    ...([
      200,
      [`POST ${POINTS}/query {"query":{"indices":[1],"values":[1]},"using":"sparse",${FILTER},${CORPUS}}`],
    ] as const),
    true,
  ],
  [
    ask('acme', 'POST', '/delete', '{"points":[1]}'),
    200,
    [`POST ${POINTS}/delete {"filter":{"must":[${T},{"has_id":[1]}]}}`],
    true,
  ],
  [
    ask('acme', 'POST', '/query', '{"query":1}'),
    200,
    [
      `POST ${POINTS}/scroll {"limit":1,"with_payload":false,"with_vector":false,"filter":{"must":[${T},{"has_id":[1]}]}}`,
      `POST ${POINTS}/query {"query":1,${FILTER}}`,
    ],
    false,
  ],
  [ask('main', 'POST', '/query', '{"limit":3}'), 200, [`POST ${POINTS}/query {"limit":3}`], false],
  [ask('acme', 'POST', '/count', '{}'), 200, [`POST ${POINTS}/count {${FILTER},"exact":true}`], false],
];

/** Says it in pieces of that many bytes, one in each turn of the event loop, and reads that many answers. */
async function talk(port: number, text: string, piece: number, answers: number) {
  const socket = connect(port, '127.0.0.1');
  const reader = new AnswerReader();
  socket.on('data', (chunk: Buffer) => reader.push(chunk)).on('error', () => undefined);
  for (let at = 0; at < text.length; at += piece) {
    socket.write(text.slice(at, at + piece));
    if (at + piece < text.length) await new Promise((next) => setImmediate(next));
  }
  await until(() => reader.answers.length >= answers || socket.destroyed, 'all are answered');
  socket.destroy();
  return reader.whole();
}

/** Without the questions about the collection. */
const got = (): string[] =>
  upstream.received
    .filter(({ method }) => method !== 'GET')
    .map(({ method, target, body }) => `${method} ${target} ${body}`);

for (const [way, relayed] of Object.entries({ relay: true, server: false })) {
  for (const piece of [100_000, 700, 90, 13]) {
    t.test(`a pipeline in pieces of ${piece} bytes (${way})`, async (t) => {
      const { gateway, events } = await open(t, relayed);
      const answers = await talk(gateway.port, STEPS.map(([said]) => said).join(''), piece, STEPS.length);
      t.strictSame(
        answers.map(({ status }) => status),
        STEPS.map(([, status]) => status),
      );
      t.strictSame(
        got(),
        STEPS.flatMap(([, , sent]) => sent),
      );
      const lengths = STEPS.map(([said]) => said.length - said.indexOf('\r\n\r\n') - 4);
      t.strictSame(
        events,
        STEPS.map(([, status, , bytes], at) => [status, lengths[at], relayed && bytes]),
      );
      // Each answer tells the body that came to upstream: none is another one's.
      for (const [at, [, status, sent]] of STEPS.entries()) {
        const [last = ''] = sent.slice(-1);
        if (status === 200) t.equal(JSON.parse(answers[at]?.body ?? ''), last.slice(last.indexOf('{')), `answer ${at}`);
      }
    });
  }
}

t.test('the head tells the length and the kind of the body that is sent, and repeats itself', async (t) => {
  const { gateway } = await open(t, true);
  const more = 'Content-Type: text/x\r\nContent-MD5: x\r\nX-Other: 1\r\n';
  const bodies = ['{"limit":1}', '{"limit":100}', '{"limit":1}'];
  await talk(gateway.port, bodies.map((body) => ask('acme', 'POST', '/query', body, more)).join(''), 1e5, 3);
  for (const [at, { headers, body }] of upstream.received.filter(({ method }) => method === 'POST').entries()) {
    t.strictSame(
      headers.map((part) => part.toLowerCase()).filter((part) => /^content-|^text|json$|^\d+$|^x-other$/.test(part)),
      ['x-other', '1', 'content-type', 'application/json', 'content-length', String(body.length)],
      bodies[at] ?? 'a body too many',
    );
  }
  t.equal(got().length, 3);
});

t.test('a span of ours is told with each request', async (t) => {
  const { gateway } = await open(t, true, ['traceparent', 'ours']);
  const said = ask('acme', 'POST', '/query', '{}', 'traceparent: theirs\r\n');
  await talk(gateway.port, said.repeat(2), 1e5, 2);
  t.strictSame(
    got(),
    Array.from({ length: 2 }, () => `POST ${POINTS}/query {${FILTER}}`),
  );
  for (const { headers, method } of upstream.received) {
    if (method === 'POST') t.strictSame([headers.includes('ours'), headers.includes('theirs')], [true, false]);
  }
});

/** A query whose collection is asked for, on a connection of its own. */
async function asking(t: Test, relayed: boolean, behind = '') {
  const opened = await open(t, relayed);
  const waiting: (() => void)[] = [];
  questions = waiting;
  const socket: Socket = connect({ port: opened.gateway.port, host: '127.0.0.1', allowHalfOpen: true });
  const reader = new AnswerReader();
  socket.on('data', (chunk: Buffer) => reader.push(chunk)).on('error', () => undefined);
  t.teardown(() => socket.destroy());
  socket.write(ask('acme', 'POST', '/query', '{"query":[1],"using":"sparse"}') + behind);
  await until(() => waiting.length === 1, 'the collection is asked for');
  return { ...opened, socket, reader, waiting };
}
const SPARSE = `POST ${POINTS}/query {"query":[1],"using":"sparse",${FILTER},${CORPUS}}`;

for (const [way, relayed] of Object.entries({ relay: true, server: false })) {
  t.test(`what comes while a collection is asked for waits (${way})`, async (t) => {
    const first = ask('main', 'POST', '/query', '{"limit":2}');
    const { events, socket, reader, waiting } = await asking(t, relayed, first.slice(0, 40));
    socket.write(first.slice(40) + ask('acme', 'POST', '/query', '{}'));
    t.strictSame(got(), []);
    waiting[0]?.();
    await until(() => reader.answers.length === 3, 'all are answered');
    t.strictSame(got(), [SPARSE, `POST ${POINTS}/query {"limit":2}`, `POST ${POINTS}/query {${FILTER}}`]);
    t.strictSame(
      events.map(([, , bytes]) => bytes),
      [relayed, relayed, relayed],
    );
  });

  t.test(`a client that has said all gets its answer (${way})`, async (t) => {
    const { socket, reader, waiting } = await asking(t, relayed);
    socket.end();
    waiting[0]?.();
    await until(() => reader.answers.length === 1, 'it is answered');
    t.strictSame(got(), [SPARSE]);
  });

  t.test(`of a client that leaves nothing is sent (${way})`, async (t) => {
    const { gateway, events, socket, waiting } = await asking(t, relayed, ask('main', 'POST', '/query', '{"limit":2}'));
    socket.resetAndDestroy();
    await until(() => events.length === 1 && gateway.listener.figures().sockets === 0, 'it has left');
    waiting[0]?.();
    // The next one shares the answer to the question, or asks again: it comes behind all that the first could have sent.
    questions = undefined;
    await talk(gateway.port, ask('acme', 'POST', '/query', '{"query":[1],"using":"sparse"}'), 1e5, 1);
    t.strictSame(got(), [SPARSE]);
    // The server asks before it reads the body.
    t.strictSame(events[0], [undefined, relayed ? 30 : 0, relayed]);
    await until(() => gateway.listener.figures().sockets === 0, 'the other one has left');
    t.match(gateway.listener.figures(), { exchanges: 0, relayed: 0 });
  });
}

for (const [way, relayed] of Object.entries({ relay: true, server: false })) {
  t.test(`after a refusal of upstream's a collection is asked for again (${way})`, async (t) => {
    const { gateway } = await open(t, relayed);
    const asked = (): number => upstream.received.filter(({ method }) => method === 'GET').length;
    const sparse = (limit: number): string =>
      ask('acme', 'POST', '/query', `{"query":[1],"using":"sparse","limit":${limit}}`);
    await talk(gateway.port, sparse(1) + sparse(2), 1e5, 2);
    t.equal(asked(), 1);
    await talk(gateway.port, ask('main', 'POST', '/query', '{"limit":400}') + sparse(400), 1e5, 2);
    t.equal(asked(), 1, 'not after that of another caller');
    await talk(gateway.port, sparse(1), 1e5, 1);
    t.equal(asked(), 2);
  });
}

for (const lane of LANES) {
  t.test(`${lane.name}: a query that is sent again to another node is the one that was made anew`, async (t) => {
    const tenants = [
      { id: 'shop', collections: ['shop'], field: 'tenant', value: 'acme', credentials: 'tokens' },
    ] as const;
    const scene = await startNodes({ lane, count: 2, tenants });
    t.teardown(scene.close);
    const [one, two] = scene.nodes;
    if (!one || !two) throw new Error('two nodes');
    for (const { fake } of scene.nodes) {
      await fetch(`${fake.restUrl}/collections/shop`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: '{"vectors":{"size":2,"distance":"Dot"}}',
      });
      fake.recorder.clear();
    }
    one.mode = 'reset';
    const headers = { 'api-key': makeToken({ access: [{ collection: 'shop', access: 'rw' }] }) };
    const query = () => scene.ask('POST', `${POINTS}/query`, { body: '{"limit":1}', headers });
    for (let at = 0; at < 20 && one.seen.length === 0; at += 1) t.equal((await query()).status, 200);
    t.ok(one.seen.length > 0, 'the first node has been asked');
    const bodies = two.fake.recorder.rest.filter(({ method }) => method === 'POST').map(({ body }) => body.toString());
    t.strictSame(new Set(bodies), new Set([`{"limit":1,${FILTER}}`]));
  });
}
