import fc from 'fast-check';
import { forge } from '../../identity/forge.ts';
import { KEYS } from '../gateway.ts';

/**
 * A tape of decisions from which a whole case is made. Every generator takes its choices from it, and once it has run
 * out every choice is the first one: a shorter tape makes a simpler case, so fast-check shrinks to a readable one.
 */
export interface Tape {
  readonly seed: number;
  readonly length: number;
}

/** Random tapes with up to `maxLength` decisions. */
export function tapes(maxLength = 400): fc.Arbitrary<Tape> {
  return fc.record({ seed: fc.integer(), length: fc.integer({ min: 0, max: maxLength }) });
}

/** Reads a tape. */
export class Draw {
  #state: number;
  #left: number;

  constructor({ seed, length }: Tape) {
    this.#state = seed | 0;
    this.#left = length;
  }

  /** A whole number from 0 up to but not including `bound`. */
  below(bound: number): number {
    if (this.#left <= 0) return 0;
    this.#left -= 1;
    // Mulberry32: small and good enough to choose by.
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296) * bound);
  }

  /** True once in `bound` times; never once the tape has run out. */
  oneIn(bound: number): boolean {
    return this.below(bound) === bound - 1;
  }

  of<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new TypeError('nothing to choose from');
    return choices[this.below(choices.length)] as T;
  }

  /** Up to `most` values. */
  some<T>(most: number, make: () => T): T[] {
    return Array.from({ length: this.below(most + 1) }, make);
  }

  shuffled<T>(items: readonly T[]): T[] {
    const rest = [...items];
    const order: T[] = [];
    while (rest.length > 0) order.push(...rest.splice(this.below(rest.length), 1));
    return order;
  }
}

/** Cuts `bytes` into pieces at random places. */
export function cut(draw: Draw, bytes: Buffer): Buffer[] {
  const at = [0, bytes.length, ...draw.some(5, () => draw.below(bytes.length + 1))].sort((a, b) => a - b);
  return at.slice(1).map((end, index) => bytes.subarray(at[index] ?? 0, end));
}

/** Collections the lists of `PRINCIPALS` name, and ones that none of them does. Told apart by bytes alone. */
export const LISTED = ['alpha', 'Zürich', 'a b', '日本😀', '__proto__', 'a%41'] as const;
export const UNLISTED = [
  'secret',
  'Alpha',
  'Zu\u0308rich',
  'alpha ',
  'constructor',
  'aA',
  '"q"\\<x>;+&=',
  '*',
] as const;

/** A collection's name; mostly one that some principal lists, so that many requests get as far as their bodies. */
export function collectionName(draw: Draw): string {
  return draw.oneIn(4) ? draw.of(UNLISTED) : draw.of(LISTED);
}

export type Mode = 'r' | 'rw' | 'prw';
/** `undefined` = not accepted. A list is kept as pairs: no name of a collection is ever a key of an object. */
export type Grant = 'm' | 'r' | readonly (readonly [collection: string, mode: Mode])[] | undefined;

export interface TestPrincipal {
  readonly name: string;
  readonly grant: Grant;
  /** Its header; `undefined` = it sends none. */
  readonly credential: readonly [name: string, value: string] | undefined;
}

const NOW = 1_700_000_000;

function tokenOf(access: unknown): string {
  return forge({ claims: { access }, secret: KEYS.admin }, NOW, KEYS.admin);
}

function lister(name: string, grant: Exclude<Grant, string | undefined>): TestPrincipal {
  const token = tokenOf(grant.map(([collection, access]) => ({ collection, access })));
  return { name, grant, credential: ['authorization', `Bearer ${token}`] };
}

const each = (mode: Mode): (readonly [string, Mode])[] => LISTED.map((name) => [name, mode]);

export const PRINCIPALS: readonly TestPrincipal[] = [
  { name: 'nobody', grant: undefined, credential: undefined },
  { name: 'wrong key', grant: undefined, credential: ['api-key', 'not-the-key-0123456789'] },
  { name: 'admin', grant: 'm', credential: ['api-key', KEYS.admin] },
  { name: 'alt as bearer', grant: 'm', credential: ['authorization', `Bearer ${KEYS.alt}`] },
  { name: 'read-only', grant: 'r', credential: ['api-key', KEYS.readOnly] },
  { name: 'token m', grant: 'm', credential: ['authorization', `Bearer ${tokenOf('m')}`] },
  { name: 'token r', grant: 'r', credential: ['api-key', tokenOf('r')] },
  lister('empty list', []),
  lister('list r', each('r')),
  lister('list rw', each('rw')),
  lister('list prw', each('prw')),
  lister('alpha rw and one more r', [
    ['alpha', 'rw'],
    ['Zürich', 'r'],
  ]),
  lister('alpha prw', [['alpha', 'prw']]),
];

/** A principal; mostly one with a list, as only a list looks into bodies. */
export function principal(draw: Draw): TestPrincipal {
  const [first, ...others] = PRINCIPALS.slice(7);
  if (!first) throw new TypeError('no principal has a list');
  return draw.oneIn(3) ? draw.of(PRINCIPALS) : draw.of([...others, first]);
}
