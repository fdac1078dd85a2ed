import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { ExchangeParts } from '../../src/exchange/exchange.ts';
import { PLAIN_POLICY } from '../../src/policy/rules.ts';
import { authenticate, startGateway, type TestGateway, testCertificate } from '../rest/lane-fixture.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';
import { type Choices, type Fuzzer, type FuzzSession, fewer } from './harness.ts';

/*
 * Clients that leave: at every phase of an exchange, on every lane of REST, with bodies of all kinds, with upstream's pool
 * free and full, with a reload in between. Afterwards nothing of them may be left.
 */

const PHASES = ['head', 'after-head', 'mid-body', 'body', 'mid-answer', 'after-answer'] as const;
const SIZES = { none: 0, small: 1_024, medium: 200_000, large: 3_000_000 } as const;
const CODINGS = ['plain', 'gzip', 'zstd'] as const;
/** By `ACCESS` of the fixture; the others are refused. */
const CREDENTIALS = ['main', 'listA', 'writeA', 'wrong', 'none'] as const;
const WAYS = ['reset', 'end', 'destroy'] as const;
const OPERATIONS = ['list', 'get', 'query', 'upsert'] as const;
/** Of upstream's answer. `held` = once all clients that do not wait for an answer have left. */
const ANSWERS = ['now', 'held', 'large', 'early', 'cut'] as const;

interface Leaver {
  /** `http2` is plain where it has a length; `http2-server` never is. */
  readonly lane: 'relay' | 'fastify' | 'http2' | 'http2-server';
  readonly tls: boolean;
  readonly phase: (typeof PHASES)[number];
  readonly operation: (typeof OPERATIONS)[number];
  readonly size: keyof typeof SIZES;
  readonly coding: (typeof CODINGS)[number];
  readonly chunked: boolean;
  readonly credential: (typeof CREDENTIALS)[number];
  readonly way: (typeof WAYS)[number];
  readonly answer: (typeof ANSWERS)[number];
  /** Writes that the bytes are spread over. */
  readonly pieces: number;
  /** Turns of the event loop between the last byte and the end. */
  readonly turns: number;
}

interface Script {
  readonly pool: 'free' | 'full';
  readonly reload: boolean;
  readonly leavers: readonly Leaver[];
}

const CONNECTIONS = 4;
const MOST_LEAVERS = 120;
/** Requests beside, until nothing may be left any more. */
const PROBES = 50;
const LOOKS = 20;
const PATIENCE_MS = 60_000;

function makeLeaver(choices: Choices): Leaver {
  const operation = choices.of(OPERATIONS);
  const bodied = operation === 'query' || operation === 'upsert';
  return {
    lane: choices.weighted([
      [4, 'relay'],
      [4, 'fastify'],
      [3, 'http2'],
      [1, 'http2-server'],
    ]),
    tls: choices.chance(0.1),
    phase: choices.weighted([
      [1, 'head'],
      [2, 'after-head'],
      [4, 'mid-body'],
      [6, 'body'],
      [2, 'mid-answer'],
      [3, 'after-answer'],
    ]),
    operation,
    size: bodied
      ? choices.weighted([
          [12, 'small'],
          [6, 'medium'],
          [1, 'large'],
        ])
      : 'none',
    coding: choices.weighted([
      [4, 'plain'],
      [1, 'gzip'],
      [1, 'zstd'],
    ]),
    chunked: choices.chance(0.3),
    credential: choices.weighted([
      [3, 'main'],
      [5, 'listA'],
      [3, 'writeA'],
      [1, 'wrong'],
      [1, 'none'],
    ]),
    way: choices.of(WAYS),
    answer: choices.weighted([
      [5, 'now'],
      [3, 'held'],
      [1, 'large'],
      [1, 'early'],
      [1, 'cut'],
    ]),
    pieces: choices.between(1, 4),
    turns: choices.between(0, 3),
  };
}

const EMPTY = Buffer.alloc(0);

