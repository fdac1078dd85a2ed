import type { Protocol } from '../../exchange/exchange.ts';
import type { Permit } from '../../policy/decide.ts';
import { INTERNAL_FAULT, URL_RECOVERY_DISABLED } from '../../policy/denial.ts';
import type { Operation } from '../../policy/operation.ts';
import type { RestExchange } from '../exchange.ts';
import type { LaneContext, LaneOptions } from '../options.ts';
import { withDecodedBody } from './decoded-body.ts';

/** Rows whose body says where a snapshot comes from. */
const BY_LOCATION = new Set(['snapshots.recover', 'shard_snapshots.recover']);
/** The row whose body always names a peer to fetch from. */
const BY_PEER = 'partial_snapshots.recover_from';

/** Can this operation make upstream call an address of the client's choice, although that is turned off? */
export function isUrlRecovery(operation: Operation, options: Pick<LaneOptions, 'snapshotUrlRecovery'>): boolean {
  return !options.snapshotUrlRecovery && (BY_LOCATION.has(operation.name) || operation.name === BY_PEER);
}

/**
 * Upstream: `service.enable_snapshot_url_recovery` off refuses locations that are URLs, to everybody (Qdrant v1.18.0).
 * Kept here as well, so that it holds in front of older releases. `false` = nothing to look at.
 */
export function refuseUrlRecovery(
  exchange: RestExchange,
  permit: Permit,
  options: LaneContext,
  protocol: Protocol<RestExchange>,
): boolean {
  if (exchange.locationChecked || !isUrlRecovery(permit.operation, options)) return false;
  if (permit.operation.name === BY_PEER) {
    protocol.reject(exchange, URL_RECOVERY_DISABLED);
    return true;
  }
  withDecodedBody(exchange, options, { kind: 'location' }, (found) => {
    if (exchange.life.ended) return;
    exchange.locationChecked = true;
    if (found) protocol.reject(exchange, 'kind' in found ? found : INTERNAL_FAULT);
    else protocol.forward(exchange, permit);
  });
  return true;
}
