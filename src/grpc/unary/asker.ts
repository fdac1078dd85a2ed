import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { Guard } from '../../lifetime/guard.ts';
import {
  type Denial,
  denial,
  GrpcCode,
  UPSTREAM_BROKEN,
  UPSTREAM_TIMEOUT,
  UPSTREAM_UNREACHABLE,
} from '../../policy/denial.ts';
import type { SocketAddress } from '../../upstream/sockets.ts';

/** Milliseconds the gateway waits for an answer to a question of its own, where its caller does not wait longer, and at most. */
const ASK_TIMEOUT_MS = 30_000;
const LONGEST_MS = 86_400_000;
/** A call that has waited so long (ms) without a byte: the next ones go on another connection. */
const SILENT_MS = 5000;
/** The same of one that was given up. */
const GIVEN_UP_MS = 1000;
/** Connections that were given up and still have calls; with more than that there is no other. */
const MOST_RETIRED = 8;
/** Bytes of one answer: far above any list, so that a broken upstream does not fill the memory. */
const MOST_ANSWER_BYTES = 67_108_864;

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
export function createGrpcAsker(
  address: SocketAddress,
  ca: () => Buffer | undefined,
  now: () => number = () => performance.now(),
): GrpcAsker {
  let trusted = ca();
  const retired = new Set<Channel>();
  const begin = (): Channel => new Channel(open(address, trusted), now, (gone) => retired.delete(gone));
  let channel = begin();
  const underWay = new Map<string, { readonly by: Channel; readonly asked: ReturnType<GrpcAsker['ask']> }>();
  const replace = (): Channel => {
    const before = channel;
    channel = begin();
    retired.add(before);
    before.retire();
    return channel;
  };
  /** The channel that trusts the CA in force, and has not fallen silent. */
  const current = (): Channel => {
    const next = ca();
    const isSame = next === trusted || (next !== undefined && trusted?.equals(next) === true);
    if (isSame) return channel.isSilent() && retired.size < MOST_RETIRED ? replace() : channel;
    trusted = next;
    return replace();
  };
  const askOnce = async (by: Channel, path: string): ReturnType<GrpcAsker['ask']> => {
    try {
      return await by.ask(path, Buffer.alloc(0));
    } finally {
      if (underWay.get(path)?.by === by) underWay.delete(path);
    }
  };
  return {
    ask: (path, message, caller) => current().ask(path, message, caller),
    askOpen(path) {
      const by = current();
      const known = underWay.get(path);
      if (known?.by === by) return known.asked;
      const asked = askOnce(by, path);
      underWay.set(path, { by, asked });
      return asked;
    },
    close() {
      for (const before of retired) before.close();
      channel.close();
    },
  };
}

/** Milliseconds that an answer is waited for. */
export function longestOf(caller: Pick<Caller, 'leastMs'> | undefined): number {
  return Math.min(Math.max(ASK_TIMEOUT_MS, caller?.leastMs ?? 0), LONGEST_MS);
}

/** A client, and what it has been asked. */
class Channel {
  readonly #client: Client;
  readonly #now: () => number;
  readonly #onClosed: (channel: Channel) => void;
  readonly #open = new Set<Asked>();
  #fellSilent = false;
  #retired = false;

  constructor(client: Client, now: () => number, onClosed: (channel: Channel) => void) {
    this.#client = client;
    this.#now = now;
    this.#onClosed = onClosed;
  }

  /** A call has waited for long, and nothing came. The oldest call that waits is the first one of the set. */
  isSilent(): boolean {
    if (this.#fellSilent) return true;
    for (const { since, heard } of this.#open) if (!heard) return this.#now() - since >= SILENT_MS;
    return false;
  }

  async ask(path: string, message: Buffer, caller?: Caller): ReturnType<GrpcAsker['ask']> {
    const asked: Asked = { since: this.#now(), heard: false };
    this.#open.add(asked);
    try {
      return await call(this.#client, path, message, asked, caller);
    } finally {
      this.#open.delete(asked);
      if (!asked.heard && this.#now() - asked.since >= GIVEN_UP_MS) this.#fellSilent = true;
      if (this.#retired) this.retire();
    }
  }

  /** Is asked nothing more; what it was asked is still answered. */
  retire(): void {
    this.#retired = true;
    if (this.#open.size > 0) return;
    this.close();
    this.#onClosed(this);
  }

  close(): void {
    this.#client.close();
  }
}

/** A call: since when (ms), and whether upstream has said anything of it. */
interface Asked {
  readonly since: number;
  heard: boolean;
}

function open(address: SocketAddress, ca: Buffer | undefined): Client {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return new Client(`${host}:${address.port}`, address.tls ? credentials.createSsl(ca) : credentials.createInsecure(), {
    'grpc.max_receive_message_length': MOST_ANSWER_BYTES,
    // A connection of its own: another client does not fall back on one that has been given up.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1000,
    'grpc.enable_http_proxy': 0,
  });
}

function call(
  client: Client,
  path: string,
  message: Buffer,
  told: Asked,
  caller?: Caller,
): ReturnType<GrpcAsker['ask']> {
  return new Promise((resolve, reject) => {
    // An exception is the rejection, which is reported where the answer is waited for.
    const guard = new Guard({ fail: reject, cut: ignore }, 'grpc_upstream', ignore);
    const answered = guard.entry((error: ServiceError | null, answer: Buffer | undefined) => {
      if (error) resolve(refusalOf(error));
      else resolve(answer ? { kind: 'message', message: answer } : UPSTREAM_BROKEN);
    });
    const deadline = Date.now() + longestOf(caller);
    const asked = client.makeUnaryRequest(path, unchanged, unchanged, message, new Metadata(), { deadline }, answered);
    const heard = guard.entry(() => {
      told.heard = true;
    });
    asked.on('metadata', heard);
    asked.on(
      'status',
      guard.entry(({ code }: { readonly code: number }) => {
        // A status of its own says that upstream, or the attempt to reach it, has answered.
        if (code !== status.DEADLINE_EXCEEDED && code !== status.CANCELLED) told.heard = true;
      }),
    );
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
