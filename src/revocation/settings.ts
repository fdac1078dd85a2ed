import type { Config } from '../config/schema.ts';
import { type RedisAddress, redisAddressOf } from '../redis/address.ts';

export interface RedisSettings {
  readonly address: RedisAddress;
  /** Interval between full reads. */
  readonly refreshMs: number;
  /** Milliseconds that Redis may be unreachable before it counts as unavailable. */
  readonly unavailableAfterMs: number;
  /** Tokens while Redis is unavailable: refused, or checked against the last read. */
  readonly whenUnavailable: 'closed' | 'open';
}

/** Configured stores of revocations; without any they are kept in memory. */
export interface RevocationSettings {
  readonly file: string | undefined;
  readonly redis: RedisSettings | undefined;
}

/** The settings of a configuration. Throws `ConfigError`; no text contains any part of the address. */
export function revocationSettings(config: Config): RevocationSettings {
  const { revocation } = config.gateway;
  const address = redisAddressOf(config);
  return {
    file: revocation.file ?? undefined,
    redis: address && {
      address,
      refreshMs: revocation.refresh_ms,
      unavailableAfterMs: revocation.unavailable_after_ms,
      whenUnavailable: revocation.when_unavailable,
    },
  };
}
