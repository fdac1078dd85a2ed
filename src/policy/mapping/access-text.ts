import type { Access, Grant } from '../access.ts';

/**
 * An access in one line, the same for the same access whatever the order of its entries: `m`, `r`, `docs rw`,
 * `team-* r; b-* rw operations:search,count manage:create max:3`, or `nothing`.
 */
export function accessText(access: Access): string {
  switch (access.kind) {
    case 'global':
      return access.mode;
    case 'list':
      return listed([...access.modes].map(([name, mode]) => `${name} ${mode}`));
    case 'grants':
      return listed(access.grants.flatMap(grantTexts));
    case 'joint':
      return access.parts.map((part) => `(${accessText(part)})`).join(' and ');
  }
}

function listed(entries: readonly string[]): string {
  return entries.length === 0 ? 'nothing' : [...new Set(entries)].sort().join('; ');
}

/** One text for each name, so that two entries for one name each are the same as one for both; a limit counts them together. */
function grantTexts({ names, prefixes, mode, operations, manage, maxCollections }: Grant): readonly string[] {
  const all = [...names, ...prefixes.map((prefix) => `${prefix}*`)].sort();
  const rights = [
    ...(mode === undefined ? [] : [mode]),
    ...(operations === undefined ? [] : [`operations:${[...operations].sort().join()}`]),
    ...(manage.size === 0 ? [] : [`manage:${[...manage].sort().join()}`]),
    ...(maxCollections === undefined ? [] : [`max:${maxCollections}`]),
  ].join(' ');
  if (all.length === 0) return [rights];
  return maxCollections === undefined ? all.map((name) => `${name} ${rights}`) : [`${all.join()} ${rights}`];
}
