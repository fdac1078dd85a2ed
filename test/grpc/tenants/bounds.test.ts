import t from 'tap';
import { MAX_NESTING } from '../../../src/grpc/message/wire.ts';
import { MadeBytes, type TenantContext } from '../../../src/grpc/tenants/context.ts';
import { FIELDS } from '../../../src/grpc/tenants/messages/codec.ts';
import { FormCheck } from '../../../src/grpc/tenants/messages/form.ts';
import { rewriteMessage, rewriteNow, rewriteSoon } from '../../../src/grpc/tenants/rewrite.ts';
import { bytesField, writeVarint } from '../../../src/grpc/tenants/splice/edits.ts';
import { MAX_CHECKED_IDS, MAX_PREFETCHES } from '../../../src/policy/tenants/rewriting.ts';
import type { TenantCondition } from '../../../src/policy/tenants/tenancy.ts';
import { made as madeOverRest } from '../../rest/tenants/made.ts';
import { timesDearer } from '../../support/reference.ts';
import { condition } from './message-case.ts';

/*
 * The bounds of what one call of a tenant may ask for, on every way by which a message is made anew: into the bytes, by decoding, point
 * by point and operation by operation. They are those of REST.
 */

const LARGE = 1 << 27;

function contextOf(conditions: readonly TenantCondition[], mostBytes = LARGE): TenantContext {
  const scope = (name: string, holds: TenantCondition | 'free') => ({ names: new Set([name]), prefixes: [], holds });
  return {
    tenancy: {
      scopes: [
        ...conditions.flatMap((holds) => ['docs', 'other', 'more'].map((name) => scope(name, holds))),
        scope('open', 'free'),
      ],
    },
    ...{ collection: 'docs', conditions, features: { updateFilter: true, idfCorpus: true }, idfVectors: new Set() },
    mostBytes,
  };
}

const number = (field: number, value: number): Buffer => {
  const bytes = Buffer.alloc(12);
  return Buffer.from(bytes.subarray(0, writeVarint(bytes, writeVarint(bytes, 0, field * 8), value)));
};
const text = (field: number, value: string): Buffer => bytesField(field, Buffer.from(value));
const many = (count: number, one: Buffer | ((at: number) => Buffer)): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, at) => (typeof one === 'function' ? one(at) : one)));
const message = (...parts: readonly Buffer[]): Buffer => Buffer.concat([text(1, 'docs'), ...parts]);
const id = (value: number): Buffer => bytesField(1, number(1, value));
const nested = (depth: number, wrap: (inside: Buffer) => Buffer, inside: Buffer = Buffer.alloc(0)): Buffer =>
  depth === 0 ? inside : wrap(nested(depth - 1, wrap, inside));

const PLAIN = contextOf([condition()]);
/** Hidden fields are looked for in decoded messages. */
const DECODED = contextOf([condition({ hiddenFields: [['cost']] })]);
const FREE = contextOf([]);
const NOTHING: Buffer = Buffer.alloc(0);
const WAYS = [
  ['into the bytes', PLAIN],
  ['by decoding', DECODED],
] as const;

function outcome(method: string, bytes: Buffer, context: TenantContext): string {
  const found = rewriteMessage(`qdrant.Points/${method}`, bytes, context);
  if (found === 'needs-facts') return found;
  return 'kind' in found ? `${found.code}: ${found.message}` : 'made';
}

const TOO_MANY = `tenant_form: \`ids\` are more than ${MAX_CHECKED_IDS}`;

