import t from 'tap';
import { integerOf } from '../../src/json/integer.ts';

const CASES: readonly (readonly [text: string, value: bigint | undefined])[] = [
  ['0', 0n],
  ['7', 7n],
  ['-7', -7n],
  ['9007199254740993', 9_007_199_254_740_993n],
  ['18446744073709551615', 2n ** 64n - 1n],
  ['18446744073709551616', undefined],
  ['-9223372036854775808', -(2n ** 63n)],
  ['-9223372036854775809', undefined],
  ['99999999999999999999', undefined],
  ['-18446744073709551615', undefined],
  ['1'.repeat(1_000_000), undefined],
  ['-0', undefined],
  ['07', undefined],
  ['+7', undefined],
  ['7.0', undefined],
  ['7e1', undefined],
  ['0x7', undefined],
  ['', undefined],
  ['-', undefined],
  [' 7', undefined],
];

for (const [text, value] of CASES) {
  t.test(`\`${text.slice(0, 30)}\` of ${text.length} characters is ${value ?? 'no integer of 64 bits'}`, async (t) => {
    t.equal(integerOf(text), value);
  });
}
