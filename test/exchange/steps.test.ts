import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { type Exchange, type ExchangeParts, type Protocol, unbegun } from '../../src/exchange/exchange.ts';
import { begin, bodyChecked, finish } from '../../src/exchange/steps.ts';
import type { TenantFinding } from '../../src/exchange/tenants.ts';
import { createKeyRing, digestOf, OPEN_PRINCIPAL } from '../../src/identity/key-ring.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { CredentialGuessing } from '../../src/limits/credential-guessing.ts';
import { RefusalPacing } from '../../src/limits/refusal-pacing.ts';
import { type Access, GLOBAL_MANAGE } from '../../src/policy/access.ts';
import type { References } from '../../src/policy/decide.ts';
import {
  AUDIT_UNAVAILABLE,
  badRequest,
  type Denial,
  INTERNAL_FAULT,
  INVALID_CREDENTIAL,
  MISSING_CREDENTIAL,
  tenantField,
} from '../../src/policy/denial.ts';
import { NO_TARGET, type Operation, type Target } from '../../src/policy/operation.ts';
import { PLAIN_POLICY, type PolicyMode } from '../../src/policy/rules.ts';
import { policyOf, type RuleSettings } from '../../src/policy/settings.ts';
import type { Rewriting } from '../../src/policy/tenants/rewriting.ts';
import type { Tenancy } from '../../src/policy/tenants/tenancy.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';

/** The way of a request with a protocol that has no socket: what is done with it, step by step. */

interface Toy extends Exchange {
  readonly operation: Operation;
  readonly target: Target;
  readonly body: References | Denial;
  readonly refused: Denial | undefined;
  readonly steps: string[];
}

const READ: Operation = {
  name: 'toy.read',
  audit: null,
  requires: { scope: 'collection', level: 'read', extras: false },
};
const WRITE: Operation = {
  name: 'toy.write',
  audit: null,
  requires: { scope: 'collection', level: 'write', extras: false },
};
const QUERY: Operation = { ...READ, name: 'toy.query', inspect: 'query' };
const QUERY_ROW: Operation = { ...QUERY, name: 'points.query' };
const LIST: Operation = {
  name: 'toy.list',
  audit: null,
  requires: { scope: 'list', level: 'read', extras: false },
  filter: 'collections-list',
};
const OPEN: Operation = { name: 'toy.open', audit: null, requires: { scope: 'public', level: 'read', extras: false } };
const MANAGE: Operation = {
  name: 'toy.manage',
  audit: null,
  requires: { scope: 'global', level: 'manage', extras: false },
};
const UNLISTED: Operation = { ...MANAGE, name: 'unlisted', unlisted: true };
const WITHHELD: Operation = { ...UNLISTED, withheld: true };
const BOOKS: Target = { kind: 'collection', name: 'books' };
const SECRET: Target = { kind: 'collection', name: 'secret' };
const NOTHING: References = { others: [] };

const protocol: Protocol<Toy> = {
  resolve: ({ operation, target, refused }) => ({ operation, target, ...(refused && { refusal: refused }) }),
  checkBody(exchange, decision, needs) {
    exchange.steps.push(needs.names ? 'inspect' : `check ${Object.keys(needs)}`);
    bodyChecked(parts, protocol, exchange, decision, exchange.body);
  },
  isCrossSite: () => false,
  abandonBody: (exchange) => exchange.steps.push('abandon body'),
  forward: (exchange, permit) => exchange.steps.push(permit.visible ? 'forward filtered' : 'forward'),
  reject: (exchange, denial) => exchange.steps.push(`reject ${denial.status}`),
};

let parts: ExchangeParts;
const faults: unknown[] = [];

