import { closedLoop } from '../load/load.ts';
import { type Window, type WindowFigures, watchLoad } from '../load/window.ts';
import type { RowPlan, Sample } from '../plan.ts';
import type { Stage } from '../stage.ts';
import { BASE, type Contestant, prepareContestant, reasonAgainst } from './contestants.ts';
import { WORKLOADS } from './workloads.ts';

/** Seconds that opening connections takes. */
const CONNECTING = 0.2;

/** A window as a sample of CPU per request. */
export function costSample(figures: WindowFigures): Sample {
  const { cpuPerRequest, requestsPerSecond, busy, others, errors, firstError, requests } = figures;
  return {
    figures: requests === 0 ? {} : { cpu: cpuPerRequest },
    errors,
    firstError: firstError ?? (requests === 0 ? 'no request was answered' : null),
    rate: requestsPerSecond,
    busy,
    others,
  };
}

/** CPU per request under full load, for each contestant. */
export function costRows(stage: Stage, contestants: readonly Contestant[], window: Window): RowPlan[] {
  return WORKLOADS.map(({ id, title, protocol, http2, mebibytes, open }) => ({
    id,
    family: 'cost',
    title,
    figures: ['cpu'],
    ...(mebibytes === undefined ? {} : { mebibytes }),
    base: BASE,
    columns: contestants.map((contestant) => ({
      id: contestant.id,
      label: contestant.label,
      without: reasonAgainst(contestant, protocol, http2),
      seconds: window.warmUp + window.seconds + CONNECTING,
      prepareSeconds: 0.3,
      warmUpRound: contestant.gateway.compilesWhileRunning,
      prepare: () => prepareContestant(stage, contestant, protocol),
      run: async () => {
        const started = await stage.shared(contestant.gateway);
        const clients = await open(started.target(protocol, contestant.credential));
        const load = closedLoop(clients, clients.slots.length);
        return costSample(await watchLoad(load, started, window));
      },
    })),
  }));
}
