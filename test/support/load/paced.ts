import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { GatewayProcess } from '../process/gateway-process.ts';
import { type Ask, openLanes } from './steady.ts';

/** What came of a load. */
export interface Paced {
  /** By lane; `fresh` ones needed a connection and its handshake first, others went on one that stayed open. */
  readonly served: Readonly<Record<string, number>>;
  /** Answers other than expected, and connections that broke. */
  readonly wrong: readonly string[];
  readonly perSecond: number;
  /** Of each request, from when it was due until it was answered, in milliseconds. */
  readonly ms: readonly number[];
}

interface Order {
  readonly rest: GatewayProcess['rest'];
  readonly grpc: GatewayProcess['grpc'];
  readonly caFile: string;
  readonly credential: string;
  readonly perSecond: number;
}

/** Sets of connections that stay open: HTTP/1.1, HTTP/2 and gRPC each. */
const SETS = 8;
/** Of so many requests three come on new connections, one of each kind, which are closed after them. */
const FRESH_EVERY = 60;

/**
 * Requests at a rate that does not yield to a slow answer, over HTTP/1.1, HTTP/2 and gRPC in turn, from a process of its
 * own; `stop` ends it.
 */
export function startPacedLoad(order: Order): { readonly stop: () => Promise<Paced> } {
  const { rest, grpc, caFile, credential, perSecond } = order;
  const self = fileURLToPath(import.meta.url);
  const args = [self, JSON.stringify({ rest, grpc, caFile, credential, perSecond } satisfies Order)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  return {
    stop: async () => {
      const gone = once(child, 'close');
      child.stdin.end();
      await gone;
      return JSON.parse(out) as Paced;
    },
  };
}

class Load {
  readonly #gateway: Parameters<typeof openLanes>[0];
  readonly #credential: string;
  readonly #served: Record<string, number> = {};
  readonly #wrong: string[] = [];
  readonly #ms: number[] = [];
  readonly #open = new Set<Promise<void>>();

  constructor({ rest, grpc, caFile, credential }: Order) {
    this.#gateway = { rest, grpc, ca: readFileSync(caFile) };
    this.#credential = credential;
  }

  async run(perSecond: number, stopped: () => boolean): Promise<Paced> {
    const sets = await Promise.all(Array.from({ length: SETS }, () => openLanes(this.#gateway)));
    const lanes = sets.flatMap(({ ask }) => Object.entries(ask));
    const began = performance.now();
    let sent = 0;
    while (!stopped()) {
      while (sent < ((performance.now() - began) * perSecond) / 1000) {
        const due = began + (sent * 1000) / perSecond;
        const fresh = sent % FRESH_EVERY === 0;
        const [name, ask] = lanes[sent % lanes.length] ?? ['none', async () => 'no lane'];
        this.#follow(fresh ? this.#afresh(due) : this.#one(name, ask, due));
        sent += fresh ? 3 : 1;
      }
      await sleep(2);
    }
    const seconds = (performance.now() - began) / 1000;
    await Promise.all(this.#open);
    for (const { close } of sets) close();
    return { served: this.#served, wrong: this.#wrong, perSecond: Math.round(sent / seconds), ms: this.#ms };
  }

  #follow(work: Promise<void>): void {
    this.#open.add(work);
    void work.finally(() => this.#open.delete(work));
  }

  async #one(name: string, ask: Ask, due: number): Promise<void> {
    const problem = await ask(this.#credential);
    this.#ms.push(performance.now() - due);
    this.#served[name] = (this.#served[name] ?? 0) + 1;
    if (problem !== undefined) this.#wrong.push(`${name}: ${problem}`);
  }

  /** One of each kind, on connections of its own. */
  async #afresh(due: number): Promise<void> {
    try {
      const { ask, close } = await openLanes(this.#gateway);
      await Promise.all(Object.entries(ask).map(([name, one]) => this.#one(`fresh ${name}`, one, due)));
      close();
    } catch (error) {
      this.#wrong.push(`fresh: ${String(error)}`);
    }
  }
}

const [, script, order] = process.argv;
if (script === fileURLToPath(import.meta.url) && order !== undefined) {
  let over = false;
  process.stdin.resume().once('end', () => (over = true));
  const parsed = JSON.parse(order) as Order;
  const paced = await new Load(parsed).run(parsed.perSecond, () => over);
  process.stdout.write(JSON.stringify(paced), () => process.exit(0));
}
