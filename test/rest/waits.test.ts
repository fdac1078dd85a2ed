import { request as http1, type ServerResponse } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import t, { type Test } from 'tap';
import { INVALID_CREDENTIAL } from '../../src/policy/denial.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';
import { LANES } from '../support/nodes.ts';
import { until } from '../support/until.ts';
import { authenticate as identify, recordingUpstream, startGateway, testCertificate } from './lane-fixture.ts';

/*
 * A request that waits after its decision, on each lane and for each thing that it may wait for: what has changed meanwhile is
 * applied to it, and nothing of it goes upstream that a new request could not send.
 */

type Lane = (typeof LANES)[number];

/** A wait: what keeps the request waiting, and the request. */
interface Wait {
  readonly sentence: string;
  readonly lanes?: (lane: Lane) => boolean;
  readonly key: string;
  readonly method: string;
  readonly path: string;
  readonly body?: string;
  /** Requests of the same kind that are under way before it. */
  readonly before: number;
  /** Questions about it of which the first is not answered at the change. Default: none. */
  readonly questions?: number;
}

/** Places of one connection. */
const OF_CONNECTION = 4;
const POINTS = '/collections/a/points';
const WAITS: readonly Wait[] = [
  {
    ...{ sentence: 'a place for an answer that is changed for a tenant', key: 'tenant', before: 8 },
    ...{ method: 'POST', path: POINTS, body: '{"ids":[1]}' },
  },
  {
    ...{ sentence: 'a place for a list that is filtered', key: 'listA', before: 8 },
    ...{ method: 'GET', path: '/collections' },
  },
  {
    ...{ sentence: 'the question whether its point is of the tenant', key: 'tenant', before: 0, questions: 2 },
    ...{ method: 'POST', path: `${POINTS}/query`, body: '{"query":1}' },
  },
  {
    ...{ sentence: 'a place upstream of its connection', key: 'writeA', before: 1 },
    ...{ method: 'GET', path: '/collections/a' },
    lanes: ({ http2, relay }) => http2 && relay,
  },
];

interface Change {
  readonly sentence: string;
  readonly status: number;
  readonly apply: (state: State) => unknown;
}

interface State {
  generation: object;
  now: number;
  as: typeof authenticate;
}

/** One principal for each key: its places are counted together. */
const principals = new Map<string, ReturnType<typeof identify>>();
function authenticate(headers: readonly string[]): ReturnType<typeof identify> {
  const key = headers[headers.indexOf('api-key') + 1] ?? '';
  const known = principals.get(key) ?? identify(headers);
  principals.set(key, known);
  return known;
}

const bound = (headers: readonly string[]): ReturnType<typeof authenticate> => {
  const known = authenticate(headers);
  return known instanceof Promise || known.kind === 'denial' ? known : { ...known, tenancy: { scopes: [] } };
};
const narrowed = (headers: readonly string[]): ReturnType<typeof authenticate> => {
  const known = authenticate(headers);
  if (known instanceof Promise || known.kind === 'denial') return known;
  return { ...known, access: { kind: 'list', modes: new Map([['b', 'r']]) } };
};

const CHANGES: readonly Change[] = [
  { sentence: 'nothing changes', status: 200, apply: () => undefined },
  {
    sentence: 'the policy changes, and nothing for its caller',
    status: 200,
    apply: (at) => Object.assign(at, { generation: {} }),
  },
  {
    sentence: 'its caller is bound otherwise',
    status: 503,
    apply: (at) => Object.assign(at, { generation: {}, as: bound }),
  },
  {
    sentence: 'its caller has less access',
    status: 503,
    apply: (at) => Object.assign(at, { generation: {}, as: narrowed }),
  },
  {
    sentence: 'its key is removed',
    status: 401,
    apply: (at) => Object.assign(at, { generation: {}, as: () => INVALID_CREDENTIAL }),
  },
  {
    sentence: 'its token expires or is revoked',
    status: 401,
    apply: (at) => Object.assign(at, { now: at.now + 1000, as: () => INVALID_CREDENTIAL }),
  },
];

