import type { AcmeReport } from '../acme/report.ts';
import type { SharedKeysReport } from '../named-keys/redis/report.ts';
import type { Facts } from '../observability/facts.ts';
import type { SeenPrincipal } from '../observability/metrics/principals-seen.ts';
import { nodesOf, stateOfAll } from '../observability/nodes-of.ts';
import type { Reload } from '../observability/operator.ts';
import type { ConnectionList, GatewaySnapshot, NodeFigures } from '../observability/snapshot.ts';

/** A listener's address and purpose. */
export interface ListenerState {
  readonly protocol: 'rest' | 'grpc';
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
}

/** Readiness of the gateway, with the state of each part. */
export interface Readiness {
  readonly ready: boolean;
  readonly listeners: 'up' | 'starting' | 'draining';
  readonly keys: 'loaded' | 'missing';
  /** Only with named keys in Redis; readiness does not depend on it. */
  readonly shared_keys?: 'known' | 'last known' | 'unknown';
  /** Only with issuers whose keys are fetched; readiness does not depend on it: other credentials work. */
  readonly issuer_keys?: 'known' | 'missing';
  /** Only with automatic certificates. Without one every handshake fails, and the gateway is not ready. */
  readonly certificate?: 'in force' | 'ended' | 'missing';
  /** Kind of the last problem of automatic certificates; the status page has its text. */
  readonly certificate_problem?: string;
  /** `key`: only with a key for upstream. */
  readonly upstream: { readonly rest: Reach; readonly grpc: Reach; readonly key?: 'accepted' | 'refused' };
}
type Reach = 'reachable' | 'unreachable' | 'off';

/** Parts of the status page beside the facts. */
export interface StatusParts {
  readonly mode: string;
  readonly draining: boolean;
  readonly startedAt: number;
  readonly listeners: readonly ListenerState[];
  /** Number of configured processes. */
  readonly workers: number;
}

const iso = (milliseconds: number): string | null => (milliseconds > 0 ? new Date(milliseconds).toISOString() : null);

/** The status page. Names files, places and options, never their content. */
export function statusOf(facts: Facts, { mode, draining, startedAt, listeners, workers }: StatusParts): object {
  const { snapshots, upstream, revocations, reloads, now } = facts;
  const [first] = snapshots;
  return {
    version: facts.version,
    uptime_seconds: Math.floor((now - startedAt) / 1000),
    mode,
    protecting: snapshots.length > 0 && snapshots.every(({ protecting }) => protecting),
    rules_in_shadow: first?.rulesInShadow ?? 0,
    draining,
    generation: Math.max(0, ...snapshots.map(({ generation }) => generation)),
    reloads: { ok: reloads.ok, failed: reloads.failed, last: reloads.last ? reloadOf(reloads.last) : null },
    listeners,
    upstream: {
      rest: upstream.rest,
      grpc: upstream.grpc ?? null,
      key: upstream.key ?? null,
      version: upstream.version ?? null,
      asked_at: iso(upstream.askedAt),
      nodes: snapshots.some(({ nodes }) => nodes)
        ? nodesOf(snapshots).map(([name, nodes]) => nodeOf(name, nodes))
        : null,
    },
    certificates: (first?.certificates ?? []).map(({ certificate, expiresAt }) => ({
      certificate,
      expires_at: iso(expiresAt),
      expires_in_seconds: Math.floor((expiresAt - now) / 1000),
    })),
    ...(facts.acme && { acme: acmeOf(facts.acme) }),
    revocations: {
      entries: revocations.entries.length,
      unknown: revocations.unknown,
      sources: revocations.sources.map(({ place, available, readAt, entries, problem }) => ({
        ...{ place, available, read_at: iso(readAt), entries, problem: problem ?? null },
      })),
    },
    ...(facts.sharedKeys && { shared_keys: sharedKeysOf(facts.sharedKeys) }),
    ...(facts.issuerKeys &&
      facts.issuerKeys.length > 0 && {
        issuers: facts.issuerKeys.map(({ fetchedAt, problem, ...rest }) => ({
          ...{ ...rest, fetched_at: iso(fetchedAt), problem: problem ?? null },
        })),
      }),
    ...(facts.sharedLimits && {
      shared_limits: { ...facts.sharedLimits, problem: facts.sharedLimits.problem ?? null },
    }),
    workers: {
      wanted: workers,
      serving: snapshots.length,
      processes: snapshots.map(({ pid, generation }) => ({ pid, generation })),
    },
    audit: snapshots.some(({ audit }) => audit)
      ? {
          refused_requests: facts.figures.audit.refused,
          sinks: facts.figures.audit.sinks,
          chain_heads: snapshots.flatMap(({ pid, audit }) => (audit?.head ? { pid, hash: audit.head } : [])),
        }
      : null,
    log: { lost_lines: facts.figures.lostLines },
  };
}

