import type { RestTransport } from '../protocol.ts';
import type { RelayExchange } from './exchange.ts';
import { takenBody } from './takes.ts';

/** The steps of every exchange are its connection's or stream's; it is resolved before it begins. */
export const RELAY_STEPS: RestTransport<RelayExchange> = {
  resolve: (exchange) => exchange.resolution,
  checkBody: (exchange, decision, needs) => exchange.connection.checkBody(exchange, decision, needs),
  pass: (exchange, permit) => exchange.connection.pass(exchange, permit),
  change: (exchange, permit) => exchange.connection.giveOver(exchange, permit),
  sendAnew: (exchange, rewriting) => exchange.connection.sendAnew(exchange, takenBody(exchange, rewriting)),
  reject: (exchange, denial) => exchange.connection.reject(exchange, denial),
  abandonBody: (exchange) => exchange.connection.abandonBody(exchange),
  cut: (exchange) => exchange.connection.cut(),
};
