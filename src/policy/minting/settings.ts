/** The section `token_exchange` of the policy file: plain data that can be sent to another process. */
export interface TokenExchangeSettings {
  /** Life of a minted token, in seconds. */
  readonly lifetime: number;
  /** Most tokens minted per minute for one key with one subject. */
  readonly perMinute: number;
  /** True = the REST port answers, too. */
  readonly restPort: boolean;
  /** Ids of the configured keys that may be exchanged. */
  readonly keys: readonly string[];
}