/** Keys of a ring under rules; the header says which one comes. */
function principals(rules: readonly RuleSettings[]): (headers: readonly string[]) => Principal | Denial {
  const keys = { apiKey: 'admin', readOnlyApiKey: 'reader', rules: policyOf('enforce', rules).rules };
  const ring = createKeyRing(keys, 1);
  return (headers) => {
    const [key] = headers;
    return key === undefined ? MISSING_CREDENTIAL : (ring.match(digestOf(key)) ?? INVALID_CREDENTIAL);
  };
}

interface Given {
  readonly operation: Operation;
  readonly target?: Target;
  readonly key?: string;
  readonly body?: References | Denial;
  readonly refused?: Denial;
  readonly rules?: readonly RuleSettings[];
  readonly mode?: PolicyMode;
  readonly parts?: Partial<ExchangeParts>;
  readonly guesses?: CredentialGuessing;
}

function run(
  { operation, target, key, body = NOTHING, rules = [], mode = 'enforce', ...given }: Given,
  lane: Protocol<Toy> = protocol,
): Toy {
  parts = {
    authenticate: principals(rules),
    identifying: PLAIN_PARTS.identifying,
    policy: { current: { ...PLAIN_POLICY, mode } },
    admit: () => undefined,
    pace: PLAIN_PARTS.pace,
    limits: PLAIN_PARTS.limits,
    refusals: PLAIN_PARTS.refusals,
    creations: PLAIN_PARTS.creations,
    bodyRules: PLAIN_PARTS.bodyRules,
    now: () => 5,
    record: () => undefined,
    fault: (error) => faults.push(error),
    ...given.parts,
  };
  const exchange: Toy = {
    ...unbegun(),
    hasBody: false,
    protocol: 'rest',
    requestTarget: '/',
    headers: key === undefined ? [] : [key],
    remote: '127.0.0.1',
    resolution: undefined,
    principal: undefined,
    operation,
    target: target ?? NO_TARGET,
    body,
    refused: given.refused,
    ...(given.guesses && { guesses: given.guesses }),
    steps: [],
  };
  begin(parts, lane, exchange);
  return exchange;
}

/** Steps, and what was not carried out: `rule: text`. */
function told({ steps, shadowed }: Toy): string[] {
  return shadowed ? [...steps, `${shadowed.rule}: ${shadowed.denial.message}`] : steps;
}

const books = [{ collection: 'books', access: 'r' as const }];
const narrow: RuleSettings = { id: 'narrow', mode: 'enforce', access: books };
const shadow: RuleSettings = { id: 'shadow', mode: 'shadow', access: books };
const only: RuleSettings = { id: 'only', mode: 'enforce', operations: ['toy.read'] };
const elsewhere: References = { others: ['secret'] };

const NOT_LISTED = 'Forbidden: Access to collection secret is required';
const NO_WRITE = 'Forbidden: Write access to collection books is required';
const NO_CREDENTIAL = 'Must provide an API key or an Authorization bearer token';

