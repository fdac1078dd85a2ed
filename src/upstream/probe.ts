import { Guard } from '../lifetime/guard.ts';
import type { KeyVerdict, UpstreamLookup } from './lookup.ts';

/** Reachability of upstream. */
export interface Reachability {
  readonly rest: boolean;
  /** `undefined` = gRPC is off. */
  readonly grpc: boolean | undefined;
  /** Upstream's release, as last reported. */
  readonly version: string | undefined;
  /** Upstream's answer to the gateway's key; `undefined` = there is no key, or no answer. */
  readonly key: KeyVerdict | undefined;
  /** Time of the probe, in milliseconds since 1970. */
  readonly askedAt: number;
}

/** Calls an open gRPC method of upstream; any `kind` but `message` is a refusal. */
export interface OpenAsker {
  askOpen(path: string): Promise<{ readonly kind: string }>;
}

export interface ProbeOptions {
  readonly lookup: Pick<UpstreamLookup, 'version' | 'checkKey'>;
  /** True = the gateway has a key for upstream. */
  readonly hasKey: () => boolean;
  /** The lowest release of several nodes; `undefined` = one address, or not known yet. */
  readonly lowest?: () => string | undefined;
  readonly asker: OpenAsker | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Time a result is cached, in milliseconds. */
const MAX_AGE_MS = 2_000;
/** Time limit of a probe, in milliseconds. */
const PATIENCE_MS = 1_500;
const HEALTH_CHECK = '/qdrant.Qdrant/HealthCheck';

/** Probes upstream on both protocols, at most every two seconds, shared by all callers. Never rejects. */
export function createProbe({ lookup, hasKey, lowest, asker, now }: ProbeOptions): () => Promise<Reachability> {
  let known: Reachability | undefined;
  let underWay: Promise<Reachability> | undefined;

  const ask = async (): Promise<Reachability> => {
    const [version, key, grpc] = await Promise.all([
      versionOf(lookup),
      hasKey() ? keyVerdictOf(lookup) : undefined,
      asker ? answersGrpc(asker) : undefined,
    ]);
    known = {
      rest: version !== undefined,
      grpc,
      key,
      version: lowest?.() ?? version ?? known?.version,
      askedAt: now(),
    };
    return known;
  };
  const askOnce = async (): Promise<Reachability> => {
    try {
      return await ask();
    } finally {
      underWay = undefined;
    }
  };

  return async () => {
    if (known && now() - known.askedAt < MAX_AGE_MS) return known;
    underWay ??= askOnce();
    return await underWay;
  };
}

async function versionOf(lookup: ProbeOptions['lookup']): Promise<string | undefined> {
  try {
    const version = await lookup.version(AbortSignal.timeout(PATIENCE_MS));
    return typeof version === 'string' ? version : undefined;
  } catch {
    return undefined;
  }
}

async function keyVerdictOf(lookup: ProbeOptions['lookup']): Promise<KeyVerdict | undefined> {
  try {
    const verdict = await lookup.checkKey(AbortSignal.timeout(PATIENCE_MS));
    return typeof verdict === 'string' ? verdict : undefined;
  } catch {
    return undefined;
  }
}

/** Whether upstream answers its health check over gRPC in time. Never rejects. */
export async function answersGrpc(asker: OpenAsker): Promise<boolean> {
  const { promise: tooLate, resolve } = Promise.withResolvers<undefined>();
  // An exception counts as no answer.
  const owner = { fail: () => resolve(undefined), cut: () => undefined };
  const timer = new Guard(owner, 'grpc_upstream', () => undefined).after(PATIENCE_MS, () => resolve(undefined));
  try {
    const answer = await Promise.race([asker.askOpen(HEALTH_CHECK), tooLate]);
    return answer?.kind === 'message';
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
