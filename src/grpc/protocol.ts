import type { Protocol } from '../exchange/exchange.ts';
import type { GrpcExchange } from './exchange.ts';
import { resolveGrpc } from './resolve.ts';

/** The steps of gRPC, implemented by the connection of a call. */
export const GRPC: Protocol<GrpcExchange> = {
  resolve: (exchange) => resolveGrpc(exchange.head.path),
  checkBody: (exchange, decision, needs) => exchange.steps.checkBody(exchange, decision, needs),
  forward: (exchange, permit) => exchange.steps.forward(exchange, permit),
  reject: (exchange, denial) => exchange.steps.reject(exchange, denial),
};