t.test('at most as many ids are retrieved as over REST', async (t) => {
  const get = (count: number, one = id) => message(many(count, (at) => bytesField(2, one(at).subarray(2))));
  t.equal(outcome('Get', get(MAX_CHECKED_IDS), PLAIN), 'made');
  t.equal(outcome('Get', get(MAX_CHECKED_IDS + 1), PLAIN), TOO_MANY);
  t.equal(outcome('Get', get(900_000), PLAIN), TOO_MANY);
  const same = () => id(7);
  t.equal(outcome('Get', get(MAX_CHECKED_IDS + 1, same), PLAIN), TOO_MANY, 'the same one again and again');
  t.equal(outcome('Get', get(MAX_CHECKED_IDS + 1), FREE), 'made', 'in a free collection');
  const rest = (count: number) =>
    madeOverRest('points.get', JSON.stringify({ ids: Array.from({ length: count }, () => 7) }));
  t.type(rest(MAX_CHECKED_IDS), 'object');
  t.match(rest(MAX_CHECKED_IDS + 1), /^400 tenant_form: /);
});

t.test('at most as many ids have to exist in all collections together', async (t) => {
  const prefetch = (collection: string, from: number, count: number) => {
    const positive = many(count, (at) => bytesField(1, id(from + at)));
    return bytesField(2, bytesField(2, bytesField(2, positive)), bytesField(8, text(1, collection)));
  };
  const half = MAX_CHECKED_IDS / 2;
  const three = (last: number) =>
    message(prefetch('other', 0, half), prefetch('more', 0, half - 1), prefetch('other', half, last));
  t.equal(outcome('Query', three(1), PLAIN), 'made');
  t.equal(outcome('Query', three(2), PLAIN), TOO_MANY);
  const twice = message(prefetch('other', 0, MAX_CHECKED_IDS), prefetch('other', 0, MAX_CHECKED_IDS));
  t.equal(outcome('Query', twice, PLAIN), 'made', 'each once');
});

/** So many prefetches within each other, as a field of a query. */
const prefetches = (depth: number) =>
  bytesField(
    2,
    nested(depth - 1, (inside) => bytesField(1, inside)),
  );

t.test('prefetches nest as deep as over REST', async (t) => {
  for (const [way, context] of WAYS) {
    for (const [method, bytes] of [
      ['Query', (depth: number) => message(prefetches(depth))],
      ['QueryGroups', (depth: number) => message(prefetches(depth))],
      ['QueryBatch', (depth: number) => message(bytesField(2, text(1, 'docs'), prefetches(depth)))],
    ] as const) {
      t.equal(outcome(method, bytes(MAX_PREFETCHES), context), 'made', `${method} ${way}`);
      for (const depth of [MAX_PREFETCHES + 1, 50, 64, 95, 97, 98, 99]) {
        const refused = outcome(method, bytes(depth), context);
        t.equal(
          refused,
          `tenant_form: \`prefetch\` nests more than ${MAX_PREFETCHES} deep`,
          `${method} ${way}: ${depth}`,
        );
      }
    }
    const wide = message(many(100, prefetches(MAX_PREFETCHES)));
    t.equal(outcome('Query', wide, context), 'made', `many beside each other, ${way}`);
  }
  const rest = (depth: number) => madeOverRest('points.query', `${'{"prefetch":'.repeat(depth)}{}${'}'.repeat(depth)}`);
  t.type(rest(MAX_PREFETCHES), 'object');
  t.match(rest(MAX_PREFETCHES + 1), /^400 tenant_form: .*prefetches are nested too deep/);
});

const LIST = (inside: Buffer) => bytesField(7, bytesField(1, inside));
const OPEN_LIST = bytesField(7);