/** Bodies by size and coding, made once. */
const bodies = new Map<string, Buffer>();

function bodyOf({ operation, size, coding }: Leaver): Buffer {
  const key = `${operation} ${size} ${coding}`;
  const known = bodies.get(key);
  if (known) return known;
  const bytes = SIZES[size];
  if (bytes === 0) return EMPTY;
  // Half of it is hard to compress.
  let state = 1;
  const noise = Array.from({ length: Math.ceil(bytes / 2) }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return String.fromCharCode(97 + ((state >>> 16) % 26));
  }).join('');
  const text = JSON.stringify(
    operation === 'query' ? { query: [1], lookup_from: { collection: 'a' }, noise } : { points: [], noise },
  ).padEnd(bytes);
  const plain = Buffer.from(text);
  const body = coding === 'gzip' ? gzipSync(plain) : coding === 'zstd' ? zstdCompressSync(plain) : plain;
  bodies.set(key, body);
  return body;
}

function lineOf({ operation, answer }: Leaver, id: number): readonly [method: string, path: string] {
  const query = `?id=${id}&answer=${answer}`;
  if (operation === 'list') return ['GET', `/collections${query}`];
  if (operation === 'get') return ['GET', `/collections/a${query}`];
  return operation === 'query'
    ? ['POST', `/collections/a/points/query${query}`]
    : ['PUT', `/collections/a/points${query}`];
}

function mayPass({ credential, operation }: Leaver): boolean {
  if (credential === 'main' || credential === 'writeA') return true;
  return credential === 'listA' && operation !== 'upsert';
}

/** What upstream got, and how it answers. */
class Recorder {
  readonly server: Server;
  /** Whole requests by id. */
  readonly whole = new Map<number, Buffer>();
  readonly begun = new Map<number, number>();
  #held: (() => void)[] = [];
  #holds = true;

  constructor() {
    this.server = createServer((request, response) => this.#take(request, response));
    this.server.keepAliveTimeout = 60_000;
  }

  /** Begins a script: what is to be held is held. */
  begin(): void {
    this.whole.clear();
    this.begun.clear();
    this.#holds = true;
  }

  release(): void {
    this.#holds = false;
    const held = this.#held;
    this.#held = [];
    for (const answer of held) answer();
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://upstream');
    const id = Number(url.searchParams.get('id') ?? -1);
    const kind = url.searchParams.get('answer') ?? 'now';
    this.begun.set(id, (this.begun.get(id) ?? 0) + 1);
    const chunks: Buffer[] = [];
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    if (kind === 'early') this.#answer(response, 400, '{"status":{"error":"early"}}');
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      this.whole.set(id, Buffer.concat(chunks));
      if (kind === 'cut') {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' });
        response.write('{"result":', () => request.socket.destroy());
      } else if (kind === 'held' && this.#holds) {
        this.#held.push(() => this.#answer(response, 200, LISTED));
      } else if (kind !== 'early') this.#answer(response, 200, kind === 'large' ? LARGE : LISTED);
    });
  }

  #answer(response: ServerResponse, status: number, text: string): void {
    if (response.destroyed) return;
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': String(text.length) });
    response.end(text);
  }
}

const LISTED = '{"result":{"collections":[{"name":"a"},{"name":"b"}]},"status":"ok","time":0}';
const LARGE = `{"result":{"collections":[{"name":"a"}]},"status":"ok","time":0,"noise":"${'x'.repeat(200_000)}"}`;

interface Gateways {
  readonly plain: TestGateway;
  readonly tls: TestGateway;
}

/** What comes of one client. */
interface Told {
  readonly status: number | undefined;
  /** It had sent all of its body. */
  readonly sentAll: boolean;
}

class Leavers implements FuzzSession<Script> {
  readonly #recorder: Recorder;
  readonly #gateways: Gateways;
  readonly #counts: { admitted: number; recorded: number; faults: unknown[] };
  readonly #reload: () => void;
  #id = 0;
  #resources: number | undefined;

