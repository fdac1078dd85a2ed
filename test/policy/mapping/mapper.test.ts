import t from 'tap';
import { GRPC_OPERATIONS } from '../../../src/operations/grpc.ts';
import { REST_OPERATIONS } from '../../../src/operations/rest.ts';
import { GLOBAL_READ, lists, seesAll } from '../../../src/policy/access.ts';
import { decide } from '../../../src/policy/decide.ts';
import type { Claims, ClaimValue } from '../../../src/policy/mapping/claims.ts';
import { createMapper, type Mapped, type MappingSettings } from '../../../src/policy/mapping/mapper.ts';
import { NO_TARGET } from '../../../src/policy/operation.ts';
import { accessOf } from '../../../src/policy/settings.ts';

/* Truth tables: claims in, access or refusal out. */

/** Claims of plain data; a number is an integer if it is one. */
export function claimsOf(data: Readonly<Record<string, unknown>>): Claims {
  return new Map(Object.entries(data).map(([name, value]) => [name, claimOf(value)]));
}

function claimOf(value: unknown): ClaimValue {
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (Array.isArray(value)) return value.map(claimOf);
  if (typeof value === 'object' && value !== null) return claimsOf({ ...value });
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  throw new TypeError('no JSON');
}

const R = { access: 'r' } as const;

interface MatchCase {
  readonly name: string;
  readonly mapping: Partial<MappingSettings>;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly result: 'mapped' | 'no_mapping' | 'claim_unfit' | 'claim_missing';
}

const groups = { claim: 'groups', values: ['a'] };
const MATCHES: readonly MatchCase[] = [
  { name: 'a text that equals', mapping: groups, claims: { groups: 'a' }, result: 'mapped' },
  { name: 'a list that holds it', mapping: groups, claims: { groups: ['b', 'a'] }, result: 'mapped' },
  { name: 'another text', mapping: groups, claims: { groups: 'b' }, result: 'no_mapping' },
  { name: 'a text that only begins like it', mapping: groups, claims: { groups: 'aa' }, result: 'no_mapping' },
  { name: 'another case', mapping: groups, claims: { groups: 'A' }, result: 'no_mapping' },
  { name: 'an empty list', mapping: groups, claims: { groups: [] }, result: 'no_mapping' },
  { name: 'no claim', mapping: groups, claims: {}, result: 'no_mapping' },
  { name: 'null', mapping: groups, claims: { groups: null }, result: 'claim_unfit' },
  { name: 'an object', mapping: groups, claims: { groups: { a: 'a' } }, result: 'claim_unfit' },
  { name: 'a list with an object', mapping: groups, claims: { groups: ['a', {}] }, result: 'claim_unfit' },
  { name: 'a list in a list', mapping: groups, claims: { groups: [['a']] }, result: 'claim_unfit' },
  { name: 'a fraction', mapping: groups, claims: { groups: 1.5 }, result: 'claim_unfit' },
  { name: 'the number', mapping: { claim: 'n', values: [1] }, claims: { n: 1 }, result: 'mapped' },
  { name: 'the number as text', mapping: { claim: 'n', values: [1] }, claims: { n: '1' }, result: 'no_mapping' },
  { name: 'the text as number', mapping: { claim: 'n', values: ['1'] }, claims: { n: 1 }, result: 'no_mapping' },
  { name: 'true', mapping: { claim: 'n', values: [true] }, claims: { n: true }, result: 'mapped' },
  { name: 'the text true', mapping: { claim: 'n', values: [true] }, claims: { n: 'true' }, result: 'no_mapping' },
  { name: 'any value', mapping: { claim: 'n' }, claims: { n: 'x' }, result: 'mapped' },
  { name: 'any value of none', mapping: { claim: 'n' }, claims: { n: [] }, result: 'no_mapping' },
  { name: 'no condition', mapping: {}, claims: {}, result: 'mapped' },
  {
    name: 'a nested claim',
    mapping: { claim: 'realm_access.roles', values: ['x'] },
    claims: { realm_access: { roles: ['x'] } },
    result: 'mapped',
  },
  {
    name: 'a name with dots is not a nested claim',
    mapping: { claim: 'realm_access.roles', values: ['x'] },
    claims: { 'realm_access.roles': ['x'] },
    result: 'no_mapping',
  },
  {
    name: 'a namespaced name',
    mapping: { claim: '"https://example.com/roles"', values: ['x'] },
    claims: { 'https://example.com/roles': ['x'] },
    result: 'mapped',
  },
  {
    name: 'a path through a list',
    mapping: { claim: 'a.b', values: ['x'] },
    claims: { a: [{ b: 'x' }] },
    result: 'no_mapping',
  },
  { name: 'a path to what every object has', mapping: { claim: 'constructor.name' }, claims: {}, result: 'no_mapping' },
  { name: 'a tenant of a claim', mapping: { tenant_from: 'tid' }, claims: { tid: 'x' }, result: 'mapped' },
  { name: 'no tenant', mapping: { tenant_from: 'tid' }, claims: {}, result: 'claim_missing' },
  { name: 'an empty tenant', mapping: { tenant_from: 'tid' }, claims: { tid: '' }, result: 'claim_unfit' },
  { name: 'an empty list of tenants', mapping: { tenant_from: 'tid' }, claims: { tid: [] }, result: 'claim_unfit' },
  { name: 'any value: a flag that is on', mapping: { claim: 'admin' }, claims: { admin: true }, result: 'mapped' },
  {
    name: 'any value: a flag that is off',
    mapping: { claim: 'admin' },
    claims: { admin: false },
    result: 'no_mapping',
  },
  { name: 'any value: an empty text', mapping: { claim: 'admin' }, claims: { admin: '' }, result: 'no_mapping' },
  { name: 'any value: zero', mapping: { claim: 'admin' }, claims: { admin: 0 }, result: 'no_mapping' },
  {
    name: 'any value: a list of empty texts',
    mapping: { claim: 'admin' },
    claims: { admin: ['', false] },
    result: 'no_mapping',
  },
  { name: 'any value: a list with one', mapping: { claim: 'admin' }, claims: { admin: ['', 'x'] }, result: 'mapped' },
  {
    name: 'a flag that is off, by its value',
    mapping: { claim: 'admin', values: [false] },
    claims: { admin: false },
    result: 'mapped',
  },
  { name: 'a tenant that is null', mapping: { tenant_from: 'tid' }, claims: { tid: null }, result: 'claim_unfit' },
];

