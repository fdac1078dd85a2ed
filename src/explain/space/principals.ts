import type { Principal } from '../../identity/principal.ts';
import { type Denial, INVALID_CREDENTIAL } from '../../policy/denial.ts';
import { ANONYMOUS, callerIds, configuredKeys, present } from '../caller.ts';
import { mappedClasses } from '../mapped/classes.ts';
import type { OfflineParts } from '../parts.ts';
import type { PrincipalClass } from './principal-class.ts';
import { tokenClasses } from './token-classes.ts';

/** The classes of these states: keys by id, tokens by signing key, subject, tenant and access. */
export function principalClasses(states: readonly OfflineParts[]): readonly PrincipalClass[] {
  const [first] = states;
  if (!first) return [];
  if (states.every(({ ring }) => ring.open)) return [openClass()];
  const ids = [
    ...new Set(
      states.flatMap(({ state }) => Object.entries(configuredKeys(state)).flatMap(([id, text]) => (text ? [id] : []))),
    ),
  ];
  const named = new Map(
    states.flatMap(({ state }) => (state.policy.namedKeys ?? []).map((key) => [key.id, key] as const)),
  );
  return [
    keyClass('anonymous', ANONYMOUS),
    ...ids.map((id) => keyClass('key', id)),
    ...[...named.values()].map(({ id, name }) => keyClass('named_key', id, name)),
    ...tokenClasses(states),
    ...mappedClasses(states),
  ];
}

function openClass(): PrincipalClass {
  return { ...keyClass('anonymous', ANONYMOUS), label: 'any caller: no key is set' };
}

function keyClass(kind: PrincipalClass['kind'], key: string, name?: string): PrincipalClass {
  const label = kind === 'anonymous' ? 'no credential' : `key ${key}${name === undefined ? '' : ` (${name})`}`;
  return {
    ...{ label, kind, key, byCollection: false },
    ...(name !== undefined && { name }),
    identify: (parts) => identityOf(parts, key),
    headersFor: async () => [],
  };
}

/** A key that a state does not have is refused as any text. */
async function identityOf(parts: OfflineParts, id: string): Promise<Principal | Denial> {
  const isThere = callerIds(parts.state).includes(id);
  if (!isThere) return INVALID_CREDENTIAL;
  const presented = await present({ kind: 'key', id }, parts);
  return presented.kind === 'identity'
    ? presented.identity
    : parts.authenticate(presented.headers, undefined, parts.assumptions.remote);
}
