import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { setTimeout as pause, setImmediate as turn } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { ExchangeParts } from '../../src/exchange/exchange.ts';
import { PLAIN_POLICY } from '../../src/policy/rules.ts';
import { authenticate, startGateway, type TestGateway, testCertificate } from '../rest/lane-fixture.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';
import { type Fuzzer, type FuzzSession, fewer } from './harness.ts';
import { bodyOf, type Leaver, makeLeaver, mayPass } from './leaver.ts';
import { hold, holdHttp2, isHttp2, leaveHttp1, leaveHttp2, type Told } from './leaver-clients.ts';

/*
 * Clients that leave: at every phase of an exchange, on every lane of REST, with bodies of all kinds, with upstream's pool
 * free and full, with a reload in between. Afterwards nothing of them may be left.
 */

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
