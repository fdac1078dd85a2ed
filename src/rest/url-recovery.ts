import type { Protocol } from '../exchange.ts';
import { JsonFault } from '../json/fault.ts';
import { JsonReader } from '../json/reader.ts';
import type { Permit } from '../policy/decide.ts';
import { type Denial, URL_RECOVERY_DISABLED } from '../policy/denial.ts';
import type { Operation } from '../policy/operation.ts';
import { withDecodedBody } from './decoded-body.ts';
import type { LaneOptions } from './lane-options.ts';
import type { RestExchange } from './rest-exchange.ts';

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
  options: LaneOptions,
  protocol: Protocol<RestExchange>,
): boolean {
  if (exchange.locationChecked || !isUrlRecovery(permit.operation, options)) return false;
  if (permit.operation.name === BY_PEER) {
    protocol.reject(exchange, URL_RECOVERY_DISABLED);
    return true;
  }
  withDecodedBody(exchange, options, judgeLocation, (refusal) => {
    if (exchange.response.destroyed) return;
    exchange.locationChecked = true;
    if (refusal) protocol.reject(exchange, refusal);
    else protocol.forward(exchange, permit);
  });
  return true;
}

/** Only an object whose every `location` is a `file:` URL passes; what cannot be read is refused. */
function judgeLocation(body: Buffer): Denial | undefined {
  try {
    const reader = new JsonReader(body);
    reader.readObject((key) => {
      if (key !== 'location') reader.skipValue();
      else if (reader.peek() !== 'string' || !/^file:/i.test(reader.readString())) {
        throw new JsonFault('syntax', 'location', reader.position);
      }
    });
    reader.end();
    return undefined;
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    return URL_RECOVERY_DISABLED;
  }
}
