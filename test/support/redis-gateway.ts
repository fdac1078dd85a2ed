import type { Test } from 'tap';
import type { RevocationSource } from '../../src/revocation/report.ts';
import type { Supervisor } from '../../src/supervisor/supervisor.ts';
import { type RedisServer, startRedis } from './process/redis.ts';
import { type OpenLines, openLines, startSupervised } from './supervised.ts';
import { makeToken } from './tokens.ts';
import { until } from './until.ts';

/** How long Redis may be away where a test waits for that: longer than a busy machine holds up a process. */
export const AFTER_MS = 1500;
/** The setting for it. */
export const BRIEF = { 'gateway.revocation.unavailable_after_ms': AFTER_MS } as const;
/** The hash of the default prefix. */
export const HASH = 'qdrant-gateway:revocations';

/** A Redis server that ends with the test. */
export async function redisOf(t: Test, args: readonly string[] = [], password?: string): Promise<RedisServer> {
  const redis = await startRedis(args, password);
  t.teardown(() => redis.close());
  return redis;
}

export interface RedisGateway {
  readonly operator: Supervisor;
  readonly lines: OpenLines;
  /** Waits until the credential has this verdict on every connection. */
  readonly becomes: (credential: string, verdict: readonly number[], withinMs?: number) => Promise<void>;
  /** What the gateway tells of Redis. */
  readonly source: () => RevocationSource | undefined;
  readonly stop: () => Promise<void>;
}

/** A gateway that keeps its revocations in this Redis; ends with the test at the latest. */
export async function startBefore(
  t: Test,
  redis: { readonly url: string },
  settings: Readonly<Record<string, unknown>> = {},
): Promise<RedisGateway> {
  const gateway = await startSupervised({
    'gateway.revocation.redis_url': redis.url,
    ...settings,
  });
  const lines = openLines(gateway);
  let stopped = false;
  const stop = async (): Promise<void> => {
    if (stopped) return;
    stopped = true;
    lines.close();
    await gateway.close();
  };
  t.teardown(stop);
  return {
    operator: gateway.operator,
    lines,
    becomes: (credential, verdict, withinMs) =>
      until(async () => String(await lines.ask(credential)) === String(verdict), `verdict ${verdict}`, withinMs),
    source: () => gateway.operator.revocations().sources[0],
    stop,
  };
}

/** A token that may read everything, with this id. */
export function tokenOf(id: string): string {
  return makeToken({ access: 'r', jti: id });
}
