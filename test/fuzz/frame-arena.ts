import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { GrpcExchange } from '../../src/grpc/exchange.ts';
import { DEFAULT_MESSAGE_LIMITS } from '../../src/grpc/message/message.ts';
import type { GrpcRelayOptions } from '../../src/grpc/relay/options.ts';
import { GrpcRelay } from '../../src/grpc/relay/relay.ts';
import type { Answer } from '../../src/grpc/unary/unary-answer.ts';
import { ErrorCode } from '../../src/http2/frames.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { createAnswerMemory } from '../../src/limits/answer-memory.ts';
import { WorkScheduler } from '../../src/limits/work-scheduler.ts';
import { GLOBAL_MANAGE } from '../../src/policy/access.ts';
import { INTERNAL_FAULT, MISSING_CREDENTIAL } from '../../src/policy/denial.ts';
import { NO_CREDENTIAL } from '../../src/upstream/credential.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';
import { limitsOf } from '../support/limits-of.ts';
import { nodesAt, spreadOver } from '../support/node-list.ts';
import { StrictClient } from './strict-client.ts';

/** A relay over an upstream of the fuzzer's, on real sockets, and everything that can be seen of it. */
export interface Arena {
  /** Connects; nothing is sent. `relay` is the gateway's end. */
  connect(): Promise<{ readonly socket: Socket; readonly relay: GrpcRelay }>;
  /** Connects a client. */
  join(): Promise<{ readonly client: StrictClient; readonly relay: GrpcRelay }>;
  /** Milliseconds that the gateway's clock is ahead. */
  ahead: number;
  /** Faults of ours since this was last asked. */
  takeFaults(): readonly unknown[];
  /** Calls that were recorded more than once. */
  readonly recordedTwice: number;
  readonly recorded: number;
  /** Request bytes that wait for nodes, over all connections. */
  readonly waiting: number;
  /** Relays whose connection is there. */
  readonly open: number;
  /** Waits until no client connection is left. Rejects after a bound. */
  untilGone(): Promise<void>;
  /** A call on a new connection is answered. */
  serves(): Promise<void>;
  close(): Promise<void>;
}

/** What an upstream does with each of its connections. */
export type Accept = (socket: Socket, node: number) => void;

/** Milliseconds that anything may take. A finding is reduced sooner with less. */
const BOUND_MS = Number(process.env.FUZZ_BOUND_MS ?? 5000);

function principal(access: Principal['access']): Principal {
  return { kind: 'principal', access, authType: 'Jwt', bounds: undefined, keyId: 'test', subject: undefined };
}

const ADMIN = principal(GLOBAL_MANAGE);
const SCOPED = principal({ kind: 'list', modes: new Map([['docs', 'rw']]) });
/** `ListCollections` with two names, one of them the list's. */
const COLLECTIONS = Buffer.from('0a060a04646f63730a070a056f74686572', 'hex');

/** Who presents which `api-key`. `slow` is known a turn later, `broken` never. */
function authenticate(raw: readonly string[]): ReturnType<GrpcRelayOptions['parts']['authenticate']> {
  const key = raw[raw.indexOf('api-key') + 1];
  if (key === 'admin') return ADMIN;
  if (key === 'scoped') return SCOPED;
  if (key === 'slow') return new Promise((resolve) => setImmediate(() => resolve(ADMIN)));
  return MISSING_CREDENTIAL;
}

