import { availableParallelism } from 'node:os';
import { configuringVariables } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import type { State } from '../../config/state.ts';
import type { ConsolePort } from '../../exchange/console-request.ts';
import type { AskForKeys } from '../../identity/issuers/key-sets.ts';
import type { Leases } from '../../limits/leases.ts';
import type { Fleet } from '../fleet.ts';
import { createPool, type PoolEvents } from './pool.ts';
import { createSingle } from './single.ts';

/** Number of serving processes. */
export function workersOf({ gateway }: Config): number {
  return gateway.workers === 'auto' ? availableParallelism() : gateway.workers;
}

/**
 * The fleet of a configuration: a gateway in this process, or several workers.
 *
 * @param leases limits are counted with other gateways
 * @param askForKeys for fetched keys of issuers
 * @param pages the console, for REST ports that serve it
 */
export async function openFleet(
  state: State,
  events: PoolEvents,
  leases?: Leases,
  askForKeys?: AskForKeys,
  pages?: ConsolePort,
): Promise<Fleet> {
  const count = workersOf(state.config);
  return count === 1
    ? await createSingle(state, leases, askForKeys, pages)
    : createPool({ state, count, withheld: configuringVariables(), events, leases, askForKeys, console: pages });
}
