import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface DistanceOptions {
  /** Milliseconds that every byte takes, each way. */
  readonly oneWayMs: number;
  /** Each way. Default: as many as come. */
  readonly bytesPerSecond?: number;
}

/** A way to a port of loopback that is as long as one to another continent. */
export interface Distance {
  readonly port: number;
  readonly close: () => void;
}

/** Bytes that wait at the narrow end before the sender is not read any more; on a link without a limit, in all. */
const BUFFERED = 262_144;
const ON_THE_WAY = 268_435_456;

/** Carries connections of loopback to `port` with a delay, and in order. */
export async function startDistance(port: number, options: DistanceOptions): Promise<Distance> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (near) => {
    const far = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    }
    carry(near, far, options);
    carry(far, near, options);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function carry(from: Socket, to: Socket, { oneWayMs, bytesPerSecond }: DistanceOptions): void {
  const onTheWay: { readonly due: number; readonly chunk: Buffer | undefined }[] = [];
  const most = bytesPerSecond === undefined ? ON_THE_WAY : BUFFERED + (bytesPerSecond * oneWayMs) / 1000;
  let bytes = 0;
  let freeAt = 0;
  let timer: NodeJS.Timeout | undefined;
  const arrive = (): void => {
    timer = undefined;
    for (const now = performance.now(); onTheWay[0] && onTheWay[0].due <= now; ) {
      const { chunk } = onTheWay.shift() ?? {};
      if (chunk) to.write(chunk);
      else to.end();
      bytes -= chunk?.length ?? 0;
    }
    if (bytes < most) from.resume();
    wait();
  };
  const wait = (): void => {
    const [next] = onTheWay;
    if (next && !timer) timer = setTimeout(arrive, Math.max(0, next.due - performance.now()));
  };
  const send = (chunk: Buffer | undefined): void => {
    const takes = bytesPerSecond === undefined ? 0 : ((chunk?.length ?? 0) * 1000) / bytesPerSecond;
    freeAt = Math.max(performance.now(), freeAt) + takes;
    onTheWay.push({ due: freeAt + oneWayMs, chunk });
    bytes += chunk?.length ?? 0;
    if (bytes >= most) from.pause();
    wait();
  };
  from.on('data', send);
  from.on('end', () => send(undefined));
  from.on('close', () => {
    if (!from.readableEnded) to.destroy();
  });
}
