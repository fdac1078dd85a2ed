import { runPaced } from '../load/paced.ts';
import type { Window } from '../load/window.ts';
import type { RowPlan, Sample } from '../plan.ts';
import type { Protocol, Stage } from '../stage.ts';
import { quantile } from '../statistics.ts';
import { BASE, type Contestant, prepareContestant, reasonAgainst } from './contestants.ts';
import { openSmall } from './workloads.ts';

const PER_SECOND = 100;
const CONNECTIONS = 8;
/** With fewer answers than this there is no 99th percentile to speak of. */
const FEWEST_SECONDS = 1;

const ROWS: readonly { readonly id: string; readonly protocol: Protocol; readonly title: string }[] = [
  { id: 'latency-rest', protocol: 'rest', title: `REST latency at ${PER_SECOND} requests/s` },
  { id: 'latency-grpc', protocol: 'grpc', title: `gRPC latency at ${PER_SECOND} requests/s` },
];

/** Time to the answer at a low fixed rate, for each contestant. */
export function latencyRows(stage: Stage, contestants: readonly Contestant[], { warmUp, seconds }: Window): RowPlan[] {
  const pace = { perSecond: PER_SECOND, warmUp: Math.max(0.2, warmUp), seconds: Math.max(FEWEST_SECONDS, seconds) };
  const sampleOf = async (contestant: Contestant, protocol: Protocol): Promise<Sample> => {
    const started = await stage.shared(contestant.gateway);
    const clients = await openSmall(protocol, started.target(protocol, contestant.credential), CONNECTIONS);
    const { milliseconds, errors, firstError } = await runPaced(clients, pace);
    const enough = milliseconds.length > 0;
    return {
      figures: enough ? { p50: quantile(milliseconds, 0.5), p99: quantile(milliseconds, 0.99) } : {},
      errors,
      firstError: firstError ?? (enough ? null : 'no request was answered'),
    };
  };
  return ROWS.map(({ id, protocol, title }) => ({
    id,
    family: 'latency',
    title,
    figures: ['p50', 'p99'],
    base: BASE,
    columns: contestants.map((contestant) => ({
      id: contestant.id,
      label: contestant.label,
      without: reasonAgainst(contestant, protocol),
      seconds: pace.warmUp + pace.seconds + 0.1,
      prepareSeconds: 0,
      warmUpRound: false,
      prepare: () => prepareContestant(stage, contestant, protocol),
      run: () => sampleOf(contestant, protocol),
    })),
  }));
}
