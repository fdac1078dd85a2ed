/** State of the named keys in Redis. */
export interface SharedKeysReport {
  /** True = the last read is of this moment. */
  readonly available: boolean;
  /** True = named keys are refused, because Redis is away for longer than `keys_unavailable_after_ms`. */
  readonly unknown: boolean;
  /** Time of the last complete read in milliseconds since 1970; 0 = never. */
  readonly readAt: number;
  readonly keys: number;
  /** Ids of records that cannot be read: these keys are refused. */
  readonly damaged: readonly string[];
  /** Without credentials. */
  readonly problem: string | undefined;
}
