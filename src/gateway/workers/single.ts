import type { State } from '../../config/state.ts';
import type { ConsolePort } from '../../exchange/console-request.ts';
import type { AskForKeys } from '../../identity/issuers/key-sets.ts';
import type { Leases } from '../../limits/leases.ts';
import type { Fleet } from '../fleet.ts';
import { createGateway } from '../gateway.ts';
import { TicketKeys, withTicketKeys } from '../ticket-keys.ts';

/** A fleet of one process, this one. */
export async function createSingle(
  state: State,
  leases?: Leases,
  askForKeys?: AskForKeys,
  pages?: ConsolePort,
): Promise<Fleet> {
  const tickets = new TicketKeys();
  let inForce = state;
  const gateway = await createGateway(withTicketKeys(state, tickets), [], undefined, 1, leases, askForKeys, pages);
  return {
    start: () => gateway.start(),
    async apply(next) {
      tickets.changing(inForce, next);
      const applied = gateway.apply(withTicketKeys(next, tickets));
      inForce = next;
      return applied;
    },
    setRevocations: async (revocations) => gateway.setRevocations(revocations),
    drainNodes: async (names) => gateway.drainNodes(names),
    setNamedKeys: async (keys) => gateway.setNamedKeys(keys),
    setKeySets: async (sets) => gateway.setKeySets(sets),
    setValidations: async (validations) => gateway.setValidations(validations),
    renewTicketKeys: async () => gateway.setTicketKeys(tickets.renew()),
    snapshots: async (details) => [gateway.snapshot(details)],
    act: async (act) => gateway.act(act),
    exchangeToken: (request) => gateway.exchangeToken(request),
    identify: (credential, remote) => gateway.identify(credential, remote),
    consoleToken: (request) => gateway.consoleToken(request),
    depart: async () => gateway.depart(),
    stop: (graceMs) => gateway.stop(graceMs),
  };
}
