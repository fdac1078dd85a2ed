import * as fc from 'fast-check';
import t from 'tap';
import { lists } from '../../../src/policy/access.ts';
import type { ClaimValue } from '../../../src/policy/mapping/claims.ts';
import { createMapper } from '../../../src/policy/mapping/mapper.ts';
import { fillTemplate, readTemplate } from '../../../src/policy/mapping/name-template.ts';
import { runs } from '../../support/generators/runs.ts';

/** A place in a value. */
const PLACE = '${b}';

const BAD: readonly (readonly [name: string, said: RegExp])[] = [
  ['${team', /has no/],
  ['${}', /no path/],
  ['${a b}', /no path/],
  ['${a[0]}', /no path/],
  ['${a[].b}', /no path/],
  ['${team}*', /needs text behind it/],
  ['${a}${b}', /needs text behind it/],
  ['a*b', /at the end only/],
  ['*${a}', /at the end only/],
  ['${a[]}-${b[]}', /only one/],
];
for (const [name, said] of BAD) {
  t.test(`\`${name}\` is refused with a reason`, async (t) => {
    const read = readTemplate(name);
    t.match(typeof read === 'string' ? read : 'read', said);
  });
}

for (const name of ['docs', 'docs-*', '*', '${a}', 'x-${a}', '${a}-x', '${a}-${b}', '${a}_*', '${"https://x/}y"}']) {
  t.test(`\`${name}\` is a name`, async (t) => {
    t.type(readTemplate(name), 'object');
  });
}

/** Texts that look like what a name must not become, and some that may fill one. */
const plain = fc.string({ unit: fc.constantFrom('a', 'b', '.', '_'), minLength: 1, maxLength: 3 });
const tricky = fc.oneof(
  { weight: 4, arbitrary: plain },
  fc.string({ unit: fc.constantFrom('*', '/', '.', '-', '_', 'a', 'b', '$', '{', '}', '\\', ' ', '\n', '\0') }),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('*', '..', '../x', PLACE, 'a*', 'a-b', '-'),
);
const value: fc.Arbitrary<ClaimValue> = fc.oneof(
  { weight: 10, arbitrary: tricky },
  fc.array(tricky),
  fc.bigInt(),
  fc.double(),
  fc.boolean(),
  fc.constant(null),
);

t.test('no value of a claim widens an access beyond what its mapping names', async (t) => {
  const mapper = createMapper([{ id: 'one', access: [{ collections: ['a-${x}-*', '${y}_docs'], access: 'rw' }] }]);
  let mapped = 0;
  fc.assert(
    fc.property(value, value, tricky, (x, y, name) => {
      const claims = new Map([
        ['x', x],
        ['y', y],
      ]);
      const found = mapper.map(claims);
      if (found.kind === 'denial') return true;
      mapped += 1;
      // Only what the mapping spells: the value between its own two literals, or before its own end.
      return [name, `a-${name}-z`, `a-${name}`, `${name}_docs`, `a-${x}-${name}`].every(
        (probe) => lists(found.access, probe) === (probe.startsWith(`a-${x}-`) || probe === `${y}_docs`),
      );
    }),
    { numRuns: runs(2000) },
  );
  t.ok(mapped > 20, 'many were mapped');
});

t.test('two different values never cover one collection, where text ends them', async (t) => {
  const template = readTemplate('${x}-*');
  if (typeof template === 'string') throw new Error(template);
  const fill = (x: string) => {
    const names = fillTemplate(template, new Map([['x', x]]));
    return 'fault' in names ? undefined : names[0]?.slice(0, -1);
  };
  let compared = 0;
  fc.assert(
    fc.property(tricky, tricky, (one, other) => {
      const [left, right] = [fill(one), fill(other)];
      if (one === other || left === undefined || right === undefined) return true;
      compared += 1;
      return !left.startsWith(right) && !right.startsWith(left);
    }),
    { numRuns: runs(1000) },
  );
  t.ok(compared > 20, 'many were compared');
});

const BORDERS: readonly (readonly [name: string, value: string, fits: boolean])[] = [
  ['${b}--*', 'a', true],
  ['${b}--*', 'a-', false],
  ['${b}--*', '-a', true],
  ['${b}__*', 'a_', false],
  ['${b}_docs_*', 'a_docs', false],
  ['${b}_docs_*', 'a_doc', true],
  ['${b}-prod-*', 'search-prod', false],
  ['${b}-*', 'a-b', false],
  ['x-${b}--docs', 'a-', true],
];
for (const [name, b, fits] of BORDERS) {
  t.test(`\`${b}\` ${fits ? 'fits' : 'does not fit'} into \`${name}\``, async (t) => {
    const template = readTemplate(name);
    if (typeof template === 'string') throw new TypeError(template);
    t.equal(Array.isArray(fillTemplate(template, new Map([['b', b]]))), fits);
  });
}

const LITTLE = { unit: fc.constantFrom('a', '-', '_'), minLength: 1, maxLength: 4 } as const;

t.test('the names of one value are never those of another, whatever text stands behind its place', async (t) => {
  let compared = 0;
  fc.assert(
    fc.property(
      fc.string(LITTLE),
      fc.string(LITTLE),
      fc.string(LITTLE),
      fc.string(LITTLE),
      (until, one, other, rest) => {
        const template = readTemplate(`${PLACE}${until}*`);
        if (typeof template === 'string') throw new TypeError(template);
        const [mine, theirs] = [one, other].map((b) => fillTemplate(template, new Map([['b', b]])));
        if (!Array.isArray(mine) || !Array.isArray(theirs) || one === other) return true;
        compared += 1;
        // A collection of the other value, which the prefix of this one must not cover.
        return !`${other}${until}${rest}`.startsWith(`${mine[0]}`.slice(0, -1));
      },
    ),
    { numRuns: runs(4000) },
  );
  t.ok(compared > 0, `${compared} pairs of values that fit`);
});

t.test('two values never make the name of two others', async (t) => {
  let compared = 0;
  fc.assert(
    fc.property(
      fc.string(LITTLE),
      fc.array(fc.string(LITTLE), { minLength: 4, maxLength: 4 }),
      (until, [a = '', b = '', c = '', d = '']) => {
        const template = readTemplate(`\${a}${until}\${b}`);
        if (typeof template === 'string') throw new TypeError(template);
        const fill = (one: string, two: string) => fillTemplate(template, new Map(Object.entries({ a: one, b: two })));
        const [mine, theirs] = [fill(a, b), fill(c, d)];
        if (!Array.isArray(mine) || !Array.isArray(theirs)) return true;
        compared += 1;
        return mine[0] !== theirs[0] || (a === c && b === d);
      },
    ),
    { numRuns: runs(4000) },
  );
  t.ok(compared > 0, `${compared} pairs of names`);
});