const CASES: readonly (readonly [sentence: string, given: Given, steps: readonly string[]])[] = [
  ['an open operation needs no credential', { operation: OPEN }, ['forward']],
  ['without a credential a read is refused', { operation: READ, target: BOOKS }, ['reject 401']],
  ['with the admin key a read is forwarded', { operation: READ, target: BOOKS, key: 'admin' }, ['forward']],
  ['with a wrong key it is refused', { operation: READ, target: BOOKS, key: 'wrong' }, ['reject 401']],
  ['the reader may not write', { operation: WRITE, target: BOOKS, key: 'reader' }, ['reject 403']],

  ['a rule opens what it names', { operation: READ, target: BOOKS, key: 'admin', rules: [narrow] }, ['forward']],
  ['a rule closes the rest', { operation: READ, target: SECRET, key: 'admin', rules: [narrow] }, ['reject 403']],
  [
    'a rule that reads closes writing',
    { operation: WRITE, target: BOOKS, key: 'admin', rules: [narrow] },
    ['reject 403'],
  ],
  ['under a rule lists are filtered', { operation: LIST, key: 'admin', rules: [narrow] }, ['forward filtered']],
  ['without one they are not', { operation: LIST, key: 'admin' }, ['forward']],
  [
    'under a rule bodies are read for names',
    { operation: QUERY, target: BOOKS, key: 'admin', rules: [narrow] },
    ['inspect', 'forward'],
  ],
  [
    'and a name outside it is refused',
    { operation: QUERY, target: BOOKS, key: 'admin', rules: [narrow], body: elsewhere },
    ['inspect', 'reject 403'],
  ],
  ['a rule for operations allows those', { operation: READ, target: BOOKS, key: 'admin', rules: [only] }, ['forward']],
  ['and no other', { operation: WRITE, target: BOOKS, key: 'admin', rules: [only] }, ['reject 403']],

  [
    'a rule in shadow lets pass what it allows',
    { operation: READ, target: BOOKS, key: 'admin', rules: [shadow] },
    ['forward'],
  ],
  [
    'and what it would refuse, and says so',
    { operation: READ, target: SECRET, key: 'admin', rules: [shadow] },
    ['forward', `shadow: ${NOT_LISTED}`],
  ],
  ['it filters nothing', { operation: LIST, key: 'admin', rules: [shadow] }, ['forward']],
  [
    'it has a body read, and lets pass what it would refuse for it',
    { operation: QUERY, target: BOOKS, key: 'admin', rules: [shadow], body: elsewhere },
    ['inspect', 'forward', `shadow: ${NOT_LISTED}`],
  ],
  [
    'a body that cannot be read is refused all the same',
    { operation: QUERY, target: BOOKS, key: 'admin', rules: [shadow], body: badRequest('malformed_body', 'no json') },
    ['inspect', 'reject 400'],
  ],
  [
    'a rule in shadow makes nothing of a refusal',
    { operation: WRITE, target: BOOKS, key: 'reader', rules: [shadow] },
    ['reject 403'],
  ],
  [
    'nor of what an enforced rule refuses',
    { operation: WRITE, target: BOOKS, key: 'admin', rules: [narrow, shadow] },
    ['reject 403'],
  ],
];

t.test('each request takes its way', async (test) => {
  for (const [sentence, given, steps] of CASES) test.strictSame(told(run(given)), steps, sentence);
});

const SHADOWED: readonly (readonly [sentence: string, given: Given, steps: readonly string[]])[] = [
  ['nobody', { operation: READ, target: BOOKS }, ['forward', `policy: ${NO_CREDENTIAL}`]],
  ['a wrong key', { operation: READ, target: BOOKS, key: 'wrong' }, ['forward', 'policy: Invalid API key or JWT']],
  [
    'an access too small',
    { operation: MANAGE, key: 'reader' },
    ['forward', 'policy: Forbidden: Global manage access is required'],
  ],
  ['an unlisted operation', { operation: UNLISTED, key: 'reader' }, ['forward', 'policy: ']],
  ['what is allowed anyway', { operation: READ, target: BOOKS, key: 'reader' }, ['forward']],
  ['a rule', { operation: WRITE, target: BOOKS, key: 'admin', rules: [narrow] }, ['forward', `policy: ${NO_WRITE}`]],
  ['a filter', { operation: LIST, key: 'admin', rules: [narrow] }, ['forward']],
  [
    'a name in a body',
    { operation: QUERY, target: BOOKS, key: 'admin', rules: [narrow], body: elsewhere },
    ['inspect', 'forward', `policy: ${NOT_LISTED}`],
  ],
];
const STAYS: readonly (readonly [sentence: string, given: Given, steps: readonly string[]])[] = [
  ['a row that is never forwarded', { operation: WITHHELD, key: 'admin' }, ['reject 404']],
  [
    'a body that cannot be read',
    { operation: QUERY, target: BOOKS, key: 'admin', rules: [narrow], body: badRequest('malformed_body', 'no json') },
    ['inspect', 'reject 400'],
  ],
  [
    'a path that cannot be carried',
    { operation: READ, target: BOOKS, refused: badRequest('malformed_body', 'dots') },
    ['reject 400'],
  ],
  ['a full audit', { operation: READ, target: BOOKS, parts: { admit: () => AUDIT_UNAVAILABLE } }, ['reject 503']],
];

