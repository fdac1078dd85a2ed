import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { Connections } from '../../src/net/connections.ts';
import {
  type RecordingUpstream,
  recordingUpstream,
  startGateway,
  type TestGateway,
  testCertificate,
} from '../rest/lane-fixture.ts';
import { AnswerReader, type ReadAnswer } from '../support/clients/answer-reader.ts';
import { type Choices, type Fuzzer, type FuzzSession, fewer } from './harness.ts';

/** What is asked, and so what has to come of it. */
type Kind = keyof typeof KINDS;

interface Sent {
  readonly kind: Kind;
  /** A head that the relay leaves to the other lane. */
  readonly odd: boolean;
  readonly body: 'none' | 'plain' | 'chunked' | 'gzip' | 'expected';
  readonly size: number;
  /** Asks for the end of the connection. */
  readonly close: boolean;
}

interface Script {
  readonly tls: boolean;
  readonly relayed: boolean;
  readonly requests: readonly Sent[];
  /** Where the bytes are cut, as shares of all of them, and whether a turn passes there. */
  readonly cuts: readonly (readonly [share: number, wait: boolean])[];
  /** The client closes its writing half behind the last request. */
  readonly halfClose: boolean;
  /** Upstream answers after so many turns. */
  readonly turns: number;
}

interface Expectation {
  readonly method: string;
  readonly target: string;
  readonly key: string | undefined;
  readonly status: number;
  /** It goes upstream, once. */
  readonly permitted: boolean;
  readonly hasBody: boolean;
  /** A body that names this. */
  readonly text: string;
}

const KINDS = {
  get: ask('GET', '/collections/a', 'main', 200, true),
  put: ask('PUT', '/collections/a/points', 'main', 200, true, '{"points":[]'),
  query: ask('POST', '/collections/a/points/query', 'listA', 200, true, '{"limit":1'),
  unlisted: ask('GET', '/nowhere', 'main', 200, true),
  list: ask('GET', '/collections', 'listA', 200, true),
  health: ask('GET', '/healthz', undefined, 200, true),
  tenant: ask('POST', '/collections/a/points/query', 'tenant', 200, true, '{"limit":1'),
  elsewhere: ask('POST', '/collections/a/points/query', 'listA', 403, false, '{"lookup_from":{"collection":"secret"}'),
  forbidden: ask('PUT', '/collections/a/points', 'listA', 403, false, '{"points":[]'),
  unknown: ask('GET', '/nowhere', 'listA', 404, false),
  stranger: ask('GET', '/collections/a', undefined, 401, false),
  guess: ask('PUT', '/collections/a/points', 'wrong', 401, false, '{"points":[]'),
  preflight: ask('OPTIONS', '/collections/a', undefined, 200, false),
  twoBlanks: ask('GET', ' /collections/a', 'main', 400, false),
} as const;

function ask(
  method: string,
  target: string,
  key: string | undefined,
  status: number,
  permitted: boolean,
  text?: string,
): Expectation {
  return { method, target, key, status, permitted, hasBody: text !== undefined, text: text ?? '' };
}

const ODD = ['authorization: Basic eDp5', 'connection: keep-alive, x-none'];
/** A refused body up to this size is read to its end, so that the connection goes on. */
const SHORT_BODY = 65_536;
const LIST = '{"result":{"collections":[{"name":"a"},{"name":"secret"}]},"status":"ok","time":0.0}';

/** The gateway asks whether the collection has shard keys. */
const OWN_QUESTION = '/collections/a';
const INFO = '{"result":{"status":"green","config":{"params":{}}},"status":"ok","time":0.0}';

const TAG = /(?:tag|consistency)=([\d-]+)/;
const BOUND = '{"limit":1,"filter":{"must":[{"key":"tenant","match":{"value":"acme"}},{"key":"pad",';

/** A tenant's query has its condition; no other request has. */
function bound(target: string, body: Buffer): void {
  if ((body.toString('latin1', 0, BOUND.length) === BOUND) !== target.includes('consistency'))
    throw new Error(`${target}: ${body.toString('latin1', 0, 200)}`);
}

function bytesOf(sent: Sent, tag: string, index: number): Buffer {
  const { method, target, key, hasBody, text } = KINDS[sent.kind];
  // Of a tenant's query only what upstream knows is sent.
  const name = sent.kind === 'tenant' ? 'consistency' : 'tag';
  const lines = [`${method} ${target}?${name}=${tag} HTTP/1.1`, 'host: x'];
  if (key !== undefined) lines.push(`api-key: ${key}`);
  if (sent.kind === 'preflight') lines.push('access-control-request-method: GET', 'origin: http://x');
  if (sent.odd && !sent.close) lines.push(ODD[index % ODD.length] ?? '');
  if (sent.close) lines.push('connection: close');
  if (!hasBody || sent.body === 'none') return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
  const pad = 'x'.repeat(sent.size);
  const rest = sent.kind === 'tenant' ? `"filter":{"must":{"key":"pad","match":{"value":"${pad}"}}}` : `"pad":"${pad}"`;
  const plain = Buffer.from(`${text},${rest}}`);
  const body = sent.body === 'gzip' ? gzipSync(plain) : plain;
  if (sent.body === 'gzip') lines.push('content-encoding: gzip');
  if (sent.body === 'expected') lines.push('expect: 100-continue');
  if (sent.body !== 'chunked') {
    lines.push(`content-length: ${body.length}`);
    return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]);
  }
  lines.push('transfer-encoding: chunked');
  const middle = body.length >> 1;
  const chunks = [body.subarray(0, middle), body.subarray(middle)].filter(({ length }) => length > 0);
  const framed = chunks.flatMap((part) => [
    Buffer.from(`${part.length.toString(16)}${index % 2 ? ';a=b' : ''}\r\n`),
    part,
    Buffer.from('\r\n'),
  ]);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), ...framed, Buffer.from('0\r\n\r\n')]);
}

