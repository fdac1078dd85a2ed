import { addedHeaders } from '../../exchange/request-id.ts';
import { FRAME_HEADER_BYTES } from '../../http2/frames.ts';
import { encodeHeaders } from '../../http2/hpack.ts';
import type { UpstreamCredential } from '../../upstream/credential.ts';
import type { GrpcExchange } from '../exchange.ts';
import { upstreamFields } from '../headers/request-head.ts';

/** The connections of a head. */
export interface HeadPlace {
  /** `:authority` of upstream. */
  readonly authority: string;
  /** True = the client speaks TLS. */
  readonly tls: boolean;
  /** Shown to upstream. */
  readonly credential: UpstreamCredential;
}

/**
 * The encoded head of a call for upstream, after space for a frame header. Equal heads of one place have equal bytes, unless
 * the call has a span of its own (`exchange.trace`).
 */
export function forwardedHead(exchange: GrpcExchange, { authority, tls, credential }: HeadPlace): Buffer {
  const added = exchange.trace ? addedHeaders(exchange) : [];
  const own = { authority, remote: exchange.remote, tls, credential, added };
  return encodeHeaders(upstreamFields(exchange.head, own), FRAME_HEADER_BYTES);
}