/** All nodes with what each process sees of them. @param drained names, also of nodes that are not in the list now */
export function nodesPage(snapshots: readonly GatewaySnapshot[], drained: readonly string[]): object {
  const nodes = nodesOf(snapshots);
  const known = new Set(nodes.map(([name]) => name));
  return {
    nodes: nodes.map(([name, figures]) => ({
      ...nodeOf(name, figures),
      processes: snapshots.flatMap(({ pid, nodes: own }) =>
        (own ?? []).filter((node) => node.name === name).map(({ state, open }) => ({ pid, state, open })),
      ),
    })),
    drained_and_absent: drained.filter((name) => !known.has(name)),
  };
}

function acmeOf({ expiresAt, renewalAt, nextAttemptAt, problem, ...rest }: AcmeReport): object {
  return {
    ...rest,
    expires_at: iso(expiresAt ?? 0),
    renewal_at: iso(renewalAt ?? 0),
    next_attempt_at: iso(nextAttemptAt),
    problem: problem ? { kind: problem.kind, text: problem.text, at: iso(problem.at) } : null,
  };
}

/** Ids of damaged records that are listed. */
const MAX_DAMAGED = 20;

function sharedKeysOf({ readAt, damaged, problem, ...rest }: SharedKeysReport): object {
  const shown = damaged.slice(0, MAX_DAMAGED);
  return { ...rest, read_at: iso(readAt), damaged: damaged.length, damaged_ids: shown, problem: problem ?? null };
}

/** A node: sums over all processes, and the worst state that one of them sees. */
function nodeOf(name: string, nodes: readonly NodeFigures[]): object {
  const sum = (of: (node: NodeFigures) => number): number => nodes.reduce((all, node) => all + of(node), 0);
  return {
    name,
    state: stateOfAll(nodes),
    weight: nodes[0]?.weight ?? null,
    version: nodes.find(({ release }) => release !== undefined)?.release ?? null,
    open: sum(({ open }) => open),
    requests: sum(({ taken }) => taken),
    failures: sum(({ failures }) => failures),
    ejections: sum(({ ejections }) => ejections),
  };
}

/** A reload as the admin port shows it. */
export function reloadOf(reload: Reload): object {
  const { ok, cause, at } = reload;
  if (!reload.ok) return { ok, cause, at: iso(at), problems: reload.problems };
  const { generation, warnings, restartNeeded } = reload;
  return { ok, cause, at: iso(at), generation, warnings, restart_needed: restartNeeded };
}

/** Principals seen within the last hour. */
export function principalsOf(seen: readonly SeenPrincipal[], max: number): object {
  return {
    total: seen.length,
    principals: seen.slice(0, max).map(({ key, subject, protocol, allowed, denied, lastSeen, lastRemote }) => ({
      ...{ key, subject: subject ?? null, protocol, allowed, denied },
      ...{ last_seen: iso(lastSeen), last_remote: lastRemote },
    })),
  };
}

/** Client connections, oldest first. */
export function connectionsOf(lists: readonly ConnectionList[], max: number): object {
  const all = lists.flatMap(({ connections }) => connections).sort((a, b) => a.since - b.since);
  return {
    total: lists.reduce((sum, { total }) => sum + total, 0),
    connections: all.slice(0, max).map(({ remote, protocol, since, requests, open, tls }) => ({
      ...{ remote, protocol, since: iso(since), requests, open, tls: tls ?? null },
    })),
  };
}
