import * as fc from 'fast-check';
import t from 'tap';
import { runs } from '../../support/generators/runs.ts';
import { condition, made, tenancyOf } from './made.ts';

/*
 * A plain point is written while it is read. In a batch every point is read into a tree first, since its id is noted: what is sent of
 * a point must be the same in both.
 */

const number = fc.constantFrom(
  '0',
  '7',
  '7',
  '42',
  '-1',
  '1.50',
  '18446744073709551615',
  '18446744073709551616',
  '007',
);
const long = Array.from({ length: 40 }, (_, at) => `0.${at}123`).join(',');
const vector = fc.constantFrom(
  '[1,2]',
  `[${long}]`,
  `[${long},"]"]`,
  `[${long},{}]`,
  `[${long},[1]]`,
  '{"v":[1]}',
  'null',
  '{"text":"x]","model":"m"}',
);
const key = fc.constantFrom('"tenant"', '"t\\u0065nant"', '"a"', '"b"', '"ü"', '"a\\"b"', '"colour"', '"meta"');
const value = fc.oneof(
  number,
  fc.constantFrom('"acme"', '"\\u0061cme"', '"other"', 'null', 'true', '{"tenant":"acme"}', '[[],{}]'),
);
const payload = fc.oneof(
  fc.constantFrom('null', '[]', `{${Array.from({ length: 20 }, (_, at) => `"k${at}":${at}`).join(',')}}`),
  fc
    .array(fc.tuple(key, value), { maxLength: 4 })
    .map((members) => `{${members.map((each) => each.join(': ')).join(',')}}`),
);
const id = fc.oneof(number, fc.constantFrom('"C5B2D0C4111142228333444455556666"', '"x"', 'null'));
const member = fc.oneof(
  id.map((text) => `"id":${text}`),
  vector.map((text) => `"vector":${text}`),
  vector.map((text) => `"vectors":${text}`),
  payload.map((text) => `"payload":${text}`),
  fc.constant('"more":1'),
);
const plainId = fc.constantFrom('0', '7', '18446744073709551615', '"c5b2d0c4-1111-4222-8333-444455556666"');
const plainKey = fc.constantFrom('a', 'b', 'ü', 'colour', 'price');
const plain = fc
  .record({
    id: plainId,
    vector,
    members: fc.uniqueArray(fc.tuple(plainKey, value), { selector: ([name]) => name, maxLength: 4 }),
  })
  .map((each) => {
    const members = each.members.map(([name, text]) => `"${name}" : ${text}`);
    return `{"id":${each.id}, "vector":${each.vector},"payload":{${members.join(' ,')}}}`;
  });
const odd = fc.oneof(
  fc
    .record({ id, vector, payload })
    .map((each) => `{"id":${each.id},"vector":${each.vector} ,"payload": ${each.payload}}`),
  fc.array(member, { maxLength: 4 }).map((members) => `{${members.join(',')}}`),
  fc.constantFrom('null', '7', '[]'),
);
const point = fc.oneof({ weight: 3, arbitrary: plain }, { weight: 1, arbitrary: odd });
const tenancies = [
  tenancyOf(condition()),
  tenancyOf(condition({ values: [7n, 'acme'] })),
  tenancyOf(condition({ field: ['meta', 'tenant'] })),
  tenancyOf(condition(), condition({ id: 'more', field: ['colour'], values: [true] })),
  tenancyOf(condition({ readOnlyFields: [['a']] })),
];

t.test('points of an upsert are sent as those of a batch are', async (t) => {
  let sent = 0;
  const property = fc.property(
    fc.array(point, { minLength: 1, maxLength: 3 }),
    fc.constantFrom(...tenancies),
    fc.constantFrom(64, 6, 5),
    (points, tenancy, maxDepth) => {
      const upsert = `{"points":[${points.join(', ')}]}`;
      const alone = made('points.upsert', upsert, { tenancy, maxDepth });
      // A batch has three levels around it.
      const batch = made('points.batch', `{"operations":[{"upsert":${upsert}}]}`, { tenancy, maxDepth: maxDepth + 3 });
      if (typeof alone === 'string' || typeof batch === 'string') {
        const [own, other] = [alone, batch].map((result) => (typeof result === 'string' ? codeOf(result) : 'sent'));
        if (own !== other) throw new Error(`${upsert}: ${own}, and in a batch ${other}`);
        return;
      }
      sent += 1;
      if (batch.body !== `{"operations":[{"upsert":${alone.body}}]}`)
        throw new Error(`${alone.body} is not ${batch.body}`);
    },
  );
  fc.assert(property, { numRuns: runs(4000) });
  t.ok(sent > runs(4000) / 20, `${sent} were sent`);
});

/** Status and code of a refusal. */
function codeOf(result: string): string {
  return result.split(':', 1)[0] ?? '';
}

t.test('a point that is not plain leaves nothing behind', async (t) => {
  const body = `{"points":[{"id":1,"vector":[1],"payload":{"a":1,"tenant":"other"}}]}`;
  t.match(made('points.upsert', body), /^403 tenant_field/);
  const again = `{"points":[{"id":1,"payload":{"a":{"b":1}}},{"payload":null,"id":2},{"id":3}]}`;
  const result = made('points.upsert', again);
  t.match(
    typeof result === 'string' ? result : result.body,
    '{"points":[{"id":1,"payload":{"a":{"b":1},"tenant":"acme"}},{"payload":{"tenant":"acme"},"id":2},{"id":3,"payload":{"tenant":"acme"}}]',
  );
});
