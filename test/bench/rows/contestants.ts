import { setTimeout as sleep } from 'node:timers/promises';
import { closedLoop, type Load } from '../load/load.ts';
import { type Gateway, ownGateway, PEERS } from '../peers/gateways.ts';
import { API_KEY, type Protocol, type Stage } from '../stage.ts';
import { openSmall } from './workloads.ts';

/** A gateway with one kind of credential: a column of the tables that compare. */
export type Contestant = {
  readonly id: string;
  readonly label: string;
  readonly version: string | null;
  readonly gateway: Gateway;
  readonly credential: string;
};

/** Id of the contestant that all others are compared with. */
export const BASE = 'ours-jwt';

/** This gateway twice and every peer, installed or not. `only` holds ids; throws on unknown ones. */
export function contestantsOf(
  stage: Stage,
  only: readonly string[] | null,
  nodeFlags: readonly string[],
): Contestant[] {
  const ours = ownGateway({ nodeFlags });
  const version = ours.version();
  const all: Contestant[] = [
    { id: BASE, label: 'ours, collection JWT', version, gateway: ours, credential: stage.collectionToken },
    { id: 'ours-key', label: 'ours, admin key', version, gateway: ours, credential: API_KEY },
    ...PEERS.map((gateway) => ({
      id: gateway.name,
      label: gateway.label,
      version: gateway.version(),
      gateway,
      credential: API_KEY,
    })),
  ];
  const unknown = only?.find((id) => all.every((one) => one.id !== id));
  if (unknown !== undefined) throw new Error(`\`--only\` knows ${all.map(({ id }) => id).join(', ')}`);
  return all.filter(({ id }) => only?.includes(id) ?? true);
}

/** Why a contestant has no figures for a protocol; null when it can be measured. */
export function reasonAgainst({ version, gateway }: Contestant, protocol: Protocol, http2 = false): string | null {
  if (version === null) return 'not installed';
  if (http2 && !gateway.http2) return 'speaks HTTP/1.1 only';
  return protocol === 'grpc' && !gateway.grpc ? 'cannot carry gRPC (trailers are lost)' : null;
}

async function firstAnswer(load: Load): Promise<void> {
  for (let waited = 0; waited < 200 && load.completed + load.failed === 0; waited++) await sleep(10);
}

const checked = new Map<string, Promise<void>>();

async function checkKey(stage: Stage, { gateway }: Contestant, protocol: Protocol): Promise<void> {
  const started = await stage.shared(gateway);
  const target = started.target(protocol, 'wrong-key');
  const load = closedLoop(await openSmall(protocol, target, 1), 1);
  await firstAnswer(load);
  load.close();
  if (load.completed > 0 || load.failed === 0) throw new Error('does not refuse a wrong key');
}

/** Starts a contestant. Rejects when it does not start or lets a wrong key pass: it then does less than the others. */
export function prepareContestant(stage: Stage, contestant: Contestant, protocol: Protocol): Promise<void> {
  const name = `${contestant.gateway.name} ${protocol}`;
  const known = checked.get(name) ?? checkKey(stage, contestant, protocol);
  checked.set(name, known);
  return known;
}
