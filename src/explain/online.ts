import type { State } from '../config/state.ts';
import type { KeySetInForce } from '../policy/mapping/issuer.ts';
import type { Assumptions } from './assumptions.ts';
import { readRevocations } from './revocations-now.ts';

/** The flag of questions about the running system: what else is asked beside the files of the configuration. */
export interface OnlineFlag {
  readonly online?: boolean | undefined;
}

/** With the flag, the facts that a gateway of this state would hear now, for assumptions. Rejects if revocations cannot be read. */
export async function askedFacts(
  state: State,
  { online }: OnlineFlag,
  now: number,
): Promise<Partial<Pick<Assumptions, 'asked' | 'revocations'>>> {
  if (!online) return {};
  const fetchSet = (issuer: string) => fetchSetOf(state, issuer, now);
  return { asked: { fetchSet }, revocations: await readRevocations(state.config, now) };
}

/** The keys that an issuer publishes now; `undefined` = there is none of this id, or its keys are in a file. Rejects with `KeyFetchFault`. */
export async function fetchSetOf({ policy }: State, id: string, now: number): Promise<KeySetInForce | undefined> {
  const found = policy.issuers?.find((issuer) => issuer.id === id);
  if (!found || found.source.from === 'file') return undefined;
  const { fetchKeys } = await import('../issuers/fetch-keys.ts');
  return { id, url: found.source.url, keys: await fetchKeys(found.source, found.issuer), fetchedAt: now };
}
