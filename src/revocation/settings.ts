import { readBounded } from '../config/files/bounded-read.ts';
import { ConfigError, reason } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';

/** Address and TLS of Redis. Contains a password: never logged. */
export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  /** CA to trust, PEM; `undefined` = the CAs of the runtime. */
  readonly ca: Buffer | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
  /** Prefix of the names of the hash and the channel. */
  readonly prefix: string;
}

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

const URL_PARTS =
  /^(rediss?):\/\/(?:([^:@/\s]*)(?::([^@/\s]*))?@)?(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+):(\d{1,5})(?:\/(\d{1,3}))?$/;
const PLACE = 'gateway.revocation.redis_url';

/** The settings of a configuration. Throws `ConfigError`; no text contains any part of the address. */
export function revocationSettings(config: Config): RevocationSettings {
  const { revocation } = config.gateway;
  const { redis_url: url, redis_ca: ca } = revocation;
  return {
    file: revocation.file ?? undefined,
    redis:
      url === null
        ? undefined
        : {
            address: {
              ...readRedisUrl(url),
              ca: ca === null ? undefined : readCa(ca),
              prefix: revocation.redis_prefix,
            },
            refreshMs: revocation.refresh_ms,
            unavailableAfterMs: revocation.unavailable_after_ms,
            whenUnavailable: revocation.when_unavailable,
          },
  };
}

function readRedisUrl(url: string): Omit<RedisAddress, 'ca' | 'prefix'> {
  const [, scheme, user = '', password = '', host = '', port, database = '0'] = URL_PARTS.exec(url) ?? [];
  const number = Number(port);
  if (scheme === undefined || !(number >= 1 && number <= 65_535)) {
    throw new ConfigError([
      { place: PLACE, message: 'must be redis://host:port or rediss://host:port, with a port from 1 to 65535' },
    ]);
  }
  return {
    host: host.replace(/^\[|\]$/g, ''),
    port: number,
    tls: scheme === 'rediss',
    username: decoded(user),
    password: decoded(password),
    database: Number(database),
  };
}

function decoded(text: string): string | undefined {
  if (text === '') return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    throw new ConfigError([
      { place: PLACE, message: 'user and password must be percent-encoded: `%` is written `%25`' },
    ]);
  }
}

function readCa(file: string): Buffer {
  try {
    return readBounded(file);
  } catch (error) {
    const message = `cannot read the CA \`${file}\`: ${reason(error)}`;
    throw new ConfigError([{ place: 'gateway.revocation.redis_ca', message }]);
  }
}
