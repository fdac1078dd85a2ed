import type { Protocol } from '../exchange/exchange.ts';
import type { GrpcExchange } from './exchange.ts';
import { resolveGrpc } from './resolve.ts';

/** A content type that no browser sends for a page of another origin before it has asked. */
const GRPC_TYPE = /^application\/grpc(?:[+;]|$)/i;

/** Do all content types, of which there is one at least, say that it is gRPC? Not the one of gRPC-web. */
function isSentAsGrpc(headers: readonly string[]): boolean {
  let found = false;
  for (let at = 0; at + 1 < headers.length; at += 2) {
    if (headers[at] !== 'content-type') continue;
    if (!GRPC_TYPE.test(headers[at + 1] ?? '')) return false;
    found = true;
  }
  return found;
}

/** The steps of gRPC, implemented by the connection of a call. */
export const GRPC: Protocol<GrpcExchange> = {
  resolve: (exchange) => resolveGrpc(exchange.head.path),
  checkBody: (exchange, decision, needs) => exchange.steps.checkBody(exchange, decision, needs),
  isCrossSite: ({ headers }) => !isSentAsGrpc(headers),
  forward: (exchange, permit) => exchange.steps.forward(exchange, permit),
  abandonBody: (exchange) => exchange.steps.abandonBody(exchange),
  reject: (exchange, denial) => exchange.steps.reject(exchange, denial),
};