/** Rejects when `done` does not become true in time. @param more says what is wrong then */
export async function within(what: string, done: () => boolean, more = () => ''): Promise<void> {
  const end = performance.now() + BOUND_MS;
  for (let turn = 0; !done(); turn += 1) {
    if (performance.now() > end) throw new Error(`not within ${BOUND_MS / 1000} s: ${what}: ${more()}`);
    await new Promise<void>((resolve) => (turn < 50 ? setImmediate(resolve) : setTimeout(resolve, 1)));
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1', 1024);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

/** @param accept upstream, or each of several nodes by its number; @param nodes how many; 0 = one upstream without a list */
export async function openArena(accept: Accept, nodes = 0): Promise<Arena> {
  const upstreamSockets = new Set<Socket>();
  const servers = Array.from({ length: Math.max(1, nodes) }, (_, node) =>
    createServer((socket) => {
      upstreamSockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => upstreamSockets.delete(socket));
      accept(socket, node);
    }),
  );
  const ports = await Promise.all(servers.map(listen));
  const [upstreamPort = 0] = ports;
  let list = nodesAt(ports);
  const spread = spreadOver(() => list);
  const relays = new Set<GrpcRelay>();
  let faults: unknown[] = [];
  let twice = 0;
  let recorded = 0;
  let seen = new WeakSet<object>();
  const ask = (path: string): Promise<Answer> =>
    new Promise((resolve) =>
      setImmediate(() => {
        if (path.endsWith('/ListAliases')) resolve(INTERNAL_FAULT);
        else resolve({ kind: 'message', message: path.endsWith('/List') ? COLLECTIONS : Buffer.alloc(40_000, 'h') });
      }),
    );
  const arena: Arena = {
    ahead: 0,
    get recordedTwice() {
      return twice;
    },
    get recorded() {
      return recorded;
    },
    get waiting() {
      return spread.waiting.bytes;
    },
    get open() {
      return relays.size;
    },
    takeFaults() {
      const taken = faults;
      faults = [];
      return taken;
    },
    async connect() {
      list = nodesAt(ports);
      const accepted = once(server, 'relay') as Promise<[GrpcRelay]>;
      const socket = connect({ host: '127.0.0.1', port });
      await once(socket, 'connect');
      const [relay] = await accepted;
      return { socket, relay };
    },
    async join() {
      const { socket, relay } = await this.connect();
      return { client: new StrictClient(socket), relay };
    },
    untilGone: () => within('the connections are gone', () => relays.size === 0),
    async serves() {
      const { client } = await this.join();
      client.open();
      client.call(1, '/qdrant.Points/Count', 'admin', Buffer.from('0a04646f6373', 'hex'));
      await within('a fresh connection is served', () => client.ended.has(1) || client.over);
      if (client.statusOf(1) !== '0') throw new Error(`a fresh connection is answered with ${client.statusOf(1)}`);
      client.socket.resetAndDestroy();
    },
    async close() {
      for (const relay of relays) relay.destroy();
      for (const socket of upstreamSockets) socket.destroy();
      server.close();
      for (const each of servers) each.close();
      await this.untilGone();
    },
  };
  const options: GrpcRelayOptions = {
    parts: {
      ...PLAIN_PARTS,
      authenticate,
      record: (exchange) => {
        if (seen.has(exchange)) twice += 1;
        seen.add(exchange);
        recorded += 1;
      },
      fault: (error) => faults.push(error),
    },
    upstream:
      nodes > 0
        ? spread
        : {
            address: { tls: false, host: '127.0.0.1', port: upstreamPort },
            authority: 'upstream',
            credential: () => NO_CREDENTIAL,
            socket: { connectTimeoutMs: 10_000, ca: undefined, alpn: ['h2'] },
          },
    limits: limitsOf({
      ...{ http2_max_concurrent_streams: 20, header_bytes: 16_384, header_count: 50, header_timeout_ms: 5000 },
      ...{ stream_idle_timeout_ms: 60_000, body_idle_timeout_ms: 30_000 },
    }),
    messageLimits: DEFAULT_MESSAGE_LIMITS,
    scheduler: new WorkScheduler((error) => faults.push(error)),
    answerMemory: createAnswerMemory(60_000),
    ask: { ask, askOpen: ask },
    clock: () => Date.now() + arena.ahead,
    tls: false,
  };
  const server = createServer({ noDelay: true }, (socket) => {
    const relay = new GrpcRelay(socket, options, (closed) => relays.delete(closed));
    relays.add(relay);
    server.emit('relay', relay);
  });
  const port = await listen(server);
  seen = new WeakSet();
  return arena;
}

/** Wrong is whatever is left of a connection that has gone. */
export function checkGone(relay: GrpcRelay, recordedBefore: number, arena: Arena): void {
  const { streams } = relay;
  if (streams.size > 0) throw new Error(`${streams.size} calls are still open`);
  if (arena.open === 0 && arena.waiting !== 0) throw new Error(`${arena.waiting} bytes still wait for nodes`);
  if (arena.recordedTwice > 0) throw new Error('a call was recorded twice');
  if (arena.recorded - recordedBefore !== streams.added) {
    throw new Error(`${streams.added} calls were begun, ${arena.recorded - recordedBefore} recorded`);
  }
}

/** Calls of a relay that hold bytes. */
export function heldBytes(calls: readonly GrpcExchange[]): number {
  return calls.reduce((sum, { held }) => sum + held.bytes, 0);
}

/** A fault of ours that was counted, or an end that says so, is a finding. */
export function checkFaults(arena: Pick<Arena, 'takeFaults'>, client: StrictClient): void {
  const [first] = arena.takeFaults();
  if (first !== undefined) throw new Error(`a fault of ours: ${first instanceof Error ? first.stack : String(first)}`);
  if (client.goaway === ErrorCode.INTERNAL_ERROR) throw new Error('the connection ended with INTERNAL_ERROR');
  if (client.wrong !== undefined) throw new Error(`the client: ${client.wrong}`);
}
