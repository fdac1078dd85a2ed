const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'off'] as const;

/** Alternative names of levels in logging libraries. */
const SPELLINGS: Readonly<Record<string, (typeof LEVELS)[number]>> = {
  warning: 'warn',
  err: 'error',
  critical: 'error',
  fatal: 'error',
  none: 'off',
  '0': 'off',
  '1': 'error',
  '2': 'warn',
  '3': 'info',
  '4': 'debug',
  '5': 'trace',
};

/**
 * The level of a filter; `undefined` = no level is in it.
 *
 * Upstream: Qdrant accepts a filter of its logging library here (`info,raft=debug`); only the bare level applies to the
 * gateway.
 */
export function bareLevel(filter: string): (typeof LEVELS)[number] | undefined {
  const bare = filter.split(',').map((part) => part.trim().toLowerCase());
  const level = bare.filter((part) => part !== '' && !part.includes('=')).at(-1);
  if (level === undefined) return 'info';
  return LEVELS.find((name) => name === level) ?? (Object.hasOwn(SPELLINGS, level) ? SPELLINGS[level] : undefined);
}

/** True = the text contains a level, or only filters that do not concern the gateway. */
export function isLevelFilter(filter: string): boolean {
  return bareLevel(filter) !== undefined;
}