/** True = the answer to it may be the last, although the client did not ask for that. */
function mayEnd(sent: Sent): boolean {
  const { permitted, hasBody } = KINDS[sent.kind];
  if (sent.kind === 'twoBlanks') return true;
  return (
    !permitted && hasBody && (sent.body === 'chunked' || sent.body === 'expected' || sent.size > SHORT_BODY - 1_000)
  );
}

/** May bytes come behind the answer that ends the connection? One that asks to be told to go on, and does not wait, too. */
function isCut(sent: Sent, last: boolean): boolean {
  return last ? mayEnd(sent) && sent.body === 'expected' : sent.close || mayEnd(sent);
}

class Pipelines implements FuzzSession<Script> {
  readonly #upstream: RecordingUpstream;
  readonly #gateways: ReadonlyMap<string, { readonly gateway: TestGateway; readonly connections: Connections }>;
  readonly #setTurns: (turns: number) => void;
  #run = 0;

  constructor(
    upstream: RecordingUpstream,
    gateways: ReadonlyMap<string, { readonly gateway: TestGateway; readonly connections: Connections }>,
    setTurns: (turns: number) => void,
  ) {
    this.#upstream = upstream;
    this.#gateways = gateways;
    this.#setTurns = setTurns;
  }

  async run(script: Script): Promise<void> {
    const at = this.#gateways.get(`${script.tls} ${script.relayed}`);
    if (!at) throw new TypeError('no such gateway');
    const { gateway, connections } = at;
    const { received } = this.#upstream;
    received.length = 0;
    gateway.outcomes.length = 0;
    this.#run += 1;
    this.#setTurns(script.turns);
    const tags = script.requests.map((_, index) => `${this.#run}-${index}`);
    const bytes = Buffer.concat(script.requests.map((sent, index) => bytesOf(sent, tags[index] ?? '', index)));
    const { answers, reset } = await talk(gateway.port, script, bytes);
    // Bytes behind the last answer may have a connection reset, and take answers along that were on their way.
    const lossy = reset && script.requests.some((sent, index) => isCut(sent, index === script.requests.length - 1));
    judge(script, tags, answers, lossy);
    await atRest(() => connections.inFlight() === 0 && connections.counts().open === 0);
    const permitted = tags.filter((_, index) => KINDS[script.requests[index]?.kind ?? 'get'].permitted);
    const expected = permitted.filter((tag) => tags.indexOf(tag) < answers.length);
    // Questions of the gateway's own have no tag.
    const sent = received.filter(({ target }) => target !== OWN_QUESTION);
    for (const { target, body } of sent) bound(target, body);
    const came = sent.map(({ target }) => TAG.exec(target)?.[1] ?? target);
    same('what reached upstream', came, lossy ? permitted.slice(0, Math.max(expected.length, came.length)) : expected);
    if (gateway.faults.length > 0) throw new Error(`a fault: ${String(gateway.faults.splice(0)[0])}`);
  }

  async close(): Promise<void> {
    for (const { gateway } of this.#gateways.values()) await gateway.close();
    await this.#upstream.close();
  }
}

interface Said {
  readonly answers: readonly ReadAnswer[];
  /** The connection was reset before it was read to its end. */
  readonly reset: boolean;
}

/** Says all of it as the script has it, and reads what comes to the end. */
async function talk(port: number, script: Script, bytes: Buffer): Promise<Said> {
  const reader = new AnswerReader();
  const socket: Socket = script.tls
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, allowHalfOpen: true } as never)
    : connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(
    () => reject(new Error(`only ${reader.answers.length} of ${script.requests.length} answers`)),
    10_000,
  );
  socket.on('data', (chunk: Buffer) => {
    reader.push(chunk);
    if (!script.halfClose && !reader.last && reader.answers.length >= script.requests.length) resolve();
  });
  let reset = false;
  socket.on('error', () => {
    reset = true;
  });
  socket.once('end', resolve).once('close', () => resolve());
  try {
    let from = 0;
    for (const [share, wait] of script.cuts.toSorted(([a], [b]) => a - b)) {
      const to = Math.floor(bytes.length * share);
      if (to > from) socket.write(bytes.subarray(from, to));
      from = Math.max(from, to);
      if (wait) await new Promise((next) => setImmediate(next));
      if (socket.destroyed) break;
    }
    if (!socket.destroyed) socket.write(bytes.subarray(from));
    if (script.halfClose) socket.end();
    await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
  return { answers: reset ? reader.answers : reader.whole(), reset };
}