for (const { name, mapping, claims, result } of MATCHES) {
  t.test(`a condition: ${name}`, async (t) => {
    const found = createMapper([{ id: 'one', ...R, ...mapping }]).map(claimsOf(claims));
    t.equal(found.kind === 'denial' ? found.code : found.kind, result);
  });
}

const TEAM = [{ collections: ['${team}-*'], access: 'rw' }] as const;
const NAMES: readonly (readonly [name: string, team: unknown, covers: string | undefined, code?: string])[] = [
  ['a text fills the name', 'a', 'a-x'],
  ['text of other scripts', 'équipe', 'équipe-x'],
  ['a value with a star makes no pattern', '*', undefined, 'claim_unfit'],
  ['a value that ends with a star', 'a*', undefined, 'claim_unfit'],
  ['a value with a slash', 'a/b', undefined, 'claim_unfit'],
  ['a value with a backslash', 'a\\b', undefined, 'claim_unfit'],
  ['a value of two dots', '..', undefined, 'claim_unfit'],
  ['a value with two dots', 'a..b', undefined, 'claim_unfit'],
  ['an empty value', '', undefined, 'claim_unfit'],
  ['a blank', ' ', undefined, 'claim_unfit'],
  ['a value with a line end', 'a\nb', undefined, 'claim_unfit'],
  ['a value with a zero', 'a\0', undefined, 'claim_unfit'],
  ['a value with a mark of direction', 'a\u202eb', undefined, 'claim_unfit'],
  ['half a character', 'a\ud800', undefined, 'claim_unfit'],
  ['a value with a place in it', '${team}', undefined, 'claim_unfit'],
  ['a value of 128 characters', 'x'.repeat(128), `${'x'.repeat(128)}-`],
  ['a value of 129 characters', 'x'.repeat(129), undefined, 'claim_unfit'],
  ['a value that holds the text behind its place', 'a-b', undefined, 'claim_unfit'],
  ['a number', 1, undefined, 'claim_unfit'],
  ['true', true, undefined, 'claim_unfit'],
  ['null', null, undefined, 'claim_unfit'],
  ['a list', ['a'], undefined, 'claim_unfit'],
  ['no claim', undefined, undefined, 'claim_missing'],
];