const certificate = await testCertificate();
const held: (readonly [response: ServerResponse, result: string])[] = [];
const upstream = await recordingUpstream(
  (_request, response, { target }) => void held.push([response, resultOf(target)]),
);

function resultOf(target: string): string {
  if (target === '/collections') return '{"collections":[]}';
  if (target === '/collections/a') return '{"config":{"params":{"vectors":{"size":1}}}}';
  return target === POINTS ? '[]' : '{"points":[{"id":1}]}';
}
t.teardown(() => upstream.close());

/** Answers all that upstream holds, and what comes then. */
function answerAll(): void {
  for (const [response, result] of held.splice(0)) {
    response.setHeader('content-type', 'application/json');
    response.end(`{"result":${result},"status":"ok","time":0}`);
  }
}

async function open(t: Test, lane: Lane, state: State) {
  const gateway = await startGateway(upstream.port, {
    relayed: lane.relay,
    upstreamConnections: 1,
    ...(lane.http2 && { tls: certificate }),
    parts: {
      ...PLAIN_PARTS,
      identifying: () => state.generation,
      authenticate: (headers) => state.as(headers),
      now: () => state.now,
      record: () => undefined,
      fault: (error) => t.fail(String(error)),
    },
  });
  const sessions: ClientHttp2Session[] = [];
  let asked = 0;
  // A connection has half of the places of its caller: no more requests go over one.
  const session = (): ClientHttp2Session => {
    const at = Math.floor(asked / OF_CONNECTION);
    asked += 1;
    sessions[at] ??= connect(`https://127.0.0.1:${gateway.port}`, { rejectUnauthorized: false }).on(
      'error',
      () => undefined,
    );
    return sessions[at];
  };
  t.teardown(async () => {
    for (const one of sessions) one.destroy();
    answerAll();
    await gateway.close();
  });
  return (wait: Wait) => (lane.http2 ? overHttp2(session(), wait) : overHttp1(gateway.port, wait));
}

function overHttp1(port: number, { method, path, body, key }: Wait): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { 'api-key': key, 'content-type': 'application/json' };
    const sent = http1({ host: '127.0.0.1', port, method, path, headers, agent: false });
    sent.on('response', (answer) => {
      answer.resume().on('end', () => resolve(answer.statusCode ?? 0));
    });
    sent.on('error', reject).end(body);
  });
}

function overHttp2(session: ClientHttp2Session, { method, path, body, key }: Wait): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = session.request(
      { ':method': method, ':path': path, 'api-key': key, 'content-type': 'application/json' },
      { endStream: body === undefined },
    );
    let status = 0;
    stream.on('response', (head) => {
      status = Number(head[':status']);
    });
    stream.on('error', reject).on('close', () => resolve(status));
    stream.resume();
    if (body !== undefined) stream.end(body);
  });
}

for (const wait of WAITS) {
  for (const lane of LANES) {
    if (wait.lanes && !wait.lanes(lane)) continue;
    t.test(`${wait.sentence}: ${lane.name}`, async (t) => {
      for (const { sentence, status, apply } of CHANGES) {
        await t.test(sentence, async (t) => {
          upstream.received.length = 0;
          const state: State = { generation: {}, now: 0, as: authenticate };
          const ask = await open(t, lane, state);
          const first = Array.from({ length: wait.before }, () => ask(wait));
          await until(() => held.length === wait.before, 'those before it are under way');
          const waiting = ask(wait);
          const before = wait.before + (wait.questions ? 1 : 0);
          // One more that is refused at once comes back behind it: it has been judged by then.
          t.equal(await ask({ ...wait, key: 'wrong' }), 401);
          await until(() => held.length === before, 'what is asked about it has come');
          apply(state);
          let over = false;
          void waiting.finally(() => {
            over = true;
          });
          answerAll();
          await until(() => {
            answerAll();
            return over;
          }, 'it is answered');
          t.equal(await waiting, status);
          await Promise.all(first);
          t.equal(
            upstream.received.length,
            status === 200 ? wait.before + (wait.questions ?? 0) + 1 : before,
            'what upstream has got',
          );
        });
      }
    });
  }
}
