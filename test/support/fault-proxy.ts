import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Draw } from './generators/arbitraries.ts';

/** What a proxy does to its connections; may be changed while it runs. */
export interface Faults {
  /** Milliseconds that every byte takes longer, each way. */
  latencyMs?: number;
  /** How many of a thousand pieces of a client's bytes end in a reset of both sides, once they have been passed on. */
  resetsPerThousand?: number;
  /** Bytes a second, each way and connection. */
  bytesPerSecond?: number;
  /** Nothing passes any more, and nothing ends. */
  halfOpen?: boolean;
  /** Upstream's bytes are replaced by others. */
  garbage?: boolean;
}

export interface FaultProxy {
  readonly url: string;
  readonly faults: Faults;
  /** Connections that were reset on purpose. */
  readonly resets: () => number;
  /** Bytes that wait in the proxy, at most so far. */
  readonly mostHeld: () => number;
  readonly close: () => Promise<void>;
}

/** Bytes of one direction that wait before their source is paused. */
const HELD_BYTES = 65_536;
const SLICE_MS = 20;
const GARBAGE = Buffer.from('\x00\x16 nonsense \r\n\r\n', 'latin1');

/** A TCP proxy on loopback that treats its connections badly; its chances are drawn from `seed`. */
export async function startFaultProxy(upstreamUrl: string, faults: Faults = {}, seed = 1): Promise<FaultProxy> {
  const port = Number(upstreamUrl.split(':').at(-1));
  const draw = new Draw({ seed, length: Number.MAX_SAFE_INTEGER });
  const sockets = new Set<Socket>();
  const count = { resets: 0, mostHeld: 0 };
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket
      .setNoDelay(true)
      .on('error', () => undefined)
      .once('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    for (const socket of [client, upstream]) keep(socket);
    const reset = (): void => {
      count.resets += 1;
      for (const socket of [client, upstream]) socket.resetAndDestroy();
    };
    const held = (bytes: number): void => {
      count.mostHeld = Math.max(count.mostHeld, bytes);
    };
    const passed = (): void => {
      if (draw.below(1000) < (faults.resetsPerThousand ?? 0)) reset();
    };
    carry([client, upstream], faults, held, { passed, spoil: false });
    carry([upstream, client], faults, held, { passed: () => undefined, spoil: true });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    faults,
    resets: () => count.resets,
    mostHeld: () => count.mostHeld,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

interface Held {
  bytes: Buffer;
  readonly due: number;
}

/** Passes one direction on, late and slowly, and holds its source back where the other side does not keep up. */
function carry(
  [from, to]: readonly [from: Socket, to: Socket],
  faults: Faults,
  held: (bytes: number) => void,
  { passed, spoil }: { readonly passed: () => void; readonly spoil: boolean },
): void {
  const queue: Held[] = [];
  let waiting = 0;
  let timer: NodeJS.Timeout | undefined;
  const pump = (): void => {
    timer = undefined;
    const now = performance.now();
    let room =
      faults.bytesPerSecond === undefined ? Number.POSITIVE_INFINITY : (faults.bytesPerSecond * SLICE_MS) / 1000;
    for (let first = queue[0]; first && first.due <= now && room >= 1 && !to.destroyed; first = queue[0]) {
      const part = first.bytes.subarray(0, Math.min(first.bytes.length, Math.floor(room)));
      room -= part.length;
      waiting -= part.length;
      to.write(part);
      if (part.length < first.bytes.length) first.bytes = first.bytes.subarray(part.length);
      else {
        queue.shift();
        passed();
      }
    }
    if (waiting <= HELD_BYTES && !to.writableNeedDrain) from.resume();
    if (queue.length > 0) later();
  };
  const later = (): void => {
    if (timer || to.destroyed) return;
    const wait = Math.max(0, (queue[0]?.due ?? 0) - performance.now());
    timer = setTimeout(pump, faults.bytesPerSecond === undefined ? wait : Math.max(SLICE_MS, wait)).unref();
  };
  from.on('data', (chunk: Buffer) => {
    if (faults.halfOpen) return;
    const bytes = faults.garbage && spoil ? GARBAGE : chunk;
    queue.push({ bytes, due: performance.now() + (faults.latencyMs ?? 0) });
    waiting += bytes.length;
    held(waiting);
    if (waiting > HELD_BYTES || to.writableNeedDrain) from.pause();
    if ((faults.latencyMs ?? 0) === 0 && faults.bytesPerSecond === undefined) pump();
    else later();
  });
  to.on('drain', () => {
    if (waiting <= HELD_BYTES) from.resume();
  });
  // An end is as late as the bytes before it.
  const end = (): void => {
    if (faults.halfOpen) return;
    if (queue.length > 0 && !to.destroyed) setTimeout(end, SLICE_MS).unref();
    else to.destroySoon();
  };
  from.once('close', end);
}
