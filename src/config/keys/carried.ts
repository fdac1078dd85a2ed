import type { LimitSettings } from '../../policy/limits/limits.ts';
import { nearest } from '../nearest.ts';
import type { PolicySettings } from '../policy/file.ts';
import type { Problem } from '../problem.ts';
import type { Config } from '../schema.ts';

/** Problems with limits that keys of the file carry and the policy does not have. */
export function carriedProblems({ gateway }: Config, { namedKeys = [], limits = [] }: PolicySettings): Problem[] {
  const place = gateway.keys_file ?? '';
  return namedKeys.flatMap(({ id, limits: carried }) =>
    limitsGone(carried, limits).map((message) => ({ place, message: `the key \`${id}\`: ${message}` })),
  );
}

/** One text for each carried limit that there is none of. */
export function limitsGone(
  carried: readonly string[] | undefined,
  limits: readonly Pick<LimitSettings, 'id'>[],
): readonly string[] {
  const ids = limits.map(({ id }) => id);
  return (carried ?? [])
    .filter((id) => !ids.includes(id))
    .map((id) => {
      const meant = nearest(id, ids);
      return `the policy has no limit \`${id}\`${meant === undefined ? '' : `, did you mean \`${meant}\`?`}`;
    });
}