  constructor(
    recorder: Recorder,
    gateways: Gateways,
    counts: { admitted: number; recorded: number; faults: unknown[] },
    reload: () => void,
  ) {
    this.#recorder = recorder;
    this.#gateways = gateways;
    this.#counts = counts;
    this.#reload = reload;
  }

  async run({ pool, reload, leavers }: Script): Promise<void> {
    this.#recorder.begin();
    const holders = pool === 'full' ? await this.#fill() : [];
    const ids = leavers.map(() => ++this.#id);
    const early: Promise<Told>[] = [];
    const all = leavers.map((leaver, index) => {
      const told = this.#leave(leaver, ids[index] ?? 0);
      if (!leaver.phase.endsWith('answer')) early.push(told);
      return told;
    });
    if (reload) this.#reload();
    await within(Promise.all(early), 'a client could not leave');
    this.#recorder.release();
    const told = await within(Promise.all(all), 'a client that waits got no answer');
    for (const holder of holders) holder.destroy();
    for (const [index, leaver] of leavers.entries()) this.#check(leaver, ids[index] ?? 0, told[index]);
    await this.#settled();
  }

  /** Nothing reached upstream that was not permitted, none of it twice, and nothing that was not all there. */
  #check(leaver: Leaver, id: number, told: Told | undefined): void {
    const where = JSON.stringify(leaver);
    const begun = this.#recorder.begun.get(id) ?? 0;
    if (begun > 1) throw new Error(`sent ${begun} times: ${where}`);
    if (begun > 0 && !mayPass(leaver)) throw new Error(`reached upstream without a permit: ${where}`);
    const whole = this.#recorder.whole.get(id);
    if (whole && !told?.sentAll) throw new Error(`a body that was cut off was whole upstream: ${where}`);
    if (whole && !whole.equals(bodyOf(leaver))) throw new Error(`a body was changed: ${where}`);
    const status = told?.status;
    if (status !== undefined && status < 300 && !mayPass(leaver))
      throw new Error(`${status} without a permit: ${where}`);
  }

  /** All of upstream's connections are taken, by requests that are held: those of the server, and those of plain HTTP/2. */
  async #fill(): Promise<{ destroy(): void }[]> {
    const { plain, tls } = this.#gateways;
    const ids: number[] = [];
    const held = (): number => {
      const next = ++this.#id;
      ids.push(next);
      return next;
    };
    const holders: { destroy(): void }[] = [];
    for (let count = 0; count < CONNECTIONS; count += 1) {
      holders.push(hold(connectTcp(plain.port), held()));
      holders.push(hold(connectTls({ port: tls.port, rejectUnauthorized: false }), held()));
    }
    holders.push(holdHttp2(tls.port, Array.from({ length: CONNECTIONS }, held)));
    const isFull = (): boolean => tls.listener.figures().http2Upstream === CONNECTIONS;
    for (let probe = 0; !isFull() || ids.some((one) => !this.#recorder.whole.has(one)); probe += 1) {
      if (probe > 100 * PROBES) throw new Error('the pool is not filled');
      await pause(2);
    }
    return holders;
  }

