import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { message, type RawReply, rawClient, unary } from '../clients/unary.ts';
import { KEYS } from '../gateway.ts';
import { type GatewayProcess, startGatewayProcess } from '../process/gateway-process.ts';
import { until } from '../until.ts';

const PROGRAM = join(import.meta.dirname, '../process/grpc-node.ts');

/** A node as a process, which keeps its ports when it starts again, and every write that it has run. */
export class NodeProcess {
  readonly writes: string[] = [];
  #child: ChildProcess | undefined;
  readonly #host: string;
  #ports: readonly number[];
  #said = '';

  /** @param host of loopback @param ports of REST and gRPC; 0 = any */
  constructor(host = '127.0.0.1', ports: readonly number[] = [0, 0]) {
    this.#host = host;
    this.#ports = ports;
  }

  get ports(): readonly number[] {
    return this.#ports;
  }

  async start(delayMs = 0): Promise<void> {
    const before = this.#ports;
    const child = spawn(process.execPath, [PROGRAM, ...before.map(String), String(delayMs), this.#host], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    this.#said = '';
    let listens = false;
    child.stdout?.on('data', (chunk: Buffer) => {
      const lines = (this.#said + chunk.toString()).split('\n');
      this.#said = lines.pop() ?? '';
      for (const line of lines) {
        if (line.startsWith('ports ')) {
          this.#ports = line.split(' ').slice(1).map(Number);
          listens = true;
        } else this.writes.push(line);
      }
    });
    await until(() => listens, 'the node listens');
  }

  /** Its name in the gateway. */
  get name(): string {
    return `${this.#host}:${this.#ports[0]}`;
  }

  /** Its entry in `gateway.upstream.nodes`. */
  get entry(): string {
    return `rest_url=http://${this.name} grpc_url=http://${this.#host}:${this.#ports[1]}`;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
}

export interface NodeScene {
  readonly gateway: GatewayProcess;
  readonly nodes: readonly NodeProcess[];
  readonly close: () => Promise<void>;
}

const NO_ADDRESS = { restUrl: '', grpcUrl: '' };

/** Three nodes as processes, and a gateway before them. */
export async function startNodeScene(env: Readonly<Record<string, string>> = {}): Promise<NodeScene> {
  const nodes = [new NodeProcess(), new NodeProcess(), new NodeProcess()];
  await Promise.all(nodes.map((node) => node.start()));
  const gateway = await startGatewayProcess(NO_ADDRESS, {
    QDRANT_GATEWAY__UPSTREAM__NODES: nodes.map(({ entry }) => entry).join(', '),
    QDRANT_GATEWAY__UPSTREAM__REST_URL: undefined,
    QDRANT_GATEWAY__UPSTREAM__GRPC_URL: undefined,
    ...env,
  });
  return {
    ...{ gateway, nodes },
    close: async () => {
      await gateway.close();
      await Promise.all(nodes.map((node) => node.kill()));
    },
  };
}

/** The results of a load. */
export interface LoadResult {
  readonly reads: Map<number, number>;
  readonly writes: Map<number, number>;
  /** Answers that are not those of their calls. */
  wrong: number;
  /** Writes that ended well. */
  readonly written: string[];
  /** Milliseconds of each call that ended well. */
  readonly took: number[];
}

/** Number of loads so far, so that every call has a name of its own. */
let loads = 0;

const DOCS = message({ 1: 'docs' });

/** Calls over one channel of the official client, so many at a time, while `act` goes on; reads and writes in turn. */
export async function loadNodes(
  { gateway }: Pick<NodeScene, 'gateway'>,
  streams: number,
  act: () => Promise<void>,
  deadlineMs = 20_000,
): Promise<LoadResult> {
  const client = rawClient(gateway, { 'grpc.enable_retries': 0 });
  const result: LoadResult = { reads: new Map(), writes: new Map(), wrong: 0, written: [], took: [] };
  loads += 1;
  const load = loads;
  let next = 0;
  let over = false;
  const loop = async (): Promise<void> => {
    while (!over) {
      const call = `${load}-${next}`;
      const isWrite = next % 2 === 1;
      next += 1;
      const path = isWrite ? '/qdrant.Points/Upsert' : '/qdrant.Points/Count';
      const began = performance.now();
      const reply = await unary(client, path, DOCS, { 'api-key': KEYS.admin, 'x-call': call }, deadlineMs);
      count(result, reply, call, isWrite, performance.now() - began);
    }
  };
  const loops = Array.from({ length: streams }, loop);
  await act();
  over = true;
  await Promise.all(loops);
  client.close();
  return result;
}

function count(result: LoadResult, { code, body }: RawReply, call: string, isWrite: boolean, ms: number): void {
  const codes = isWrite ? result.writes : result.reads;
  codes.set(code, (codes.get(code) ?? 0) + 1);
  if (code !== 0) return;
  result.took.push(ms);
  if (body.toString() !== call) result.wrong += 1;
  if (isWrite) result.written.push(call);
}

/** Writes that ran more than once, and writes that were answered without having run. */
export function wrongWrites(
  nodes: readonly NodeProcess[],
  written: readonly string[],
): { readonly doubled: string[]; readonly missing: string[] } {
  const times = new Map<string, number>();
  for (const call of nodes.flatMap(({ writes }) => writes)) times.set(call, (times.get(call) ?? 0) + 1);
  return {
    doubled: [...times].filter(([, count]) => count > 1).map(([call]) => call),
    missing: written.filter((call) => !times.has(call)),
  };
}

/** The n-th percentile, in milliseconds. */
export function percentile(took: readonly number[], part: number): number {
  const sorted = took.toSorted((one, other) => one - other);
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) * 10) / 10;
}

/** Waits; only for loads that run for a given time. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Each node killed and started again, stopped (SIGSTOP) and slowed (100 ms an answer), one after the other.
 *
 * @param stepMs length of a step, in milliseconds
 * @param step runs a load, and the fault beside it
 * @param stoppedMs how long a node stands still. Default: `stepMs`
 */
export async function faultsInTurn(
  nodes: readonly NodeProcess[],
  stepMs: number,
  step: (name: string, act: () => Promise<void>) => Promise<void>,
  stoppedMs = stepMs,
): Promise<void> {
  for (const [at, node] of nodes.entries()) {
    await step(`node ${at} killed and started again`, async () => {
      await pause(stepMs / 3);
      await node.kill();
      await pause(stepMs / 3);
      await node.start();
      await pause(stepMs / 3);
    });
    await step(`node ${at} stopped`, async () => {
      await pause(stepMs / 3);
      node.signal('SIGSTOP');
      await pause(stoppedMs);
      node.signal('SIGCONT');
      await pause(stepMs / 3);
    });
    await step(`node ${at} slow (100 ms)`, async () => {
      await node.kill();
      await node.start(100);
      await pause(stepMs);
      await node.kill();
      await node.start();
    });
  }
}
