import type { TokenRules } from '../../policy/token-rules.ts';
import type { OfflineParts } from '../parts.ts';

/*
 * The forms of tokens of one key: what their claims can be, as far as requirements on tokens tell them apart. Each
 * member of `TokenRules` has its line in `TOLD_BY`, so that a new requirement cannot be forgotten.
 */

/** The access of a token to a collection. `by a pattern` = through a name with a `*` at its end. */
export type TokenAccess =
  | 'm'
  | 'r'
  | 'none'
  | 'rw'
  | 'prw'
  | 'r only'
  | 'another collection'
  | 'rw by a pattern'
  | 'prw by a pattern'
  | 'r by a pattern';

/** A form of the `access` claim. */
export interface AccessForm {
  readonly access: TokenAccess;
  readonly label: string;
  /** True = it names collections. */
  readonly isList: boolean;
  /** The claim; `undefined` = there is none. @param target another collection, listed with `rw` */
  readonly claimOn: (collection: string, target?: string) => unknown;
}

/** The end of a token. */
export interface LifeForm {
  /** Empty = within every limit. */
  readonly label: string;
  /** Seconds from now to `exp`; `undefined` = it has no `exp`. */
  readonly seconds: number | undefined;
}

const global = (access: TokenAccess, label: string, claim: unknown): AccessForm => ({
  ...{ access, label, isList: false },
  claimOn: () => claim,
});

function listed(access: TokenAccess, label: string, own: (collection: string) => readonly object[]): AccessForm {
  return {
    ...{ access, label, isList: true },
    claimOn: (collection, target) =>
      target === undefined || target === collection
        ? own(collection)
        : [{ collection: target, access: 'rw' }, ...own(collection)],
  };
}

function named(access: TokenAccess, mode: string, pattern = ''): AccessForm {
  const label = `${mode} on it${pattern === '' ? '' : ' by a pattern'}`;
  return listed(access, label, (collection) => [{ collection: `${collection}${pattern}`, access: mode }]);
}

/** Natively a token without `access` manages, as one with `m` does: one class, unless a requirement tells them apart. */
const MANAGES = global('m', 'access m or none', 'm');
const MANAGES_BY_CLAIM = global('m', 'access m', 'm');
const WITHOUT = global('none', 'without access', undefined);

/** Further accesses that Qdrant itself tells apart on one collection. */
const NATIVE: readonly AccessForm[] = [
  global('r', 'access r', 'r'),
  named('rw', 'rw'),
  named('prw', 'prw'),
  named('r only', 'r'),
  listed('another collection', 'nothing on it', () => []),
];

const PATTERNS: readonly AccessForm[] = [
  named('rw by a pattern', 'rw', '*'),
  named('prw by a pattern', 'prw', '*'),
  named('r by a pattern', 'r', '*'),
];

const SHORT: LifeForm = { label: '', seconds: 1 };
const ENDLESS: LifeForm = { label: 'without exp', seconds: undefined };

/** The forms that one requirement tells apart beyond the native ones. */
interface Told {
  readonly accesses?: readonly AccessForm[];
  readonly lives?: readonly LifeForm[];
}

/** For each requirement, the forms of tokens that its values can decide otherwise. */
const TOLD_BY: { readonly [K in keyof TokenRules]: (values: readonly TokenRules[K][]) => Told } = {
  patterns: (values) => (values.includes(true) ? { accesses: PATTERNS } : {}),
  requireExp: (values) => (values.includes(true) ? { lives: [ENDLESS] } : {}),
  maxLifetime: (values) => {
    const most = [...new Set(values.filter((one) => one !== undefined))].sort((left, right) => left - right);
    const longer = most.map((one) => ({ label: `living over ${one} s`, seconds: one + 1 }));
    return longer.length === 0 ? {} : { lives: [...longer, ENDLESS] };
  },
  requireAccess: (values) => (values.includes(true) ? { accesses: [WITHOUT] } : {}),
  // Tokens that manage are a class already.
  refuseManage: () => ({}),
  // Of the secrets that sign tokens, each one is a class of its own.
  minSecretBytes: () => ({}),
};

/** All forms of `access` and of the end of a token under these states. */
export function tokenForms(states: readonly Pick<OfflineParts, 'ring'>[]): Required<Told> {
  const rules = states.map(({ ring }) => ring.tokenRules);
  const told = (Object.keys(TOLD_BY) as (keyof TokenRules)[]).map((name) => toldBy(name, rules));
  const lives = told.flatMap((one) => one.lives ?? []);
  const more = told.flatMap((one) => one.accesses ?? []);
  const manages = more.includes(WITHOUT) ? [MANAGES_BY_CLAIM, WITHOUT] : [MANAGES];
  return {
    accesses: [...manages, ...NATIVE, ...more.filter((one) => one !== WITHOUT)],
    lives: [SHORT, ...lives.filter((one) => one !== ENDLESS), ...(lives.includes(ENDLESS) ? [ENDLESS] : [])],
  };
}

function toldBy<K extends keyof TokenRules>(name: K, rules: readonly TokenRules[]): Told {
  return TOLD_BY[name](rules.map((one) => one[name]));
}
