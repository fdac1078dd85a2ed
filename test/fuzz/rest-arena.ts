import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Exchange } from '../../src/exchange/exchange.ts';
import { createHttp2Connections, type Http2Figures } from '../../src/rest/http2/connections.ts';
import { createRestLane, type LaneFigures } from '../../src/rest/server/lane.ts';
import { authenticate, restFixture } from '../rest/lane-fixture.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';
import { type Accept, within } from './frame-arena.ts';
import { MOST_INSPECTED } from './rest-requests.ts';
import { RestTalk } from './rest-talk.ts';
import { StrictClient } from './strict-client.ts';

/** HTTP/2 of the REST port over an upstream of the fuzzer's, on real sockets, and everything that can be seen of it. */
export interface RestArena {
  /** Connects a client. `socket` is the gateway's end. */
  join(): Promise<{ readonly client: StrictClient; readonly talk: RestTalk; readonly socket: Socket }>;
  /** Moves the gateway's clock and lets it look at its time limits. @param ms milliseconds */
  tick(ms: number): void;
  /** Before a script: the clock is the machine's again. */
  reset(): void;
  drain(): void;
  /** Client connections. */
  readonly open: number;
  /** What is under way, and exchanges that were begun and not recorded; empty = nothing. */
  left(): string;
  /** Faults of ours since this was last asked. */
  takeFaults(): readonly unknown[];
  close(): Promise<void>;
}

/** Upstream connections of either transport: few, so that plain requests are handed over for want of one. */
const CONNECTIONS = 3;

/** `slow` is a manager who is known a turn later; the others are the fixture's. */
function identify(raw: readonly string[]): ReturnType<typeof authenticate> {
  const slow = raw[raw.indexOf('api-key') + 1] === 'slow';
  if (!slow) return authenticate(raw);
  return new Promise((resolve) => setImmediate(() => resolve(authenticate(['api-key', 'main']))));
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1', 1024);
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

/** Exchanges from their admission to their record, by `x-id`: one that is handed over is another object. */
class Records {
  readonly #open = new Set<string>();
  readonly #recorded = new Set<string>();
  readonly #faults: unknown[];

  constructor(faults: unknown[]) {
    this.#faults = faults;
  }

  /** Those that were begun and not recorded. */
  get open(): readonly string[] {
    return [...this.#open].map((name) => `unrecorded ${name}`);
  }

  begin(): void {
    this.#open.clear();
    this.#recorded.clear();
  }

  begun(exchange: Exchange): void {
    this.#open.add(nameOf(exchange));
  }

  record(exchange: Exchange): void {
    const name = nameOf(exchange);
    if (this.#recorded.has(name)) this.#faults.push(new Error(`${name} was recorded twice`));
    if (name !== '') this.#recorded.add(name);
    this.#open.delete(name);
  }
}

function nameOf({ headers }: Exchange): string {
  const at = headers.findIndex((part, index) => index % 2 === 0 && part === 'x-id');
  return at < 0 ? '' : (headers[at + 1] ?? '');
}

/** @param accept upstream */
export async function openRestArena(accept: Accept): Promise<RestArena> {
  const upstreamSockets = new Set<Socket>();
  const upstreamServer = createServer({ allowHalfOpen: true }, (socket) => {
    upstreamSockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => upstreamSockets.delete(socket));
    accept(socket, 0);
  });
  const upstreamPort = await listen(upstreamServer);
  const faults: unknown[] = [];
  const records = new Records(faults);
  const { options, upstream } = restFixture(upstreamPort, {
    parts: {
      ...PLAIN_PARTS,
      authenticate: identify,
      // What is open to strangers is not admitted.
      admit: (exchange) => void records.begun(exchange),
      record: (exchange) => records.record(exchange),
      fault: (error) => faults.push(error),
    },
    limits: { inspected_body_bytes: MOST_INSPECTED },
    relayed: true,
    upstreamOptions: { connections: CONNECTIONS },
  });
  const lane = createRestLane(options);
  let ahead = 0;
  const http2 = createHttp2Connections({
    options,
    lane,
    relay: options.relay && { upstream: options.relay, connections: CONNECTIONS },
    now: () => Date.now() + ahead,
  });
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    http2.take(socket);
    server.emit('taken', socket);
  });
  const port = await listen(server);
  const figures = (): LaneFigures & Http2Figures => ({ ...lane.figures(), ...http2.figures() });
  return {
    tick(ms) {
      ahead += ms;
      http2.tick();
    },
    reset() {
      ahead = 0;
      records.begin();
      http2.tick();
    },
    drain: () => http2.drain(),
    get open() {
      return http2.size();
    },
    left() {
      // A connection has its wide window as long as it is there.
      const windows = http2.size() === 0 ? http2.figures().http2Windows : 0;
      const counts = Object.entries({ ...figures(), http2Windows: windows, pool: upstream.size() });
      const under = counts.flatMap(([what, count]) => (count === 0 ? [] : [`${what} ${count}`]));
      return [...under, ...records.open].join(', ');
    },
    takeFaults: () => faults.splice(0),
    async join() {
      const taken = once(server, 'taken') as Promise<[Socket]>;
      const talk = new RestTalk();
      const client = new StrictClient(connect({ host: '127.0.0.1', port }), talk);
      await once(client.socket, 'connect');
      const [socket] = await taken;
      return { client, talk, socket };
    },
    async close() {
      server.close();
      upstreamServer.close();
      for (const socket of [...sockets, ...upstreamSockets]) socket.destroy();
      await within('the connections are gone', () => http2.size() === 0);
      http2.close();
      await lane.close();
      await upstream.destroy();
    },
  };
}
