import fc from 'fast-check';
import t from 'tap';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { lists } from '../../src/policy/access.ts';
import { decide } from '../../src/policy/decide.ts';
import { frozenBy, railRefusal } from '../../src/policy/guards/guard-rails.ts';
import { countsOn, limitsOf } from '../../src/policy/limits/limits.ts';
import { narrow } from '../../src/policy/narrow.ts';
import type { Operation } from '../../src/policy/operation.ts';
import { boundsFor } from '../../src/policy/search/bounds.ts';
import { accessOf, policyOf, withPatterns } from '../../src/policy/settings.ts';
import { runs } from '../support/generators/runs.ts';
import { timesDearer } from '../support/reference.ts';

/*
 * Names of collections against patterns, wherever a policy or a key has them: each place covers what a pattern says, byte for
 * byte, and nothing else.
 */

function row(name: string): Operation {
  const found = [...REST_OPERATIONS, ...GRPC_OPERATIONS].find((one) => one.name === name);
  if (!found) throw new TypeError(`no operation ${name}`);
  return found;
}
const QUERY = row('points.query');
const UPSERT = row('points.upsert');
const DELETE = row('collections.delete');
const CALLER = { keyId: 'k', subject: undefined };

type Covers = (name: string) => boolean;

/** Each place that takes patterns, ready to be asked. */
const PLACES: Readonly<Record<string, (patterns: readonly string[]) => Covers>> = {
  'a list of entries': (patterns) => {
    const access = accessOf([{ collections: patterns, access: 'r' }]);
    return (name) => lists(access, name);
  },
  'an entry for each': (patterns) => {
    const access = accessOf(patterns.map((collection) => ({ collection, access: 'r' as const })));
    const covered = withPatterns(access);
    return (name) => decide(covered, QUERY, { kind: 'collection', name }).kind !== 'denial';
  },
  'a token with patterns': (patterns) => {
    const access = withPatterns({ kind: 'list', modes: new Map(patterns.map((name) => [name, 'r'] as const)) });
    return (name) => lists(access, name);
  },
  'a token that a rule narrows': (patterns) => {
    const access = narrow(accessOf('m'), accessOf([{ collections: patterns, access: 'rw' }]));
    return (name) => decide(access, UPSERT, { kind: 'collection', name }).kind === 'permit';
  },
  'a right to delete': (patterns) => {
    const access = accessOf([{ collections: patterns, manage: ['delete'] }]);
    return (name) => decide(access, DELETE, { kind: 'collection', name }).kind === 'permit';
  },
  'a freeze': (patterns) => {
    const { rails = [] } = policyOf('enforce', [], [{ id: 'g', mode: 'enforce', freeze: patterns }]);
    return (name) => frozenBy(rails, 'enforce', UPSERT, [name]) !== undefined;
  },
  'a protection': (patterns) => {
    const { rails = [] } = policyOf('enforce', [], [{ id: 'g', mode: 'enforce', protected: patterns }]);
    return (name) => railRefusal(rails, 'enforce', DELETE, { names: [name], headers: [] }) !== undefined;
  },
  bounds: (patterns) => {
    const most = { collections: patterns, max_query_limit: 1 };
    const { bounds = [] } = policyOf('enforce', [], [{ id: 'g', mode: 'enforce', bounds: most }]);
    return (name) => boundsFor(bounds, CALLER, QUERY, name).length > 0;
  },
  'a limit': (patterns) => {
    const quota = { per: 'day', most: 1 } as const;
    const [limit] = limitsOf([{ id: 'l', mode: 'enforce', each: 'all', collections: patterns, requests: quota }]);
    return (name) => limit !== undefined && countsOn(limit, QUERY, name);
  },
};

/** The meaning of patterns, on bytes. */
function covered(patterns: readonly string[], name: string): boolean {
  const bytes = Buffer.from(name);
  return patterns.some((pattern) => {
    if (!pattern.endsWith('*')) return Buffer.from(pattern).equals(bytes);
    const prefix = Buffer.from(pattern.slice(0, -1));
    return bytes.subarray(0, prefix.length).equals(prefix);
  });
}

const piece = fc.constantFrom(
  'a',
  'A',
  'b',
  '-',
  '.',
  '..',
  '%',
  '%2A',
  ' ',
  'é',
  'e\u0301',
  'ß',
  'ẞ',
  'ﬀ',
  'ff',
  '😀',
  '\u0000',
);
const text = fc.array(piece, { minLength: 1, maxLength: 5 }).map((pieces) => pieces.join(''));
const pattern = fc.oneof(
  text,
  text.map((prefix) => `${prefix}*`),
  fc.constant('*'),
);
const patterns = fc.uniqueArray(pattern, { minLength: 1, maxLength: 6 });
/** Names near the patterns: one with more or less behind it, in other capitals or another normal form, or any. */
const name = fc.oneof(text, fc.constant(''), fc.constant('*'));
const near = fc
  .tuple(pattern, fc.constantFrom('', 'a', '*', ' ', '\u0301'), fc.nat({ max: 3 }))
  .map(([one, more, less]) => {
    const bare = one.endsWith('*') ? one.slice(0, -1) : one;
    return `${Array.from(bare)
      .slice(0, Math.max(0, bare.length - less))
      .join('')}${more}`;
  });
const named = fc.oneof(
  name,
  near,
  near.map((one) => one.toUpperCase()),
  near.map((one) => one.normalize('NFC')),
);

t.test('every place covers what its patterns say, in any order, and nothing else', async (test) => {
  for (const [place, of] of Object.entries(PLACES)) {
    const property = fc.property(patterns, fc.array(named, { minLength: 1, maxLength: 8 }), (own, names) => {
      const [covers, turned] = [of(own), of(own.toReversed())];
      return names.every((one) => covers(one) === covered(own, one) && turned(one) === covered(own, one));
    });
    test.doesNotThrow(() => fc.assert(property, { numRuns: runs(2000) }), place);
  }
});

t.test('a pattern more never takes a name away, and an exact name is no prefix', async (test) => {
  for (const [place, of] of Object.entries(PLACES)) {
    const property = fc.property(patterns, pattern, named, (own, more, one) => {
      if (of(own)(one) && !of([...own, more])(one)) return false;
      return more.endsWith('*') || of([more])(one) === (one === more);
    });
    test.doesNotThrow(() => fc.assert(property, { numRuns: runs(2000) }), place);
  }
});

const MANY = Array.from({ length: 1000 }, (_, at) => `team-${at}-*`);

t.test('a million names against a thousand patterns are found as one by one', async (test) => {
  const covers = PLACES['a list of entries']?.(MANY) ?? (() => false);
  const count = runs(1_000_000);
  let found = 0;
  for (let at = 0; at < count; at += 1) if (covers(`team-${at % 2000}-${at}`)) found += 1;
  test.equal(found, count / 2);
});

t.test('the time for a name does not grow with the number of patterns of a key', async (test) => {
  const names = Array.from({ length: 2000 }, (_, at) => `team-${at}-${at}`);
  const ask = (covers: Covers) => () => names.filter(covers).length;
  const of = PLACES['a list of entries'];
  if (!of) throw new TypeError('no such place');
  const levels = timesDearer(ask(of(MANY)), ask(of(['team-1-*', 'team-10-*', 'team-100-*'])));
  test.ok(levels < 8, `a thousand patterns take ${levels.toFixed(1)} times as long as three`);
});
