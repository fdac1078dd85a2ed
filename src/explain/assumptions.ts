import { NO_REVOCATIONS, type Revocations } from '../identity/revocations.ts';
import type { KeySetInForce } from '../policy/mapping/issuer.ts';

/** Facts that a serving gateway asks of others, or of its clock. Offline they are assumed, and told with each answer. */
export interface Assumptions {
  /** Upstream's release, for example `1.19.2`; `undefined` = not known, as while upstream does not answer. */
  readonly release: string | undefined;
  /** All collections there are; `undefined` = not known. */
  readonly collections: readonly string[] | undefined;
  /** Sparse vectors that score by the statistics of terms (modifier `idf`), in any collection; `undefined` = not known. */
  readonly idfVectors: ReadonlySet<string> | undefined;
  /** The client's address; empty = unknown, which no network of a key holds. */
  readonly remote: string;
  /** True = what the claim `value_exists` of a token asks for is there. */
  readonly valueExists: boolean;
  readonly revocations: Revocations;
  /** True = upstream serves its web interface. */
  readonly webUi: boolean;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Facts that were asked of the running system; absent = none. */
  readonly asked?: AskedFacts;
}

/** Facts of the running system at the time of the question. `revocations` are then those in force. */
export interface AskedFacts {
  /** Fetches the keys that an issuer publishes; `undefined` = it has none to fetch. */
  readonly fetchSet: (issuer: string) => Promise<KeySetInForce | undefined>;
}

/** Loopback, a web interface, nothing revoked, `value_exists` holds; release and collections are not known. */
export function assumed(given: Partial<Assumptions> & Pick<Assumptions, 'now'>): Assumptions {
  return {
    ...{ release: undefined, collections: undefined, idfVectors: undefined, remote: '127.0.0.1' },
    ...{ valueExists: true, revocations: NO_REVOCATIONS, webUi: true },
    ...given,
  };
}