for (const [name, team, covers, code] of NAMES) {
  t.test(`a claim in a name: ${name}`, async (t) => {
    const found = createMapper([{ id: 'one', access: TEAM }]).map(claimsOf(team === undefined ? {} : { team }));
    if (covers === undefined) {
      t.equal(found.kind === 'denial' && found.code, code);
      return;
    }
    t.ok(found.kind === 'mapped' && lists(found.access, covers));
    t.notOk(found.kind === 'mapped' && lists(found.access, `b${covers}`));
  });
}

t.test('a list in a name makes a name of each text, and an empty list makes none', async (t) => {
  const mapper = createMapper([{ id: 'one', access: [{ collections: ['${teams[]}_docs'], access: 'r' }] }]);
  const access = (teams: unknown) => {
    const found = mapper.map(claimsOf({ teams }));
    return found.kind === 'mapped' ? found.access : found.code;
  };
  t.strictSame(access(['a', 'b']), accessOf([{ collections: ['a_docs', 'b_docs'], access: 'r' }]));
  t.strictSame(access([]), accessOf([]), 'nothing, and not everything');
  t.equal(access(['a', '*']), 'claim_unfit', 'one unfit text refuses all');
  t.equal(access(['a', 1]), 'claim_unfit');
  t.equal(access('a'), 'claim_unfit');
  t.equal(access(Array.from({ length: 257 }, (_, at) => `t${at}`)), 'claim_unfit', 'more than 256');
});

t.test('`$${` stands for the characters', async (t) => {
  const found = createMapper([{ id: 'one', access: [{ collection: '$${team}', access: 'r' }] }]).map(claimsOf({}));
  t.ok(found.kind === 'mapped' && lists(found.access, '${team}'));
});

function both(left: MappingSettings['access'], right: MappingSettings['access']): Mapped {
  const found = createMapper([
    { id: 'left', access: left },
    { id: 'right', access: right },
  ]).map(claimsOf({}));
  if (found.kind === 'denial') throw new Error(found.code);
  return found;
}

t.test('several mappings add up', async (t) => {
  const one = [{ collection: 'a', access: 'r' }] as const;
  const other = [{ collections: ['b-*'], access: 'rw' }] as const;
  t.strictSame(both(one, other).access, accessOf([...one, ...other]));
  t.strictSame(both(one, other).mappings, ['left', 'right']);
  t.strictSame(both(one, 'm').access, accessOf('m'), 'global manage is all there is');
  t.strictSame(both('r', 'm').access, accessOf('m'));
  t.strictSame(both('r', 'r').access, accessOf('r'));
  t.notOk(seesAll(both('r', one).access), 'reading everything beside entries is written as entries');
  t.ok(lists(both('r', one).access, 'anything'));
});

t.test('`r` beside entries reads exactly what belongs to no collection, as `r` alone does', async (t) => {
  const { access } = both('r', [{ collection: 'a', access: 'r' }]);
  const rows = [...REST_OPERATIONS, ...GRPC_OPERATIONS].filter(({ requires }) => requires.scope === 'global');
  for (const row of rows) {
    t.equal(decide(access, row, NO_TARGET).kind, decide(GLOBAL_READ, row, NO_TARGET).kind, row.name);
  }
});

t.test('mappings that match together name one tenant', async (t) => {
  const map = (left: Partial<MappingSettings>, right: Partial<MappingSettings>) => {
    const mappings = [
      { id: 'left', ...R, ...left },
      { id: 'right', ...R, ...right },
    ];
    const found = createMapper(mappings).map(claimsOf({ tid: 'x', no: 7 }));
    return found.kind === 'mapped' ? found.tenant : found.code;
  };
  t.strictSame(map({ tenant: ['x'] }, { tenant_from: 'tid' }), ['x']);
  t.strictSame(map({ tenant: [7] }, { tenant_from: 'no' }), [7n]);
  t.strictSame(map({ tenant: ['x', 'y'] }, { tenant: ['y', 'x'] }), ['x', 'y']);
  t.equal(map({ tenant: ['7'] }, { tenant_from: 'no' }), 'mappings_conflict');
  t.equal(map({ tenant: ['x'] }, { tenant: ['y'] }), 'mappings_conflict');
  t.equal(map({ tenant: ['x'] }, {}), 'mappings_conflict', 'one without a tenant could read what belongs to others');
  t.equal(map({}, {}), undefined);
});
