import type { OfflineParts } from '../parts.ts';

/** The label of a subject that nothing mentions. */
export const OTHER_SUBJECT = 'any other';

/** No subject, each that some entry of a policy mentions, and another one if any is mentioned. */
export function subjectsOf(states: readonly Pick<OfflineParts, 'state'>[]): readonly (string | undefined)[] {
  const lists = states.flatMap(({ state: { policy } }) => {
    const bounds = (policy.guards ?? []).flatMap((guard) => guard.bounds ?? []);
    return [...policy.rules, ...(policy.limits ?? []), ...(policy.tenants ?? []), ...bounds];
  });
  const mentioned = new Set(lists.flatMap(({ subjects = [] }) => subjects));
  return mentioned.size === 0 ? [undefined] : [undefined, ...[...mentioned].filter((one) => one !== ''), OTHER_SUBJECT];
}
