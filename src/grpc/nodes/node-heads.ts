import { DEFAULT_MAX_FRAME_SIZE, FRAME_HEADER_BYTES } from '../../http2/frames.ts';
import type { Outbox } from '../../http2/outbox.ts';
import { frameHeaders } from '../../http2/write-frames.ts';
import type { UpstreamCredential } from '../../upstream/credential.ts';
import type { GrpcExchange } from '../exchange.ts';
import type { RequestHead } from '../headers/request-head.ts';
import { forwardedHead, type HeadPlace } from '../relay/forwarded-head.ts';

/** The heads of the calls of one connection to a node; equal heads of the client are encoded once. */
export class NodeHeads {
  readonly #outbox: Outbox;
  readonly #place: Omit<HeadPlace, 'credential'>;
  readonly #credential: () => UpstreamCredential;
  /** Encoded heads, and the credential in them. */
  readonly #known = new WeakMap<RequestHead, { readonly framed: Buffer; readonly credential: UpstreamCredential }>();

  constructor(outbox: Outbox, place: Omit<HeadPlace, 'credential'>, credential: () => UpstreamCredential) {
    this.#outbox = outbox;
    this.#place = place;
    this.#credential = credential;
  }

  send(exchange: GrpcExchange, streamId: number, ends: boolean): void {
    const { head, trace } = exchange;
    const known = trace ? undefined : this.#known.get(head);
    const credential = this.#credential();
    if (known && known.credential === credential) {
      this.#outbox.headersLike(known.framed, streamId, ends);
      return;
    }
    const framed = forwardedHead(exchange, { ...this.#place, credential });
    if (!trace && framed.length <= FRAME_HEADER_BYTES + DEFAULT_MAX_FRAME_SIZE) {
      this.#known.set(head, { framed, credential });
    }
    this.#outbox.bytes(frameHeaders(framed, streamId, ends));
  }
}
