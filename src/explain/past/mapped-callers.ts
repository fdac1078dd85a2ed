import { isDeepStrictEqual } from 'node:util';
import type { State } from '../../config/state.ts';
import { narrowedBy } from '../../identity/certificates/both.ts';
import type { MappingSettings } from '../../policy/mapping/mapper.ts';
import { sourceChanges } from '../diff/sources.ts';
import { classesOf } from '../mapped/classes.ts';
import { type ClaimSource, mappingsOf } from '../mapped/holder.ts';
import { namesOf } from '../mapped/templates.ts';
import type { OfflineParts } from '../parts.ts';
import type { PrincipalClass } from '../space/principal-class.ts';
import type { PastEvent } from './events.ts';

/** The callers that may have sent a request whose claims were mapped. */
export interface PastHolders {
  readonly callers: readonly PrincipalClass[];
  /** True = the log does not tell whether the claims match the same mappings under each state. */
  readonly uncertain: boolean;
}

/** Where the mappings of an event are from; `undefined` = its caller was not mapped, or the issuer is not known. */
export function sourceOfEvent({ auth_type: type, key }: PastEvent, states: readonly OfflineParts[]) {
  if (type === 'Certificate') return { from: 'certificates' } as const;
  const isIssuer = states.some(({ state }) => state.policy.issuers?.some(({ id }) => id === key));
  return type === 'Jwt' && key !== undefined && isIssuer ? ({ from: 'issuer', id: key } as const) : undefined;
}

/** The holders of the mappings that an event names, with its subject. */
export function pastHolders(
  source: ClaimSource,
  { mappings = [], subject, collections = [] }: PastEvent,
  states: readonly OfflineParts[],
): PastHolders {
  const callers = classesOf({ source, mappings, subjects: [subject] }, states);
  const [old, next] = states.map(({ state }) => state);
  const uncertain =
    !old || !isKnown(source, mappings, old) || (next !== undefined && mayDiffer(source, mappings, old, next));
  // Claims that name three collections are more than a class tells.
  return { callers, uncertain: uncertain || (collections.length > 2 && callers.some((one) => one.byCollection)) };
}

/** Callers with a key or token of their own, each beside the holders of the certificate. */
export function besideHolders(
  own: readonly PrincipalClass[],
  event: PastEvent,
  states: readonly OfflineParts[],
): PastHolders {
  const { callers, uncertain } = pastHolders({ from: 'certificates' }, { ...event, subject: undefined }, states);
  const both = own.flatMap((one) =>
    callers.map(
      (holder): PrincipalClass => ({
        ...one,
        label: `${one.label}, beside a ${holder.label}`,
        byCollection: one.byCollection || holder.byCollection,
        async identify(parts, collection, target) {
          const [principal, certified] = [
            await one.identify(parts, collection, target),
            await holder.identify(parts, collection, target),
          ];
          if (certified.kind === 'denial') return certified;
          return principal.kind === 'denial' ? principal : narrowedBy(principal, certified);
        },
      }),
    ),
  );
  // The log tells the subject of the key or token, and not that of the certificate.
  const subjects = states.some(({ state: { policy } }) =>
    /"subjects"/.test(JSON.stringify([policy.rules, policy.tenants])),
  );
  return { callers: both, uncertain: uncertain || subjects };
}

function isKnown(source: ClaimSource, held: readonly string[], state: State): boolean {
  const ids = mappingsOf(source, state)?.mappings.map(({ id }) => id) ?? [];
  return held.every((id) => ids.includes(id));
}

/** True = the same claims may be refused, or match other mappings, or make other names, under the other state. */
function mayDiffer(source: ClaimSource, held: readonly string[], old: State, next: State): boolean {
  const [before, after] = [mappingsOf(source, old)?.mappings ?? [], mappingsOf(source, next)?.mappings ?? []];
  // Its tokens are refused, unless another entry takes them.
  if (after.length === 0) return source.from === 'issuer' && isTaken(source.id, old, next);
  const part = source.from === 'issuer' ? `issuer ${source.id}` : 'client certificates';
  if (old.policy.tokenRules.maxLifetime !== next.policy.tokenRules.maxLifetime) return true;
  const own = sourceChanges(old.policy, next.policy).find((one) => one.part === part && one.kind === 'changed');
  if (own?.settings.some(({ setting }) => setting !== 'order of mappings')) return true;
  return after.some((mapping) => {
    const one = before.find(({ id }) => id === mapping.id);
    if (!one) return true;
    if (!isDeepStrictEqual(conditionOf(one), conditionOf(mapping))) return true;
    return held.includes(mapping.id) && dependOnClaims(one, mapping);
  });
}

function isTaken(id: string, old: State, next: State): boolean {
  const issuer = old.policy.issuers?.find((one) => one.id === id)?.issuer;
  return next.policy.issuers?.some((one) => one.issuer === issuer) === true;
}

function conditionOf({ claim, values }: MappingSettings): unknown {
  return [claim, values];
}

/** True = what the mapping gives differs by claims that the log does not tell. */
function dependOnClaims(one: MappingSettings, other: MappingSettings): boolean {
  if (one.tenant_from !== other.tenant_from) return true;
  return !isDeepStrictEqual(one.access, other.access) && namesOf([one, other]).claimed.length > 0;
}
