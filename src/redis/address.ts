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
  /** Prefix of the names of keys and channels. */
  readonly prefix: string;
}

const URL_PARTS =
  /^(rediss?):\/\/(?:([^:@/\s]*)(?::([^@/\s]*))?@)?(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+):(\d{1,5})(?:\/(\d{1,3}))?$/;
const PLACE = 'gateway.revocation.redis_url';

/** The configured Redis; `undefined` = none. Throws `ConfigError`; no text contains any part of the address. */
export function redisAddressOf(config: Config): RedisAddress | undefined {
  const { redis_url: url, redis_ca: ca, redis_prefix: prefix } = config.gateway.revocation;
  if (url === null) return undefined;
  return { ...readRedisUrl(url), ca: ca === null ? undefined : readCa(ca), prefix };
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