/** Messages within each other. @param leaf one more level, or nothing */
const NESTED: readonly (readonly [
  name: string,
  method: string,
  bytes: (wraps: number, leaf: 'leaf' | 'none') => Buffer,
])[] = [
  ['prefetches', 'Query', (wraps) => message(prefetches(wraps))],
  [
    'filters',
    'Scroll',
    (wraps, leaf) => {
      const inside = leaf === 'leaf' ? bytesField(2) : NOTHING;
      return message(
        bytesField(
          2,
          nested(wraps, (filter) => bytesField(2, bytesField(4, filter)), inside),
        ),
      );
    },
  ],
  [
    'lists in a payload that is set',
    'SetPayload',
    (wraps, leaf) => {
      const value = nested(wraps, LIST, leaf === 'leaf' ? OPEN_LIST : NOTHING);
      return message(bytesField(3, text(1, 'k'), bytesField(2, value)), bytesField(5, bytesField(1, id(1))));
    },
  ],
  [
    'lists in the payload of a point',
    'Upsert',
    (wraps, leaf) => {
      const value = nested(wraps, LIST, leaf === 'leaf' ? OPEN_LIST : NOTHING);
      return message(bytesField(3, id(1), bytesField(3, text(1, 'k'), bytesField(2, value))));
    },
  ],
  [
    'terms of a formula',
    'Query',
    (wraps) => {
      const variable = text(2, 'price');
      return message(
        bytesField(
          3,
          bytesField(
            8,
            bytesField(
              1,
              nested(wraps, (term) => bytesField(10, term), variable),
            ),
          ),
        ),
      );
    },
  ],
];
const TYPES: Readonly<Record<string, string>> = {
  ...{ Query: 'QueryPoints', Scroll: 'ScrollPoints', SetPayload: 'SetPayloadPoints', Upsert: 'UpsertPoints' },
};

t.test('a message that nests as deep as it may, or deeper, is made or refused, and no fault of ours', async (t) => {
  const forms = new FormCheck(FIELDS);
  for (const [way, context] of WAYS) {
    for (const [name, method, bytes] of NESTED) {
      const seen = new Set<string>();
      for (let wraps = 1; wraps <= MAX_NESTING + 4; wraps += 1) {
        for (const leaf of ['none', 'leaf'] as const) {
          const found = rewriteMessage(`qdrant.Points/${method}`, bytes(wraps, leaf), context);
          if (found === 'needs-facts') throw new TypeError('the facts are known');
          seen.add('kind' in found ? found.code : 'made');
          if ('kind' in found) continue;
          const fault = forms.faultOf(TYPES[method] ?? '', found.request.message);
          if (fault) t.fail(`${name}, ${wraps} times, ${way}: upstream cannot read what is made`);
        }
      }
      t.strictSame([...seen], ['made', 'tenant_form'], `${name}, ${way}: shallow ones are made, too deep ones refused`);
    }
  }
});

const VALUES = condition({ values: Array.from({ length: 700 }, (_, at) => `a-value-of-the-claim-${at}`) });
const LONG = condition({ values: ['v'.repeat(14_000)] });
const HIDING = { hiddenFields: [['cost']], readOnlyFields: [['plan']] } as const;
const POINT = (at: number) => bytesField(3, id(at));
const BATCHED = (at: number) => bytesField(3, bytesField(1, bytesField(1, id(at))));

/** A message of many parts, and a condition, a copy of which each part gets. */
type Growing = readonly [name: string, method: string, bytes: Buffer, holds: TenantCondition];
const GROWING: readonly [Growing, ...Growing[]] = [
  ['prefetches', 'Query', message(many(2000, bytesField(2))), VALUES],
  ['prefetches of a decoded query', 'Query', message(many(2000, bytesField(2))), { ...VALUES, ...HIDING }],
  ['queries', 'QueryBatch', message(many(2000, bytesField(2, text(1, 'docs')))), VALUES],
  ['searches', 'SearchBatch', message(many(2000, bytesField(2, text(1, 'docs')))), VALUES],
  ['recommendations', 'RecommendBatch', message(many(2000, bytesField(2, text(1, 'docs')))), VALUES],
  ['discoveries', 'DiscoverBatch', message(many(2000, bytesField(2, text(1, 'docs')))), VALUES],
  ['points', 'Upsert', message(many(2000, POINT)), LONG],
  ['points one by one', 'Upsert', message(many(2000, POINT)), { ...LONG, ...HIDING }],
  [
    'decoded points',
    'Upsert',
    message(many(500, (at) => bytesField(3, id(at), bytesField(3, text(1, 'a'))))),
    { ...LONG, field: ['a', 'b'] },
  ],
  ['upserts', 'UpdateBatch', message(many(2000, BATCHED)), LONG],
  [
    'deletions',
    'UpdateBatch',
    message(many(2000, bytesField(3, bytesField(9, bytesField(1, bytesField(1, bytesField(1, number(1, 1)))))))),
    VALUES,
  ],
];