for (const mode of ['shadow', 'learn'] as const) {
  t.test(`with the whole policy in ${mode} mode what is refused otherwise passes and is noted`, async (test) => {
    for (const [sentence, given, steps] of SHADOWED) test.strictSame(told(run({ ...given, mode })), steps, sentence);
    for (const [sentence, given, steps] of STAYS)
      test.strictSame(told(run({ ...given, mode })), steps, `not ${sentence}`);
  });
}

t.test('to learn, bodies are read for names that no decision needs', async (test) => {
  const IN_BODY: Target = { kind: 'in-message' };
  const named: References = { target: 'books', others: ['secret'] };
  const cases: readonly (readonly [sentence: string, given: Given, steps: readonly string[]])[] = [
    ['a body that may name others', { operation: QUERY, target: BOOKS, key: 'admin' }, ['inspect', 'forward']],
    ['a body that names the target', { operation: WRITE, target: IN_BODY, key: 'admin' }, ['inspect', 'forward']],
    [
      'without a credential, too',
      { operation: WRITE, target: IN_BODY },
      ['inspect', 'forward', `policy: ${NO_CREDENTIAL}`],
    ],
    ['a body that names nothing', { operation: READ, target: BOOKS, key: 'admin' }, ['forward']],
    ['an operation without a target', { operation: LIST, key: 'admin' }, ['forward']],
    [
      'one that cannot be read',
      { operation: QUERY, target: BOOKS, key: 'admin', body: badRequest('malformed_body', 'x') },
      ['inspect', 'reject 400'],
    ],
  ];
  for (const [sentence, given, steps] of cases) {
    const exchange = run({ body: named, ...given, mode: 'learn' });
    test.strictSame(told(exchange), steps, sentence);
    if (steps[0] === 'inspect' && !given.body) test.equal(exchange.references, named, `${sentence}: they are known`);
  }
  test.strictSame(
    told(run({ operation: QUERY, target: BOOKS, key: 'admin', mode: 'shadow' })),
    ['forward'],
    'not otherwise',
  );
});

t.test('what was let pass while its body was waited for is refused once the policy is enforced', async (test) => {
  for (const [key, steps] of [
    [undefined, ['inspect', 'reject 401']],
    ['admin', ['inspect', 'forward']],
  ] as const) {
    const policy = { current: { ...PLAIN_POLICY, mode: 'learn' as PolicyMode } };
    const waiting: (() => void)[] = [];
    const slow: Protocol<Toy> = {
      ...protocol,
      checkBody: (exchange, decision) => {
        exchange.steps.push('inspect');
        waiting.push(() => bodyChecked(parts, slow, exchange, decision, NOTHING));
      },
    };
    const exchange = run({ operation: QUERY, target: BOOKS, ...(key && { key }), parts: { policy } }, slow);
    policy.current = PLAIN_POLICY;
    for (const go of waiting) go();
    test.strictSame(told(exchange), steps, key ?? 'nobody');
  }
});

t.test('a change of the policy meets the next request', async (test) => {
  const current = { ...PLAIN_POLICY, mode: 'shadow' as PolicyMode };
  const policy = { current };
  const given: Given = { operation: READ, target: BOOKS, parts: { policy } };
  test.strictSame(run(given).steps, ['forward']);
  policy.current = { ...current, mode: 'enforce' };
  test.strictSame(run(given).steps, ['reject 401']);
});

t.test('what cannot be recorded is not looked at', async (test) => {
  const authenticate = (): never => test.fail('authenticated') as never;
  const admit = () => AUDIT_UNAVAILABLE;
  const given: Given = { operation: READ, target: BOOKS, key: 'admin', parts: { admit, authenticate } };
  test.strictSame(run(given).steps, ['reject 503']);
  test.strictSame(run({ ...given, operation: OPEN }).steps, ['forward'], 'open operations are not recorded');
});