  async #leave(leaver: Leaver, id: number): Promise<Told> {
    const gateway = leaver.tls || isHttp2(leaver) ? this.#gateways.tls : this.#gateways.plain;
    return isHttp2(leaver) ? leaveHttp2(gateway.port, leaver, id) : leaveHttp1(gateway.port, leaver, id);
  }

  /** Others are served, and nothing is left. */
  async #settled(): Promise<void> {
    let left = '';
    for (let probe = 0; probe < PROBES; probe += 1) {
      for (const gateway of Object.values(this.#gateways)) await this.#probe(gateway);
      // The last of the probe's own connection goes, too.
      for (let look = 0; look < LOOKS; look += 1) {
        left = this.#left();
        if (left === '') return;
        await pause(look);
      }
    }
    throw new Error(`left over: ${left}`);
  }

  async #probe({ port }: TestGateway): Promise<void> {
    const tls = port === this.#gateways.tls.port;
    const lanes = tls ? (['relay', 'fastify', 'http2', 'http2-server'] as const) : (['relay', 'fastify'] as const);
    const lane = lanes[this.#id % lanes.length] ?? 'relay';
    const probe: Leaver = { ...PROBE, lane, tls };
    const asked = (isHttp2(probe) ? leaveHttp2 : leaveHttp1)(port, probe, ++this.#id);
    const { status } = await within(asked, 'another connection is not served');
    if (status !== 200) throw new Error(`another connection is told ${status}`);
  }

  #left(): string {
    const { admitted, recorded, faults } = this.#counts;
    if (faults.length > 0) throw new Error(`a fault: ${String((faults[0] as Error)?.stack ?? faults[0])}`);
    const found: string[] = [];
    if (admitted !== recorded) found.push(`${admitted} admitted, ${recorded} recorded`);
    for (const [name, { listener, upstream }] of Object.entries(this.#gateways)) {
      for (const [what, count] of Object.entries({ ...listener.figures(), pool: upstream.size() })) {
        if (count !== 0) found.push(`${name} ${what} ${count}`);
      }
    }
    return found.join(', ');
  }

  async rest(): Promise<void> {
    const now = process.getActiveResourcesInfo().filter((name) => name !== 'Immediate').length;
    this.#resources ??= now;
    // Connections that are kept alive to upstream, and timers of undici's own.
    if (now > this.#resources + 4 * CONNECTIONS) throw new Error(`${now} handles, ${this.#resources} at first`);
  }

  async close(): Promise<void> {
    this.#recorder.release();
    await Promise.all([this.#gateways.plain.close(), this.#gateways.tls.close()]);
    this.#recorder.server.closeAllConnections();
    await new Promise((resolve) => this.#recorder.server.close(resolve));
  }
}

/** A request over HTTP/1.1 that is held upstream. */
function hold(socket: Socket, id: number): Socket {
  socket.on('error', ignore).on('data', ignore);
  const head = `PUT /collections/a/points?id=${id}&answer=held HTTP/1.1\r\nhost: a\r\napi-key: main\r\n`;
  socket.write(`${head}transfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\n2\r\n{}\r\n0\r\n\r\n`);
  return socket;
}

/** Requests on one HTTP/2 connection that are held upstream. */
function holdHttp2(port: number, ids: readonly number[]): ClientHttp2Session {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  session.on('error', ignore);
  for (const id of ids) {
    const path = `/collections/a/points?id=${id}&answer=held`;
    const headers = { ':method': 'PUT', ':path': path, 'api-key': 'main', 'content-length': '2' };
    session.request(headers).on('error', ignore).on('data', ignore).end('{}');
  }
  return session;
}

const PROBE: Leaver = {
  lane: 'relay',
  tls: false,
  phase: 'after-answer',
  operation: 'query',
  size: 'small',
  coding: 'plain',
  chunked: false,
  credential: 'listA',
  way: 'end',
  answer: 'now',
  pieces: 1,
  turns: 0,
};

async function within<T>(value: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(what)), PATIENCE_MS);
  });
  return Promise.race([value, late]).finally(() => clearTimeout(timer));
}

function isHttp2({ lane }: Leaver): boolean {
  return lane === 'http2' || lane === 'http2-server';
}

function headersOf(leaver: Leaver): string[] {
  const headers: string[] = ['content-type: application/json'];
  if (leaver.credential !== 'none') headers.push(`api-key: ${leaver.credential}`);
  if (leaver.coding !== 'plain' && leaver.size !== 'none') headers.push(`content-encoding: ${leaver.coding}`);
  // Not plain.
  else if (leaver.lane === 'http2-server') headers.push('content-encoding: identity');
  if (leaver.lane === 'fastify') headers.push('expect:');
  return headers;
}

function framed(leaver: Leaver, body: Buffer): Buffer {
  if (!leaver.chunked || body.length === 0) return body;
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; at += 50_000) {
    const part = body.subarray(at, at + 50_000);
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
  }
  return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
}

