import type { State } from '../config/state.ts';
import { parseUpstreamUrl } from '../config/upstream-url.ts';
import { type FaultReport, Guard } from '../lifetime/guard.ts';
import type { Log } from '../observability/log.ts';
import { connects } from '../upstream/connects.ts';
import type { UpstreamLookup } from '../upstream/lookup.ts';
import { OutageWatch } from '../upstream/outage-watch.ts';
import { answersGrpc, type OpenAsker } from '../upstream/probe.ts';
import type { Observer } from './exchange-parts.ts';
import { upstreamSocket } from './listener-options.ts';
import type { Upstreams } from './upstreams.ts';

/** Time limit of one question, in milliseconds. */
const PATIENCE_MS = 1_500;

const PROTOCOLS = ['rest', 'grpc'] as const;
type Protocol = (typeof PROTOCOLS)[number];

/** Outages of an upstream with one address since the start, by protocol. */
export type Outages = Readonly<Record<Protocol, number>>;

export interface OutageLogOptions {
  readonly lookup: Pick<UpstreamLookup, 'answers'>;
  /** Does a port of upstream take a connection? */
  readonly reach: Readonly<Record<Protocol, () => Promise<boolean>>>;
  readonly log: Pick<Log, 'warn' | 'info'>;
  readonly report: FaultReport;
}

/** One log line when upstream goes down and one when it is back, for each protocol, instead of one for each request. */
export class OutageLog {
  readonly #watches: Readonly<Record<Protocol, OutageWatch>>;
  #asker: OpenAsker | undefined;

  constructor({ lookup, reach, log, report }: OutageLogOptions) {
    const guard = new Guard({ fail: () => undefined, cut: () => undefined }, 'rest_upstream', report);
    const watch = (protocol: Protocol, ask: () => Promise<boolean>): OutageWatch => {
      const changed = (up: boolean, forMs: number): void => {
        if (up) log.info({ protocol, seconds: Math.round(forMs / 1000) }, 'upstream is back');
        else log.warn({ protocol }, 'upstream is down; requests are refused until it answers');
      };
      return new OutageWatch({ ask, reach: reach[protocol], changed, now: () => performance.now(), guard });
    };
    this.#watches = {
      rest: watch('rest', () => answersRest(lookup)),
      grpc: watch('grpc', () => this.#answersGrpc()),
    };
  }

  /** Sees every exchange: an observer. */
  readonly observe: Observer = ({ protocol, refusal, forwardedAt, answeredAt }) => {
    if (forwardedAt === 0) return;
    const watch = this.#watches[protocol];
    switch (refusal?.code) {
      case 'upstream_unreachable':
        watch.failed(true);
        break;
      case 'upstream_broken':
      case 'upstream_timeout':
        watch.failed(false);
        break;
      default:
        if (answeredAt > 0) watch.heard();
    }
  };

  get outages(): Outages {
    return { rest: this.#watches.rest.outages, grpc: this.#watches.grpc.outages };
  }

  /** @param up upstream answered at the start @param asker `undefined` = gRPC is off */
  begin(up: boolean, asker: OpenAsker | undefined): void {
    this.#asker = asker;
    this.#watches.rest.begin(up);
    if (asker) this.#watches.grpc.begin(up);
  }

  /** Without gRPC there is nothing to be down. */
  async #answersGrpc(): Promise<boolean> {
    return this.#asker === undefined || (await answersGrpc(this.#asker));
  }

  close(): void {
    for (const protocol of PROTOCOLS) this.#watches[protocol].close();
  }
}

/**
 * The log of one address: each node of several has lines of its own. Of several processes, one watches.
 *
 * @param worker number of this process; `undefined` = it is the only one
 */
export function outageLogOf(
  { nodes, lookup }: Pick<Upstreams, 'nodes' | 'lookup'>,
  current: () => State,
  worker: number | undefined,
  log: Log,
  report: FaultReport,
): OutageLog | undefined {
  if (nodes || (worker ?? 0) > 0) return undefined;
  const { rest_url: rest, grpc_url: grpc } = current().config.gateway.upstream;
  const reach = { rest: reachOf(current, rest, 'http/1.1'), grpc: reachOf(current, grpc, 'h2') };
  return new OutageLog({ lookup, reach, log, report });
}

function reachOf(current: () => State, url: string | null, alpn: 'http/1.1' | 'h2'): () => Promise<boolean> {
  const address = parseUpstreamUrl(url ?? '');
  return async () => address === null || (await connects(address, upstreamSocket(current, alpn))) === undefined;
}

/** An answer that refuses the gateway's key is one. */
async function answersRest(lookup: OutageLogOptions['lookup']): Promise<boolean> {
  try {
    const found = await lookup.answers(AbortSignal.timeout(PATIENCE_MS));
    return typeof found === 'boolean' ? found : found.code === 'upstream_key_refused';
  } catch {
    return false;
  }
}
