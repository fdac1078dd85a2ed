import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import type { Test } from 'tap';
import type { ExchangeParts } from '../../src/exchange/exchange.ts';
import { createGrpcListener, type GrpcListener } from '../../src/grpc/listener.ts';
import { DEFAULT_MESSAGE_LIMITS } from '../../src/grpc/message/message.ts';
import { createGrpcNodes } from '../../src/grpc/nodes/node-choice.ts';
import type { Caller } from '../../src/grpc/unary/asker.ts';
import { FrameReader } from '../../src/http2/frame-reader.ts';
import { Flag, type Frame, FrameType, SettingId } from '../../src/http2/frames.ts';
import { encodeHeaders } from '../../src/http2/hpack.ts';
import {
  writeData,
  writeHeaders,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from '../../src/http2/write-frames.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { createAnswerMemory } from '../../src/limits/answer-memory.ts';
import { WorkScheduler } from '../../src/limits/work-scheduler.ts';
import type { Connections } from '../../src/net/connections.ts';
import { GLOBAL_MANAGE, type ListAccess } from '../../src/policy/access.ts';
import { MISSING_CREDENTIAL } from '../../src/policy/denial.ts';
import { NO_CREDENTIAL } from '../../src/upstream/credential.ts';
import type { NodeSet } from '../../src/upstream/nodes/node-set.ts';
import { framed, H2Client } from '../support/clients/h2-client.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';
import { limitsOf } from '../support/limits-of.ts';
import { unhurried } from '../support/patience.ts';

export function principal(access: Principal['access']): Principal {
  return { kind: 'principal', access, authType: 'Jwt', bounds: undefined, keyId: 'test', subject: undefined };
}
/** The callers: everything, and one collection. */
export const ADMIN = principal(GLOBAL_MANAGE);
const LIST: ListAccess = { kind: 'list', modes: new Map([['docs', 'rw']]) };
export const SCOPED = principal(LIST);

/** What an upstream of the test saw on all its connections, and the sockets it saw it on. */
export interface Upstream {
  readonly port: number;
  readonly sockets: Socket[];
  readonly frames: {
    readonly type: number;
    readonly flags: number;
    readonly streamId: number;
    readonly payload: Buffer;
  }[];
  /** What to do with a frame; default answers every ended call with an empty message. */
  onFrame: (socket: Socket, frame: Frame) => void;
  waitFor(found: () => boolean): Promise<void>;
  close(): void;
}

/** Head and end of an answer. */
export const OK_HEAD = encodeHeaders([
  [':status', '200'],
  ['content-type', 'application/grpc'],
]);
export const OK_END = encodeHeaders([['grpc-status', '0']]);

/** Answers a call with an empty message. */
export function answer(socket: Socket, streamId: number): void {
  socket.write(
    Buffer.concat([
      writeHeaders(streamId, OK_HEAD, false),
      writeData(streamId, framed(Buffer.alloc(0)), false),
      writeHeaders(streamId, OK_END, true),
    ]),
  );
}

/** An upstream that speaks frames and keeps what it saw. */
export async function startUpstream(t: Test, streamWindow = 1_048_576): Promise<Upstream> {
  const sockets: Socket[] = [];
  let changed: (() => void) | undefined;
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.push(socket);
    const reader = new FrameReader(16_384, true);
    socket.write(
      Buffer.concat([writeSettings([[SettingId.INITIAL_WINDOW_SIZE, streamWindow]]), writeWindowUpdate(0, 1_000_000)]),
    );
    socket.on('error', () => undefined);
    socket.on('close', () => changed?.());
    socket.on('data', (chunk: Buffer) => {
      reader.push(chunk, (frame) => {
        const { type, flags, streamId } = frame;
        upstream.frames.push({ type, flags, streamId, payload: Buffer.from(frame.payload) });
        if (type === FrameType.SETTINGS && !frame.has(Flag.ACK)) socket.write(writeSettingsAck());
        upstream.onFrame(socket, frame);
      });
      changed?.();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const upstream: Upstream = {
    port: typeof address === 'object' && address ? address.port : 0,
    sockets,
    frames: [],
    onFrame: (socket, frame) => {
      if ((frame.type === FrameType.DATA || frame.type === FrameType.HEADERS) && frame.has(Flag.END_STREAM))
        answer(socket, frame.streamId);
    },
    async waitFor(found) {
      const end = AbortSignal.timeout(unhurried(10_000));
      while (!found()) {
        if (end.aborted) throw new Error('waited for 10 s and more');
        await new Promise<void>((resolve) => {
          changed = resolve;
          setTimeout(resolve, 500).unref();
        });
      }
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
  t.teardown(() => upstream.close());
  return upstream;
}

/** What differs from the plain relay. */
export interface Options {
  readonly authenticate?: ExchangeParts['authenticate'];
  readonly record?: ExchangeParts['record'];
  readonly parts?: Partial<Pick<ExchangeParts, 'identifying' | 'now'>>;
  /** First stream window of upstream in bytes; default 1 MiB. */
  readonly streamWindow?: number;
  readonly ask?: (path: string, message: Buffer, caller?: Caller) => Promise<{ kind: 'message'; message: Buffer }>;
  readonly port?: number;
  readonly connections?: Connections;
  readonly headerTimeoutMs?: number;
  readonly streamIdleMs?: number;
  /** Several nodes in place of `upstream`. */
  readonly nodes?: NodeSet;
}

const SOCKET = { connectTimeoutMs: 1000, ca: undefined, alpn: ['h2'] };

/** A listener over an upstream. The `api-key` says who calls: `admin`, `scoped`, any other is unknown. */
export async function startRelay(
  t: Test,
  upstream: Pick<Upstream, 'port'>,
  options: Options = {},
): Promise<GrpcListener> {
  const who = (raw: readonly string[]) => {
    const key = raw[raw.indexOf('api-key') + 1];
    return key === 'admin' ? ADMIN : key === 'scoped' ? SCOPED : MISSING_CREDENTIAL;
  };
  const ask = options.ask ?? (() => Promise.reject(new Error('nothing is asked here')));
  const listener = await createGrpcListener({
    host: '127.0.0.1',
    port: 0,
    tls: undefined,
    shared: false,
    ...(options.connections ? { connections: options.connections } : {}),
    relay: {
      parts: {
        ...PLAIN_PARTS,
        ...options.parts,
        authenticate: options.authenticate ?? who,
        record: options.record ?? (() => undefined),
        fault: (error) => t.fail('a fault of ours', { error }),
      },
      upstream: options.nodes
        ? createGrpcNodes(options.nodes, { credential: () => NO_CREDENTIAL, socket: SOCKET })
        : {
            address: { tls: false, host: '127.0.0.1', port: options.port ?? upstream.port },
            authority: 'upstream',
            credential: () => NO_CREDENTIAL,
            socket: SOCKET,
          },
      limits: limitsOf({
        max_connections: 100,
        tls_handshake_timeout_ms: 1000,
        header_timeout_ms: options.headerTimeoutMs ?? 5000,
        stream_idle_timeout_ms: options.streamIdleMs ?? 60_000,
        body_idle_timeout_ms: 60_000,
      }),
      messageLimits: DEFAULT_MESSAGE_LIMITS,
      scheduler: new WorkScheduler((error) => t.fail('a fault of ours', { error })),
      answerMemory: createAnswerMemory(60_000),
      ask: { ask, askOpen: (path) => ask(path, Buffer.alloc(0)) },
      clock: Date.now,
    },
  });
  t.teardown(() => listener.close(0));
  return listener;
}

/** Upstream, listener and one client. */
export async function setUp(
  t: Test,
  options: Options = {},
): Promise<{ upstream: Upstream; client: H2Client; listener: GrpcListener }> {
  const upstream = await startUpstream(t, options.streamWindow);
  const listener = await startRelay(t, upstream, options);
  const client = await H2Client.connect(listener.address.port);
  t.teardown(() => client.close());
  return { upstream, client, listener };
}
