import type { Facts } from '../../../observability/facts.ts';
import { nodesOf, stateOfAll } from '../../../observability/nodes-of.ts';
import type { EndDate, Overview, OverviewNode } from '../../api/overview.ts';
import type { ConsoleSource } from '../source.ts';
import { connectionsIn, History, totalsIn } from './history.ts';
import { type DataRow, ok } from './row.ts';

/** Time between two samples, in milliseconds. */
const SAMPLE_MS = 5000;
/** Sampling ends when the page has not been asked for so long. */
const IDLE_MS = 30 * 60_000;
/** Dates that are listed. */
const MOST_DATES = 12;

interface Sampling {
  readonly history: History;
  /** Milliseconds since 1970. */
  askedAt: number;
  timer: NodeJS.Timeout | undefined;
}

const samplings = new WeakMap<ConsoleSource, Sampling>();

/** The page Overview. */
export const overviewRows: readonly DataRow[] = [
  { method: 'GET', name: 'overview', role: 'read', answer: async ({ source }) => ok(await overview(source)) },
];

async function overview(source: ConsoleSource): Promise<Overview> {
  const facts = await source.facts();
  const sampling = samplingOf(source, facts);
  return overviewOf(facts, source, sampling.history);
}

/** Samples are taken from the first look at the page on, so that the charts have a past when a reader comes back. */
function samplingOf(source: ConsoleSource, facts: Facts): Sampling {
  const known = samplings.get(source) ?? { history: new History(), askedAt: 0, timer: undefined };
  samplings.set(source, known);
  known.askedAt = facts.now;
  if (known.timer) return known;
  known.history.see(facts);
  known.timer = setInterval(() => {
    if (source.now() - known.askedAt > IDLE_MS) {
      clearInterval(known.timer);
      known.timer = undefined;
      return;
    }
    source.facts().then((next) => known.history.see(next), source.fault);
  }, SAMPLE_MS);
  known.timer.unref();
  return known;
}

/** Ends the sampling of a gateway that stops. */
export function closeOverview(source: ConsoleSource): void {
  clearInterval(samplings.get(source)?.timer);
  samplings.delete(source);
}

const iso = (milliseconds: number): string => new Date(milliseconds).toISOString();

/** The overview of a moment. */
export function overviewOf(
  facts: Facts,
  source: Pick<ConsoleSource, 'state' | 'parts' | 'drainedNodes'>,
  history: History,
): Overview {
  const { snapshots, upstream, reloads, revocations } = facts;
  const { mode, draining, startedAt } = source.parts();
  const { last } = reloads;
  const drained = source.drainedNodes();
  const nodes = snapshots.some(({ nodes: own }) => own) ? nodesIn(facts, drained) : null;
  return {
    now: iso(facts.now),
    version: facts.version,
    uptime_seconds: Math.floor((facts.now - startedAt) / 1000),
    mode,
    protecting: snapshots.length > 0 && snapshots.every(({ protecting }) => protecting),
    draining,
    totals: totalsIn(facts),
    in_flight: snapshots.reduce(
      (sum, { observed }) => sum + (observed ? observed.inFlight.rest + observed.inFlight.grpc : 0),
      0,
    ),
    upstream: {
      rest: upstream.rest,
      grpc: upstream.grpc ?? null,
      key: upstream.key ?? null,
      version: upstream.version ?? null,
    },
    nodes,
    drained_and_absent: drained.filter((name) => !nodes?.some((node) => node.name === name)),
    dates: datesIn(facts, source.state().policy.namedKeys ?? []),
    last_reload: last ? { ok: last.ok, at: iso(last.at), problems: last.ok ? [] : last.problems } : null,
    revocations: revocations.entries.length,
    revocations_unknown: revocations.unknown,
    connections: connectionsIn(facts),
    samples: history.samples(),
  };
}

function nodesIn({ snapshots }: Facts, drained: readonly string[]): readonly OverviewNode[] {
  return nodesOf(snapshots).map(([name, nodes]) => {
    const sum = (of: (node: (typeof nodes)[number]) => number): number =>
      nodes.reduce((all, node) => all + of(node), 0);
    return {
      name,
      state: stateOfAll(nodes),
      drained: drained.includes(name),
      version: nodes.find(({ release }) => release !== undefined)?.release ?? null,
      open: sum(({ open }) => open),
      requests: sum(({ taken }) => taken),
      failures: sum(({ failures }) => failures),
    };
  });
}

/** Names of certificates for a reader. */
const CERTIFICATES: Readonly<Record<string, string>> = {
  listener: 'certificate of the gateway',
  client_ca: 'CA of client certificates',
  client_crl: 'list of revoked client certificates',
  upstream_ca: 'CA of the upstream',
  upstream_client: 'client certificate for the upstream',
};

function datesIn(
  { snapshots, now }: Facts,
  keys: readonly {
    readonly id: string;
    readonly name: string;
    readonly expiresAt?: number | undefined;
    readonly disabled?: unknown;
  }[],
): readonly EndDate[] {
  const certificates = (snapshots[0]?.certificates ?? []).map(
    ({ certificate, expiresAt }): EndDate => ({
      ...{ kind: 'certificate', name: CERTIFICATES[certificate] ?? certificate, ends_at: iso(expiresAt) },
    }),
  );
  const named = keys.flatMap(({ id, name, expiresAt, disabled }): EndDate | [] =>
    expiresAt === undefined || disabled || expiresAt < now
      ? []
      : { kind: 'key', name: `${name} (${id})`, ends_at: iso(expiresAt) },
  );
  const all = [...certificates, ...named].toSorted((left, right) => (left.ends_at < right.ends_at ? -1 : 1));
  return all.slice(0, MOST_DATES);
}
