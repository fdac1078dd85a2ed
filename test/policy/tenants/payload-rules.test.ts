import t from 'tap';
import { parsePath } from '../../../src/policy/tenants/payload-path.ts';
import {
  onlyValue,
  type PayloadReader,
  type Standing,
  settingStanding,
  standing,
  valuesByType,
} from '../../../src/policy/tenants/payload-rules.ts';
import type { TenantValue } from '../../../src/policy/tenants/tenancy.ts';

/** How the field of a tenant stands in a payload, and what setting a payload does to it. */

/** Payloads as plain values: integers are bigint, and a number is a float. */
const READER: PayloadReader<unknown> = {
  member: (value, key) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'no-object';
    return Object.hasOwn(value, key) ? (value as Record<string, unknown>)[key] : undefined;
  },
  isNull: (value) => value === null,
  scalar: (value) => (['string', 'bigint', 'boolean'].includes(typeof value) ? (value as TenantValue) : undefined),
};
const FLAT = { field: ['t'], values: ['a', 1n, true] };
const DEEP = { field: ['x', 't'], values: ['a'] };

const WHOLE: readonly (readonly [sentence: string, payload: unknown, condition: typeof FLAT, standing: Standing])[] = [
  ['the right text', { t: 'a', b: 'x' }, FLAT, 'holds'],
  ['the right integer', { t: 1n }, FLAT, 'holds'],
  ['the right boolean', { t: true }, FLAT, 'holds'],
  ['a wrong text', { t: 'b' }, FLAT, 'other'],
  ['the integer as text', { t: '1' }, FLAT, 'other'],
  ['the integer as float', { t: 1 }, FLAT, 'other'],
  ['the boolean as text', { t: 'true' }, FLAT, 'other'],
  ['null', { t: null }, FLAT, 'other'],
  ['a list that holds it', { t: ['a'] }, FLAT, 'other'],
  ['an object', { t: { a: 'a' } }, FLAT, 'other'],
  ['nothing', {}, FLAT, 'absent'],
  ['a name in other letters', { T: 'a' }, FLAT, 'absent'],
  ['the field of a nested object', { x: { t: 'a' } }, DEEP, 'holds'],
  ['a dotted name, which is another field', { 'x.t': 'a' }, DEEP, 'absent'],
  ['the object without it', { x: {} }, DEEP, 'absent'],
  ['no object where one must be', { x: 5n }, DEEP, 'other'],
  ['a list of objects', { x: [{ t: 'a' }] }, DEEP, 'other'],
  ['null where an object must be', { x: null }, DEEP, 'absent'],
  ['a null field in an object', { x: { t: null } }, DEEP, 'other'],
];
for (const [sentence, payload, condition, expected] of WHOLE) {
  t.test(`a payload with ${sentence}: ${expected}`, async (t) =>
    t.equal(standing(READER, payload, condition), expected),
  );
}

type Setting = Standing | 'untouched';
const SET: readonly (readonly [at: string, payload: unknown, condition: typeof FLAT, standing: Setting])[] = [
  ['', { b: 'x' }, FLAT, 'untouched'],
  ['', { t: 'a' }, FLAT, 'holds'],
  ['', { t: 'b' }, FLAT, 'other'],
  ['', { t: null }, FLAT, 'other'],
  ['', { x: { y: 'z' } }, DEEP, 'absent'],
  ['', { x: { t: 'a' } }, DEEP, 'holds'],
  ['', { x: { t: 'b' } }, DEEP, 'other'],
  ['', { x: null }, DEEP, 'absent'],
  ['x', { t: null }, DEEP, 'other'],
  ['', { x: 'z' }, DEEP, 'other'],
  ['', { 'x.t': 'b' }, DEEP, 'untouched'],
  ['x', { y: 'z' }, DEEP, 'untouched'],
  ['x', { t: 'a' }, DEEP, 'holds'],
  ['x', { t: 'b' }, DEEP, 'other'],
  ['"x"', { t: 'b' }, DEEP, 'other'],
  ['x.t', {}, DEEP, 'other'],
  ['x.t.z', {}, DEEP, 'other'],
  ['x[]', {}, DEEP, 'other'],
  ['x[0]', { z: 1n }, DEEP, 'other'],
  ['y', { t: 'b' }, DEEP, 'untouched'],
  ['y[]', { t: 'b' }, DEEP, 'untouched'],
  ['t', {}, FLAT, 'other'],
  ['t.z', {}, FLAT, 'other'],
  ['tt', { t: 'b' }, FLAT, 'untouched'],
];
for (const [at, payload, condition, expected] of SET) {
  t.test(
    `setting ${JSON.stringify(payload, bigints)} at \`${at}\`, of ${condition.field.join('.')}: ${expected}`,
    async (t) => {
      const path = at === '' ? [] : parsePath(at);
      if (!path) throw new Error('no path');
      t.equal(settingStanding(READER, payload, path, condition), expected);
    },
  );
}

t.test('values are matched by their type, each once', async (t) => {
  t.strictSame(valuesByType({ values: ['a', 1n, 'a', true, 'b', false, 1n] }), {
    ...{ texts: ['a', 'b'], integers: [1n], booleans: [true, false] },
  });
  t.equal(onlyValue({ values: ['a', 'a'] }), 'a');
  t.equal(onlyValue({ values: [false] }), false);
  t.equal(onlyValue({ values: ['1', 1n] }), undefined);
});

function bigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? Number(value) : value;
}