async function leaveHttp1(port: number, leaver: Leaver, id: number): Promise<Told> {
  const body = bodyOf(leaver);
  const [method, path] = lineOf(leaver, id);
  const framing =
    body.length === 0 ? [] : [leaver.chunked ? 'transfer-encoding: chunked' : `content-length: ${body.length}`];
  const lines = [`${method} ${path} HTTP/1.1`, 'host: a', ...headersOf(leaver), ...framing, '', ''];
  const head = Buffer.from(lines.join('\r\n'));
  const bytes = Buffer.concat([head, framed(leaver, body)]);
  const size = {
    head: head.length >> 1,
    'after-head': head.length,
    'mid-body': head.length + ((bytes.length - head.length) >> 1),
  };
  const end = leaver.phase in size ? size[leaver.phase as keyof typeof size] : bytes.length;
  const socket = leaver.tls ? connectTls({ port, rejectUnauthorized: false }) : connectTcp(port);
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  const reading = new Reading();
  socket.setNoDelay(true);
  socket
    .on('error', ignore)
    .on('data', (chunk: Buffer) => reading.push(chunk))
    .on('close', () => reading.close());
  for (let at = 0, piece = 1; piece <= leaver.pieces; piece += 1) {
    const to = piece === leaver.pieces ? end : Math.floor((end * piece) / leaver.pieces);
    socket.write(bytes.subarray(at, to));
    at = to;
    await turn();
  }
  if (leaver.phase === 'mid-answer') await reading.begun;
  if (leaver.phase === 'after-answer') await reading.whole;
  for (let left = leaver.turns; left > 0; left -= 1) await turn();
  if (leaver.way === 'end') socket.end(() => socket.destroySoon());
  else if (leaver.way === 'destroy' || leaver.tls) socket.destroy();
  else socket.resetAndDestroy();
  await closed;
  return { status: reading.status, sentAll: end === bytes.length };
}

/** The answer on an HTTP/1 connection. */
class Reading {
  readonly begun: Promise<void>;
  readonly whole: Promise<void>;
  status: number | undefined;
  #head = '';
  #left: number | undefined;
  #begin: () => void = ignore;
  #end: () => void = ignore;