t.test('steps that have to be waited for are waited for', async (test) => {
  const room = Promise.withResolvers<undefined>();
  const identity = Promise.withResolvers<Principal | Denial>();
  const one = run({
    operation: READ,
    target: BOOKS,
    parts: { admit: () => room.promise, authenticate: () => identity.promise },
  });
  test.strictSame(one.steps, []);
  room.resolve(undefined);
  await room.promise;
  test.strictSame(one.steps, []);
  identity.resolve(principals([])(['admin']));
  await identity.promise;
  test.strictSame(one.steps, ['forward']);
});

t.test('a fault in any step denies, says nothing of its cause, and is told once', async (test) => {
  const boom = (): never => {
    throw new Error('boom');
  };
  const late = () => Promise.reject(new Error('boom'));
  const broken: readonly (readonly [string, Partial<ExchangeParts>])[] = [
    ['admit', { admit: boom }],
    ['admit, later', { admit: late }],
    ['authenticate', { authenticate: boom }],
    ['authenticate, later', { authenticate: late }],
  ];
  for (const [name, one] of broken) {
    faults.length = 0;
    const exchange = run({ operation: READ, target: BOOKS, key: 'admin', parts: one });
    await new Promise((resolve) => setImmediate(resolve));
    test.strictSame([exchange.steps, exchange.decision, faults.length], [['reject 500'], INTERNAL_FAULT, 1], name);
  }
});

t.test('times are taken and the end is recorded once', async (test) => {
  const seen: unknown[] = [];
  const exchange = run({ operation: READ, target: BOOKS, key: 'admin', parts: { record: (...all) => seen.push(all) } });
  test.strictSame([exchange.startedAt, exchange.forwardedAt, exchange.answeredAt], [5, 5, 0]);
  const outcome = { status: 200, received: 1, sent: 2 };
  finish(parts, exchange, outcome);
  test.strictSame(seen, [[exchange, outcome]]);
});

t.test('a caller that has to wait for its turn is judged when it has it, by the policy of then', async (t) => {
  const asked: (string | undefined)[] = [];
  const waiting: (() => void)[] = [];
  const pace: ExchangeParts['pace'] = {
    mustWait: ({ principal }) => asked.push(principal?.keyId) > 0,
    wait: (_, resume) => waiting.push(resume),
  };
  const given = { operation: READ, target: SECRET, key: 'admin', rules: [narrow], parts: { pace } };
  const { steps } = run(given);
  t.same(steps, [], 'nothing yet');
  t.same(asked, ['api_key'], 'asked once, of a known caller');
  t.same(run({ ...given, key: 'wrong' }).steps, ['reject 401'], 'who is refused anyway does not wait');
  t.same(run({ ...given, operation: OPEN }).steps, ['forward'], 'nor who asks for what is open');
  for (const resume of waiting) resume();
  t.same(steps, ['reject 403'], 'then like any caller');
});

t.test('a turn that cannot be had is a fault, and denies', async (t) => {
  faults.length = 0;
  const pace: ExchangeParts['pace'] = {
    mustWait: () => {
      throw new Error('none');
    },
    wait: () => undefined,
  };
  const { steps } = run({ operation: READ, target: BOOKS, key: 'admin', parts: { pace } });
  t.same(steps, ['reject 500']);
  t.equal(faults.length, 1);
  faults.length = 0;
});