const tooLong = (mostBytes: number) =>
  `body_too_large: the request is made longer than ${mostBytes} bytes for its tenant`;

for (const [name, method, bytes, holds] of GROWING) {
  t.test(`${name}: what is made is bounded to the byte, before it is made`, async (t) => {
    const full = `qdrant.Points/${method}`;
    const made = rewriteMessage(full, bytes, contextOf([holds]));
    if (typeof made === 'string' || 'kind' in made) throw new TypeError(JSON.stringify(made));
    const { length } = made.request.message;
    t.ok(length > 100 * bytes.length, `${bytes.length} bytes become ${length}`);
    t.equal(outcome(method, bytes, contextOf([holds], length)), 'made');
    t.equal(outcome(method, bytes, contextOf([holds], length - 1)), tooLong(length - 1));
    const small = contextOf([holds], 2 * bytes.length);
    const refused = rewriteMessage(full, bytes, small);
    t.match(refused, { code: 'body_too_large', status: 413, grpc: 8 });
    const short = contextOf([{ ...holds, values: ['v'] }]);
    const times = timesDearer(
      () => rewriteMessage(full, bytes, small),
      () => rewriteMessage(full, bytes, short),
    );
    t.ok(times < 3, `refusing takes no more than making it with a short condition: ${times.toFixed(1)} times`);
  });
}

t.test('the event loop makes no message that is long', async (t) => {
  for (const [name, method, bytes, holds] of GROWING) {
    const full = `qdrant.Points/${method}`;
    const context = contextOf([holds]);
    t.equal(rewriteNow(full, bytes, context), undefined, `${name}: it is left to the thread`);
    t.equal(rewriteSoon(full, bytes, context), undefined, `${name}: it is left to the thread, if it is not small`);
    const short = contextOf([{ ...holds, values: ['v'] }]);
    const made = rewriteNow(full, bytes, short);
    if (made) t.strictSame(made, rewriteMessage(full, bytes, short), `${name}: a short one is made`);
  }
  const [, method, bytes, holds] = GROWING[0];
  const refused = rewriteNow(`qdrant.Points/${method}`, bytes, contextOf([holds], 100_000));
  t.match(refused, { code: 'body_too_large' }, 'a bound below that of the event loop refuses at once');
  t.ok(rewriteNow(`qdrant.Points/${method}`, bytes, PLAIN), 'a short one is made');
});

t.test('the event loop decodes no message of thousands of parts', async (t) => {
  const many8000 = message(many(8000, bytesField(2)));
  const few = message(many(500, bytesField(2)));
  const query = 'qdrant.Points/Query';
  t.equal(rewriteNow(query, many8000, DECODED), undefined, 'it is left to the thread');
  t.strictSame(
    rewriteNow(query, many8000, PLAIN),
    rewriteMessage(query, many8000, PLAIN),
    'put into the bytes it is made',
  );
  t.strictSame(rewriteNow(query, few, DECODED), rewriteMessage(query, few, DECODED), 'a few are decoded');
});

t.test('REST says the same', async (t) => {
  const body = JSON.stringify({ prefetch: Array.from({ length: 2000 }, () => ({})) });
  const refused = madeOverRest('points.query', body, { maxBytes: 50_000 });
  t.equal(refused, `413 ${tooLong(50_000)}`);
  t.type(madeOverRest('points.query', body, { maxBytes: 1_000_000 }), 'object');
});

t.test('bytes are counted up to the bound, and not beyond', async (t) => {
  const counted = new MadeBytes({ mostBytes: 10 }, 4);
  counted.grow(6);
  counted.grow(0);
  t.throws(() => counted.grow(1), { code: 'ERR_TENANT_MESSAGE_LENGTH' });
});
