import type { State } from '../../config/state.ts';
import type { Fleet } from '../fleet.ts';
import { createGateway } from '../gateway.ts';

/** A fleet of one process, this one. */
export async function createSingle(state: State): Promise<Fleet> {
  const gateway = await createGateway(state);
  return {
    start: () => gateway.start(),
    apply: async (next) => gateway.apply(next),
    setRevocations: async (revocations) => gateway.setRevocations(revocations),
    drainNodes: async (names) => gateway.drainNodes(names),
    setNamedKeys: async (keys) => gateway.setNamedKeys(keys),
    snapshots: async (details) => [gateway.snapshot(details)],
    act: async (act) => gateway.act(act),
    depart: async () => gateway.depart(),
    stop: (graceMs) => gateway.stop(graceMs),
  };
}