t.test('wrong credentials of one connection are answered later and later, good ones at once', async (t) => {
  const guesses = new CredentialGuessing();
  const refusals = new RefusalPacing(
    () => 5,
    (ms, work) => setTimeout(work, ms),
  );
  const wrong = { operation: READ, target: BOOKS, key: 'wrong', guesses, parts: { refusals } };
  for (let guess = 0; guess < 50; guess += 1) t.same(run(wrong).steps, ['reject 401']);
  const late = run(wrong);
  t.same(late.steps, ['abandon body'], 'the next one waits, without its body');
  t.same(run({ ...wrong, key: 'admin' }).steps, ['forward'], 'a good one does not');
  t.same(run({ ...wrong, guesses: new CredentialGuessing() }).steps, ['reject 401'], 'nor another connection');
  t.same(run({ ...wrong, mode: 'shadow' }).steps, ['forward'], 'and in shadow no request does');
  for (let look = 0; look < 200 && late.steps.length === 1; look += 1) await sleep(5);
  t.same(late.steps, ['abandon body', 'reject 401'], 'it is refused all the same');
});

t.test('nothing of a tenant goes upstream that the tenancy has not judged', async (test) => {
  const condition = { id: 'shop', field: ['t'], values: ['a'], hides: false, sharedStatistics: false };
  const tenancy: Tenancy = { scopes: [{ names: new Set(['books']), prefixes: [], holds: condition }] };
  const SCROLL: Operation = { ...READ, name: 'points.scroll' };
  const rewriting: Rewriting = { request: 'another', checks: [], answer: undefined, byIdAlone: [] };
  const cases: readonly (readonly [
    sentence: string,
    given: Given,
    found: readonly [names: References | Denial | undefined, tenant?: TenantFinding],
    steps: readonly string[],
  ])[] = [
    ['a request that is made anew', { operation: SCROLL }, [undefined, rewriting], ['check tenant', 'forward another']],
    [
      'one whose names are read, too',
      { operation: QUERY_ROW },
      [NOTHING, rewriting],
      ['check names,tenant', 'forward another'],
    ],
    ['one that the lane has not made anew', { operation: SCROLL }, [undefined], ['check tenant', 'reject 500']],
    ['one that the lane let through', { operation: SCROLL }, [undefined, 'as-it-is'], ['check tenant', 'reject 500']],
    [
      'one that the tenancy refuses',
      { operation: SCROLL },
      [undefined, tenantField('x')],
      ['check tenant', 'reject 403'],
    ],
    [
      'one that cannot be read',
      { operation: SCROLL },
      [badRequest('tenant_form', 'x'), rewriting],
      ['check tenant', 'reject 400'],
    ],
    [
      'names that the access refuses',
      { operation: QUERY_ROW },
      [elsewhere, rewriting],
      ['check names,tenant', 'reject 403'],
    ],
    ['an operation that no tenant has', { operation: WRITE }, [undefined, rewriting], ['reject 403']],
    ['a collection without an entry', { operation: SCROLL, target: SECRET }, [undefined, rewriting], ['reject 403']],
  ];
  for (const mode of ['enforce', 'shadow'] as const) {
    for (const [sentence, given, found, steps] of cases) {
      const lane: Protocol<Toy> = {
        ...protocol,
        checkBody: (exchange, decision, needs) => {
          exchange.steps.push(`check ${Object.keys(needs)}`);
          bodyChecked(parts, lane, exchange, decision, ...found);
        },
        forward: ({ steps }, { tenant }) =>
          steps.push(`forward ${typeof tenant === 'object' ? tenant.request : tenant}`),
      };
      const list: Access = { kind: 'list', modes: new Map([['books', 'rw']]) };
      const access = given.operation.inspect ? list : GLOBAL_MANAGE;
      const authenticate = (): Principal => ({ ...OPEN_PRINCIPAL, access, tenancy });
      const { steps: taken } = run({ target: BOOKS, ...given, mode, parts: { authenticate } }, lane);
      if (mode === 'enforce') test.strictSame(taken, steps, sentence);
      else
        test.notOk(
          taken.some((step) => /forward (undefined|as-it-is)/.test(step)),
          `in shadow, too: ${sentence}`,
        );
    }
  }
});