  constructor() {
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
    this.whole = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  push(chunk: Buffer): void {
    if (this.#left === undefined) {
      this.#readHead(chunk.toString('latin1'));
      return;
    }
    this.#left -= chunk.length;
    if (this.#left <= 0 || chunk.toString('latin1', Math.max(0, chunk.length - 5)) === '0\r\n\r\n') this.#end();
  }

  #readHead(text: string): void {
    this.#head += text;
    const end = this.#head.indexOf('\r\n\r\n');
    if (end < 0) return;
    this.status = Number(this.#head.slice(9, 12));
    this.#begin();
    const length = /\r\ncontent-length: (\d+)/i.exec(this.#head)?.[1];
    this.#left = Number(length ?? Number.POSITIVE_INFINITY) - (this.#head.length - end - 4);
    if (this.#left <= 0 || this.#head.endsWith('0\r\n\r\n')) this.#end();
  }

  close(): void {
    this.#begin();
    this.#end();
  }
}

async function leaveHttp2(port: number, leaver: Leaver, id: number): Promise<Told> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  const closed = new Promise<void>((resolve) => void session.once('close', () => resolve()));
  session.on('error', ignore);
  let told: Told = { status: undefined, sentAll: false };
  const connected = new Promise<boolean>((resolve) => {
    session.once('connect', () => resolve(true)).once('close', () => resolve(false));
  });
  if ((await connected) && leaver.phase !== 'head') told = await requestAndLeave(session, leaver, id);
  session.destroy();
  await closed;
  return told;
}

async function requestAndLeave(session: ClientHttp2Session, leaver: Leaver, id: number): Promise<Told> {
  const [method, path] = lineOf(leaver, id);
  const headers: Record<string, string> = { ':method': method, ':path': path };
  for (const line of headersOf(leaver)) {
    const [name = '', value = ''] = line.split(': ');
    if (value !== '') headers[name] = value;
  }
  const body = bodyOf(leaver);
  if (!leaver.chunked && body.length > 0) headers['content-length'] = String(body.length);
  const stream = session.request(headers, { endStream: body.length === 0 && leaver.phase !== 'after-head' });
  let status: number | undefined;
  const closed = new Promise<void>((resolve) => void stream.once('close', () => resolve()));
  const begun = new Promise<void>(
    (resolve) =>
      void stream.once('response', (answer) => {
        status = Number(answer[':status']);
        resolve();
      }),
  );
  stream.on('error', ignore).on('data', ignore);
  const ended = new Promise<void>((resolve) => void stream.once('end', () => resolve()));
  const end = leaver.phase === 'after-head' ? 0 : leaver.phase === 'mid-body' ? body.length >> 1 : body.length;
  const whole = end === body.length && leaver.phase !== 'after-head';
  if (end > 0) stream.write(body.subarray(0, end));
  if (whole && body.length > 0) stream.end();
  if (leaver.phase === 'mid-answer') await Promise.race([begun, closed]);
  if (leaver.phase === 'after-answer') await Promise.race([ended, closed]);
  for (let left = leaver.turns; left > 0; left -= 1) await turn();
  if (leaver.way === 'reset') {
    // To close it would end the body first.
    if (whole) stream.close(constants.NGHTTP2_CANCEL);
    else stream.destroy(new Error('left'));
    await closed;
  } else if (leaver.way === 'end') {
    await turn();
  }
  return { status, sentAll: whole || (body.length === 0 && leaver.phase !== 'after-head') };
}

function ignore(): void {}

async function open(): Promise<Leavers> {
  const recorder = new Recorder();
  await new Promise<void>((resolve) => void recorder.server.listen(0, '127.0.0.1', resolve));
  const address = recorder.server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const counts = { admitted: 0, recorded: 0, faults: [] as unknown[] };
  const policy = { current: PLAIN_POLICY };
  const parts: ExchangeParts = {
    ...PLAIN_PARTS,
    policy,
    // As a token that has to be looked up is known later.
    authenticate: (headers) => {
      const known = authenticate(headers);
      return 'access' in known && known.access.kind === 'list' ? turn(known) : known;
    },
    admit: () => {
      counts.admitted += 1;
      return undefined;
    },
    record: () => {
      counts.recorded += 1;
    },
    fault: (error) => {
      counts.faults.push(error);
    },
  };
  const certificate = await testCertificate();
  const common = {
    parts,
    limits: { inspected_body_bytes: 8 << 20 },
    upstreamWaitMs: PATIENCE_MS,
    upstreamOptions: { connections: CONNECTIONS, maxWaiting: 10 * MOST_LEAVERS, headersTimeoutMs: PATIENCE_MS },
    relayed: true,
    upstreamConnections: CONNECTIONS,
  };
  const plain = await startGateway(port, common);
  const tls = await startGateway(port, { ...common, tls: certificate });
  const reload = (): void => {
    policy.current = { ...PLAIN_POLICY };
    tls.listener.setSecureContext(certificate);
  };
  return new Leavers(recorder, { plain, tls }, counts, reload);
}

export const fuzzer: Fuzzer<Script> = {
  name: 'leavers',
  about: 'clients of REST that leave at every phase, on every lane',
  make: (choices) => ({
    pool: choices.chance(0.3) ? 'full' : 'free',
    reload: choices.chance(0.1),
    leavers: Array.from({ length: choices.between(1, MOST_LEAVERS) }, () => makeLeaver(choices)),
  }),
  *simpler(script) {
    for (const leavers of fewer(script.leavers)) if (leavers.length > 0) yield { ...script, leavers };
    if (script.reload) yield { ...script, reload: false };
  },
  open,
};
