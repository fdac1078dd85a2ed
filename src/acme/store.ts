/** The records that gateways share about a certificate. */
export const RECORDS = ['account', 'order', 'challenges', 'certificate', 'schedule'] as const;
export type RecordName = (typeof RECORDS)[number];

/** The right to order and to write, for a time. */
export interface Lease {
  /** Increases with each leader. */
  readonly fence: number;
}

/** Time for which a leader that falls silent remains the leader, in milliseconds. */
export const LEASE_MS = 20_000;

/**
 * Records that one gateway keeps for itself or shares with others, and the choice of the one that writes them. Every call rejects
 * with `AcmeFault` of the kind `storage` if the place cannot be reached, read or written.
 *
 * INVARIANT: a write takes effect only while the lease it is made under is in force: a leader that was paused and replaced changes
 * nothing any more.
 */
export interface AcmeStore {
  /** Becomes the leader, or remains it. `undefined` = another gateway is. Call it at least every third of the time of a lease. */
  readonly hold: () => Promise<Lease | undefined>;
  /** Some records; those that there are. */
  readonly read: (names: readonly RecordName[]) => Promise<ReadonlyMap<RecordName, string>>;
  /** Replaces a record as a whole; null = removes it. Rejects with `LeaseLost` if another gateway is the leader. */
  readonly write: (lease: Lease, name: RecordName, text: string | null) => Promise<void>;
  /** Another gateway may become the leader at once. Never rejects. */
  readonly release: () => Promise<void>;
}