/** Turn by turn, so that a script costs no more than it has to. */
async function atRest(still: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!still()) {
    if (performance.now() > end) throw new Error('something stays open');
    await new Promise((next) => setImmediate(next));
  }
}

/** In order, each the right one; none is missing but behind the last of the connection. */
function judge(script: Script, tags: readonly string[], answers: readonly ReadAnswer[], lossy: boolean): void {
  for (const [index, answer] of answers.entries()) {
    const sent = script.requests[index];
    if (!sent) throw new Error('an answer too many');
    const { status, permitted } = KINDS[sent.kind];
    const what = `request ${index} (${sent.kind})`;
    if (answer.status !== status) throw new Error(`${what}: ${answer.status} instead of ${status}: ${answer.body}`);
    if (permitted && sent.kind !== 'list' && !answer.body.includes(`"${tags[index]}"`))
      throw new Error(`${what}: another one's answer`);
    if (sent.kind === 'list' && (!answer.body.includes('"a"') || answer.body.includes('secret')))
      throw new Error(`${what}: ${answer.body}`);
    const last = index === answers.length - 1;
    const ends = sent.close || mayEnd(sent);
    if (!last && (sent.close || answer.close)) throw new Error(`${what}: something came behind the last answer`);
    if (last && !ends && !lossy && index < script.requests.length - 1)
      throw new Error(`${what}: the next one has no answer`);
  }
  if (answers.length === 0 && !lossy) throw new Error('no answer at all');
}

function same(what: string, found: readonly string[], expected: readonly string[]): void {
  if (found.join() !== expected.join()) throw new Error(`${what}: [${found}] instead of [${expected}]`);
}

export const fuzzer: Fuzzer<Script> = {
  name: 'pipelines',
  about: 'HTTP/1.1 pipelines over both lanes, cut anywhere, half closed',
  make(choices) {
    return {
      tls: choices.chance(0.15),
      relayed: choices.chance(0.75),
      requests: Array.from({ length: choices.between(1, 9) }, () => request(choices)),
      cuts: Array.from(
        {
          length: choices.weighted([
            [3, 0],
            [3, 2],
            [1, 12],
          ]),
        },
        () => [choices.below(10_000) / 10_000, choices.chance(0.5)] as const,
      ),
      halfClose: choices.chance(0.3),
      turns: choices.weighted([
        [3, 0],
        [2, 1],
        [1, 4],
      ]),
    };
  },
  *simpler(script) {
    for (const requests of fewer(script.requests)) if (requests.length > 0) yield { ...script, requests };
    for (const cuts of fewer(script.cuts)) yield { ...script, cuts };
    if (script.tls) yield { ...script, tls: false };
    if (script.halfClose) yield { ...script, halfClose: false };
  },
  async open() {
    let turns = 0;
    const upstream = await recordingUpstream((request, response) => {
      const tag = TAG.exec(request.url ?? '')?.[1];
      const list = request.url?.startsWith('/collections?') === true;
      const body = list ? LIST : request.url === OWN_QUESTION ? INFO : `{"tag":"${tag}"}`;
      const answer = (left: number): void => {
        if (left > 0) setImmediate(answer, left - 1);
        else response.setHeader('content-type', 'application/json').end(body);
      };
      answer(turns);
    });
    const tls = await testCertificate();
    const gateways = new Map<string, { gateway: TestGateway; connections: Connections }>();
    for (const secured of [true, false]) {
      for (const relayed of [true, false]) {
        const connections = new Connections((error) => gateway.faults.push(error));
        const gateway: TestGateway = await startGateway(upstream.port, {
          relayed,
          connections,
          ...(secured ? { tls } : {}),
        });
        gateways.set(`${secured} ${relayed}`, { gateway, connections });
      }
    }
    return new Pipelines(upstream, gateways, (next) => {
      turns = next;
    });
  },
};

function request(choices: Choices): Sent {
  const kind = choices.weighted<Kind>([
    [6, 'get'],
    [6, 'put'],
    [5, 'query'],
    [5, 'tenant'],
    [2, 'unlisted'],
    [4, 'list'],
    [4, 'health'],
    [2, 'elsewhere'],
    [2, 'forbidden'],
    [1, 'unknown'],
    [2, 'stranger'],
    [2, 'guess'],
    [1, 'preflight'],
    [1, 'twoBlanks'],
  ]);
  return {
    kind,
    odd: choices.chance(0.3),
    // A body that is missing is upstream's to refuse, but one that has to be looked at is there.
    body: choices.weighted([
      [5, 'plain'],
      [3, 'chunked'],
      [2, 'gzip'],
      [1, 'expected'],
    ] as const),
    size: choices.weighted([
      [8, 0],
      [6, 100],
      [3, 5_000],
      [1, 70_000],
      [1, 200_000],
    ]),
    close: choices.chance(0.04),
  };
}
