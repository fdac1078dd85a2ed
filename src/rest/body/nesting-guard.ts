import type { Protocol } from '../../exchange/exchange.ts';
import { DepthMeter, nestsWithin } from '../../json/depth.ts';
import { isTrusted } from '../../policy/access.ts';
import type { Permit } from '../../policy/decide.ts';
import { INTERNAL_FAULT } from '../../policy/denial.ts';
import { headerValues, type RestExchange } from '../exchange.ts';
import type { Intake } from '../http1/intake.ts';
import type { PlainHead } from '../http1/request-head.ts';
import type { LaneContext, LaneOptions } from '../options.ts';
import { withDecodedBody } from './decoded-body.ts';

/** A plain body up to this size is measured whole, so that nothing of a refused one goes upstream. */
export const WHOLE_BYTES = 65_536;

/*
 * Upstream reads JSON bodies before it checks access, and ends when one nests deeply enough. So every body it would
 * parse is measured before its last byte is sent on, whoever sends it below global manage.
 */

/** Measures a body that has to be held for that: small or compressed ones. `false` = it streams, see `streamGuard`. */
export function measureFirst(
  exchange: RestExchange,
  permit: Permit,
  options: LaneContext,
  protocol: Protocol<RestExchange>,
): boolean {
  if (!isGuarded(exchange, options) || !(exchange.body || isSmall(exchange) || isCoded(exchange))) return false;
  withDecodedBody(exchange, options, { kind: 'depth', maxDepth: options.inspection.maxDepth }, (found) => {
    if (exchange.life.ended) return;
    exchange.measured = true;
    if (found) protocol.reject(exchange, 'kind' in found ? found : INTERNAL_FAULT);
    else protocol.forward(exchange, permit);
  });
  return true;
}

/** The meter for a body that streams. Upstream parses nothing before the body is whole, and its end never comes. */
export function streamGuard(exchange: RestExchange, options: LaneOptions): DepthMeter | undefined {
  return isGuarded(exchange, options) ? new DepthMeter(options.inspection.maxDepth) : undefined;
}

/** Is this a body that upstream would parse, of a principal that is not trusted with it, and not measured yet? */
export function isGuarded(
  exchange: Pick<RestExchange, 'resolution' | 'principal' | 'measured' | 'hasBody'>,
  options: Pick<LaneOptions, 'nestingGuard'>,
): boolean {
  const { resolution, principal, measured, hasBody } = exchange;
  if (measured || !hasBody || !resolution) return false;
  const { body, unlisted } = resolution.operation;
  if (!unlisted && body !== 'json' && body !== 'json-strict') return false;
  const access = principal?.access;
  return options.nestingGuard === 'all' || !isTrusted(access);
}

function isSmall(exchange: RestExchange): boolean {
  const length = exchange.request.headers['content-length'];
  return length !== undefined && Number(length) <= WHOLE_BYTES;
}

function isCoded(exchange: RestExchange): boolean {
  return headerValues(exchange.headers, 'content-encoding').length > 0;
}

/**
 * Of a body that lies whole behind its head in the intake, where it lies: small requests are many, and a view on each costs
 * more than this.
 */
export function heldNestsWithin(
  { source, start }: Pick<Intake, 'source' | 'start'>,
  { length, contentLength }: Pick<PlainHead, 'length' | 'contentLength'>,
  maxDepth: number,
): boolean {
  const from = start + length;
  return nestsWithin(source, from, from + contentLength, maxDepth);
}
