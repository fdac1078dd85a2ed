import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { CLIENT_PREFACE, ErrorCode, SettingId } from '../../../src/http2/frames.ts';
import { writeData, writeRstStream, writeSettings } from '../../../src/http2/write-frames.ts';
import { framed, H2Client, naming } from '../clients/h2-client.ts';
import { openPlain, openTls } from '../clients/sockets.ts';
import { KEYS } from '../gateway.ts';
import { type Arena, CREDENTIALS, head } from '../invariants.ts';

/** What a load counts. `excused`: answers of a gateway whose upstream is being restarted. */
export interface Tally {
  rest: number;
  grpc: number;
  faults: number;
  excused: number;
  wrong: string[];
}

/** What the loops share. */
export interface Load {
  readonly arena: Pick<Arena, 'gateway'>;
  readonly tally: Tally;
  /** Share of requests that misbehave, 0 to 1. */
  readonly faultShare: number;
  readonly isOver: () => boolean;
  /** Upstream is away, or was a moment ago. */
  readonly isExcused: () => boolean;
}

const LIST = '/qdrant.Collections/List';
const UPSERT = '/qdrant.Points/Upsert';
const PAUSE_MS = 3;
const WITHIN_MS = 10_000;

function count(load: Load, kind: 'rest' | 'grpc', expected: string, seen: string): void {
  load.tally[kind] += 1;
  if (seen === expected) return;
  if (load.isExcused()) load.tally.excused += 1;
  else load.tally.wrong.push(`${kind}: ${seen}`);
}

/** Requests of REST one after the other; some connections misbehave. */
export async function restLoop(load: Load): Promise<void> {
  while (!load.isOver()) {
    const socket = await openRest(load).catch(() => undefined);
    if (!socket) {
      count(load, 'rest', 'open', 'no connection');
      continue;
    }
    let usable = true;
    while (usable && !load.isOver()) {
      if (Math.random() < load.faultShare) {
        load.tally.faults += 1;
        await misbehaveRest(socket, load.arena.gateway.rest.port);
        usable = false;
        continue;
      }
      const seen = await ask(socket);
      count(load, 'rest', '200', seen);
      usable = seen === '200';
      await sleep(PAUSE_MS);
    }
    socket.destroy();
  }
}

async function openRest({ arena: { gateway } }: Load): Promise<TLSSocket> {
  const socket = await openTls(gateway.rest.port, { ca: gateway.ca, ALPNProtocols: ['http/1.1'] });
  return socket.on('error', () => undefined);
}

async function ask(socket: TLSSocket): Promise<string> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), WITHIN_MS);
  const answer = Promise.any([
    once(socket, 'data', { signal: over.signal }).then(([chunk]) => String(chunk).slice(9, 12)),
    once(socket, 'close', { signal: over.signal }).then(() => 'closed'),
  ]);
  socket.write(`${head('GET', '/collections/legit/exists', KEYS.admin)}\r\n`);
  const seen = await answer.catch(() => 'no answer');
  clearTimeout(timer);
  // The other of the two waits no longer.
  over.abort();
  return seen;
}

async function misbehaveRest(socket: TLSSocket, port: number): Promise<void> {
  const whole = `${head('GET', '/collections/legit', KEYS.admin)}\r\n`;
  switch (Math.floor(Math.random() * 5)) {
    case 0: // half a request
      socket.write(whole.slice(0, 40));
      await sleep(50);
      break;
    case 1: // half a body
      socket.write(
        `${head('PUT', '/collections/legit/points', KEYS.admin, ['content-length: 100000'])}\r\n{"points":[`,
      );
      await sleep(50);
      break;
    case 2: // garbage
      socket.write(Buffer.alloc(2000, 0x80));
      await sleep(20);
      break;
    case 3: // gone in the middle
      socket.write(whole);
      socket.destroy();
      await resetInHandshake(port);
      break;
    default: // a slow reader
      socket.pause();
      socket.write(whole.repeat(50));
      await sleep(300);
  }
}

/** A connection that is reset behind the beginning of its handshake. Below a TLS socket Node does not bear that. */
async function resetInHandshake(port: number): Promise<void> {
  const plain = await openPlain(port).catch(() => undefined);
  plain?.on('error', () => undefined).write(Buffer.of(0x16, 3, 1, 2, 0));
  plain?.resetAndDestroy();
}

/** Calls of gRPC one after the other; some connections and calls misbehave. */
export async function grpcLoop(load: Load): Promise<void> {
  const { gateway } = load.arena;
  while (!load.isOver()) {
    const client = await H2Client.connect(gateway.grpc.port, { ca: gateway.ca }).catch(() => undefined);
    if (!client) {
      count(load, 'grpc', 'open', 'no connection');
      continue;
    }
    for (let id = 1; id < 2000 && !client.closed && !load.isOver(); id += 2) {
      if (Math.random() < load.faultShare) {
        load.tally.faults += 1;
        if (await misbehaveGrpc(client, id)) break;
        continue;
      }
      client.call(id, LIST, Buffer.alloc(0), [['api-key', KEYS.admin]]);
      const seen = (await client.status(id).catch(() => 'closed')).split(' ', 1)[0] ?? '';
      count(load, 'grpc', '0', seen);
      if (seen !== '0') break;
      client.frames.length = 0;
      await sleep(PAUSE_MS);
    }
    client.close();
  }
}

/** True: the connection is of no more use. */
async function misbehaveGrpc(client: H2Client, id: number): Promise<boolean> {
  const keyed = client.headers(id, UPSERT, [['api-key', CREDENTIALS.writer]]);
  switch (Math.floor(Math.random() * 7)) {
    case 0: // given up at once
      client.send(keyed, writeRstStream(id, ErrorCode.CANCEL));
      return false;
    case 1: // given up after half a message
      client.send(keyed, writeData(id, framed(naming('mine')).subarray(0, 6), false));
      await sleep(20);
      client.send(writeRstStream(id, ErrorCode.CANCEL));
      return false;
    case 2: // a wrong key
      client.call(id, LIST, Buffer.alloc(0), [['api-key', 'wrong']]);
      await client.status(id).catch(() => undefined);
      return false;
    case 3: // two messages
      client.send(keyed, writeData(id, Buffer.concat([framed(naming('mine')), framed(naming('mine'))]), true));
      await client.status(id).catch(() => undefined);
      return false;
    case 4: // garbage
      client.send(Buffer.alloc(500, 0xff));
      await sleep(20);
      return true;
    case 5: // nothing is taken
      client.send(writeSettings([[SettingId.INITIAL_WINDOW_SIZE, 0]]), keyed, CLIENT_PREFACE);
      await sleep(200);
      return true;
    default: // gone in the middle
      client.send(keyed);
      client.close();
      return true;
  }
}
