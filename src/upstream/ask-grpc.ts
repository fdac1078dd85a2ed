import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { Guard } from '../lifetime/guard.ts';
import {
  type Denial,
  denial,
  GrpcCode,
  UPSTREAM_BROKEN,
  UPSTREAM_TIMEOUT,
  UPSTREAM_UNREACHABLE,
} from '../policy/denial.ts';
import type { SocketAddress } from './sockets.ts';

/** Milliseconds the gateway waits for an answer to a question of its own, where its caller does not wait longer, and at most. */
const ASK_TIMEOUT_MS = 30_000;
const LONGEST_MS = 86_400_000;

/** Whose question it is. */
export interface Caller {
  /** Milliseconds the caller waits at least; 0 = it did not say. */
  readonly leastMs: number;
  /** Aborted when the caller has its answer, or waits no more. */
  readonly signal: AbortSignal;
}

export interface GrpcAsker {
  /** One unary call; message and answer without their prefix. A refusal of upstream's comes back as it is. */
  ask(
    path: string,
    message: Buffer,
    caller: Caller,
  ): Promise<{ readonly kind: 'message'; readonly message: Buffer } | Denial>;
  /** The same for an empty message to an open method: who asks while a call is under way gets that call's answer. */
  askOpen(path: string): ReturnType<GrpcAsker['ask']>;
  close(): void;
}

/**
 * The gateway's own gRPC calls: open methods and filtered answers. One connection for all of them, so an
 * unauthenticated client costs no upstream connection. Only open methods share calls: a list asked for after a change has
 * to show it.
 */
export function createGrpcAsker(address: SocketAddress, ca: () => Buffer | undefined): GrpcAsker {
  let trusted = ca();
  let channel = new Channel(open(address, trusted));
  const underWay = new Map<string, ReturnType<GrpcAsker['ask']>>();
  /** The channel that trusts the CA in force. */
  const current = (): Channel => {
    const next = ca();
    if (next === trusted || (next && trusted?.equals(next))) return channel;
    const before = channel;
    trusted = next;
    channel = new Channel(open(address, next));
    before.retire();
    return channel;
  };
  const askOnce = async (by: Channel, path: string): ReturnType<GrpcAsker['ask']> => {
    try {
      return await by.ask(path, Buffer.alloc(0));
    } finally {
      underWay.delete(path);
    }
  };
  return {
    ask: (path, message, caller) => current().ask(path, message, caller),
    askOpen(path) {
      const known = underWay.get(path);
      if (known) return known;
      const asked = askOnce(current(), path);
      underWay.set(path, asked);
      return asked;
    },
    close: () => channel.close(),
  };
}

/** Milliseconds that an answer is waited for. */
export function longestOf(caller: Pick<Caller, 'leastMs'> | undefined): number {
  return Math.min(Math.max(ASK_TIMEOUT_MS, caller?.leastMs ?? 0), LONGEST_MS);
}

/** A client, and what it has been asked. */
class Channel {
  readonly #client: Client;
  #open = 0;
  #retired = false;

  constructor(client: Client) {
    this.#client = client;
  }

  async ask(path: string, message: Buffer, caller?: Caller): ReturnType<GrpcAsker['ask']> {
    this.#open += 1;
    try {
      return await call(this.#client, path, message, caller);
    } finally {
      this.#open -= 1;
      if (this.#retired) this.retire();
    }
  }

  /** Is asked nothing more; what it was asked is still answered. */
  retire(): void {
    this.#retired = true;
    if (this.#open === 0) this.close();
  }

  close(): void {
    this.#client.close();
  }
}

function open(address: SocketAddress, ca: Buffer | undefined): Client {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return new Client(`${host}:${address.port}`, address.tls ? credentials.createSsl(ca) : credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1000,
    'grpc.enable_http_proxy': 0,
  });
}

function call(client: Client, path: string, message: Buffer, caller?: Caller): ReturnType<GrpcAsker['ask']> {
  return new Promise((resolve, reject) => {
    // An exception is the rejection, which is reported where the answer is waited for.
    const guard = new Guard({ fail: reject, cut: ignore }, 'grpc_upstream', ignore);
    const answered = guard.entry((error: ServiceError | null, answer: Buffer | undefined) => {
      if (error) resolve(refusalOf(error));
      else resolve(answer ? { kind: 'message', message: answer } : UPSTREAM_BROKEN);
    });
    const deadline = Date.now() + longestOf(caller);
    const asked = client.makeUnaryRequest(path, unchanged, unchanged, message, new Metadata(), { deadline }, answered);
    if (caller?.signal.aborted) asked.cancel();
    else
      caller?.signal.addEventListener(
        'abort',
        guard.entry(() => asked.cancel()),
        { once: true },
      );
  });
}

function unchanged(bytes: Buffer): Buffer {
  return bytes;
}

function ignore(): void {}

const CODES: ReadonlySet<number> = new Set(Object.values(GrpcCode));

function refusalOf(error: ServiceError): Denial {
  if (error.code === status.UNAVAILABLE) return UPSTREAM_UNREACHABLE;
  if (error.code === status.DEADLINE_EXCEEDED) return UPSTREAM_TIMEOUT;
  if (!CODES.has(error.code)) return UPSTREAM_BROKEN;
  return denial('upstream_refused', 502, error.code as GrpcCode, error.details);
}
