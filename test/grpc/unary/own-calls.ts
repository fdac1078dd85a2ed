import type { Socket } from 'node:net';
import type { Test } from 'tap';
import { createGrpcAsker, type GrpcAsker } from '../../../src/grpc/unary/asker.ts';
import { Flag, type Frame, FrameType, windowIncrementOf } from '../../../src/http2/frames.ts';
import { NO_CREDENTIAL } from '../../../src/upstream/credential.ts';
import { startUpstream, type Upstream } from '../relay-fixture.ts';

/** A list, as the gateway asks for one itself. */
export const LIST = '/qdrant.Collections/List';

/** Calls of the gateway's own, and an upstream that speaks frames. */
export interface OwnCalls {
  readonly asker: GrpcAsker;
  readonly upstream: Upstream;
  /** Asks for a list. */
  readonly list: (signal?: AbortSignal) => ReturnType<GrpcAsker['ask']>;
}

/** @param answer called for each call that has come in whole; the others stay without an answer */
export async function startOwnCalls(
  t: Test,
  answer: (socket: Socket, streamId: number, call: number) => void,
): Promise<OwnCalls> {
  const upstream = await startUpstream(t);
  let calls = 0;
  upstream.onFrame = (socket, frame) => {
    if (isWhole(frame)) answer(socket, frame.streamId, ++calls);
  };
  const asker = createGrpcAsker({
    address: { tls: false, host: '127.0.0.1', port: upstream.port },
    authority: 'upstream',
    credential: () => NO_CREDENTIAL,
    socket: { connectTimeoutMs: 1000, ca: undefined, alpn: ['h2'] },
  });
  t.teardown(() => asker.close());
  const forever = new AbortController().signal;
  return { asker, upstream, list: (signal = forever) => asker.ask(LIST, Buffer.alloc(0), { leastMs: 0, signal }) };
}

/** The last frame of a call. */
export function isWhole({ type, flags }: Pick<Frame, 'type' | 'flags'>): boolean {
  return (type === FrameType.DATA || type === FrameType.HEADERS) && (flags & Flag.END_STREAM) !== 0;
}

/** What a client lets an upstream send it, kept from the frames that the upstream receives. */
export class Granted {
  readonly #streamId: number;
  #stream = 65_535;
  #connection = 65_535;

  constructor(streamId: number) {
    this.#streamId = streamId;
  }

  get bytes(): number {
    return Math.min(this.#stream, this.#connection);
  }

  spend(bytes: number): void {
    this.#stream -= bytes;
    this.#connection -= bytes;
  }

  /** @param frame one of the client's */
  take(frame: Frame): void {
    if (frame.type !== FrameType.WINDOW_UPDATE) return;
    if (frame.streamId === 0) this.#connection += windowIncrementOf(frame);
    if (frame.streamId === this.#streamId) this.#stream += windowIncrementOf(frame);
  }
}
