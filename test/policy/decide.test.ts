import fc from 'fast-check';
import t from 'tap';
import {
  type Access,
  type CollectionMode,
  GLOBAL_MANAGE,
  GLOBAL_READ,
  type ListAccess,
} from '../../src/policy/access.ts';
import { type Decision, decide, decidePublic, isPermit, settle } from '../../src/policy/decide.ts';
import { type Denial, UNKNOWN_OPERATION } from '../../src/policy/denial.ts';
import {
  IN_MESSAGE,
  type Level,
  NO_TARGET,
  type Operation,
  type Scope,
  type Target,
} from '../../src/policy/operation.ts';

const DOCS: Target = { kind: 'collection', name: 'docs' };

function list(modes: Readonly<Record<string, CollectionMode>>): ListAccess {
  return { kind: 'list', modes: new Map(Object.entries(modes)) };
}

const ACCESS: Readonly<Record<string, Access>> = {
  m: GLOBAL_MANAGE,
  'global r': GLOBAL_READ,
  r: list({ docs: 'r' }),
  rw: list({ docs: 'rw' }),
  prw: list({ docs: 'prw' }),
  other: list({ notes: 'rw' }),
  empty: list({}),
};

function operation(scope: Scope, level: Level, extras: boolean, more: Partial<Operation> = {}): Operation {
  return { name: 'x', audit: null, requires: { scope, level, extras }, ...more };
}

/** `permit`, `permit filtered`, `conditional`, or status, code and text. */
function told(decision: Decision): string {
  switch (decision.kind) {
    case 'permit':
      return decision.visible ? 'permit filtered' : 'permit';
    case 'conditional':
      return 'conditional';
    case 'denial':
      return `${decision.status}/${decision.grpc} ${decision.message}`.trim();
    default:
      return decision satisfies never;
  }
}

const GLOBAL = '403/7 Forbidden: Global access is required';
const GLOBAL_MANAGE_TEXT = '403/7 Forbidden: Global manage access is required';
const UNLISTED = '403/7 Forbidden: Access to collection docs is required';
const POINTS = '403/7 Forbidden: Only points access is allowed for collection docs';
const WRITE = '403/7 Forbidden: Write access to collection docs is required';
const MANAGE = '403/7 Forbidden: Manage access for this operation is required';
const UNKNOWN = '404/12';

interface Row {
  readonly name: string;
  readonly operation: Operation;
  readonly target?: Target;
  /** In the order of `ACCESS`. */
  readonly answers: readonly string[];
}

const ok = 'permit';
const ROWS: readonly Row[] = [
  {
    name: 'reading a collection',
    operation: operation('collection', 'read', false),
    answers: [ok, ok, ok, ok, ok, UNLISTED, UNLISTED],
  },
  {
    name: 'reading more than points of a collection',
    operation: operation('collection', 'read', true),
    answers: [ok, ok, ok, ok, POINTS, UNLISTED, UNLISTED],
  },
  {
    name: 'writing points of a collection',
    operation: operation('collection', 'write', false),
    answers: [ok, GLOBAL_MANAGE_TEXT, WRITE, ok, ok, UNLISTED, UNLISTED],
  },
  {
    name: 'writing more than points: extras come before write',
    operation: operation('collection', 'write', true),
    answers: [ok, GLOBAL_MANAGE_TEXT, WRITE, ok, POINTS, UNLISTED, UNLISTED],
  },
  {
    name: 'managing a collection: extras before write, write before manage',
    operation: operation('collection', 'manage', true),
    answers: [ok, GLOBAL_MANAGE_TEXT, WRITE, MANAGE, POINTS, UNLISTED, UNLISTED],
  },
  {
    name: 'managing a collection without extras',
    operation: operation('collection', 'manage', false),
    answers: [ok, GLOBAL_MANAGE_TEXT, WRITE, MANAGE, MANAGE, UNLISTED, UNLISTED],
  },
  {
    name: 'reading globally',
    operation: operation('global', 'read', false),
    answers: [ok, ok, GLOBAL, GLOBAL, GLOBAL, GLOBAL, GLOBAL],
  },
  {
    name: 'reading globally with extras, which have no effect there',
    operation: operation('global', 'read', true),
    answers: [ok, ok, GLOBAL, GLOBAL, GLOBAL, GLOBAL, GLOBAL],
  },
  {
    name: 'writing globally',
    operation: operation('global', 'write', false),
    answers: [ok, GLOBAL_MANAGE_TEXT, GLOBAL, GLOBAL, GLOBAL, GLOBAL, GLOBAL],
  },
  {
    name: 'managing globally, whatever collection the path names',
    operation: operation('global', 'manage', false),
    answers: [ok, GLOBAL_MANAGE_TEXT, GLOBAL, GLOBAL, GLOBAL, GLOBAL, GLOBAL],
  },
  {
    name: 'listing',
    operation: operation('list', 'read', false, { filter: 'collections-list' }),
    target: NO_TARGET,
    answers: [ok, ok, ...Array.from({ length: 5 }, () => 'permit filtered')],
  },
  {
    name: 'a filtered answer of one collection',
    operation: operation('collection', 'read', false, { filter: 'aliases-list' }),
    answers: [ok, ok, 'permit filtered', 'permit filtered', 'permit filtered', UNLISTED, UNLISTED],
  },
  {
    name: 'an operation any principal may use',
    operation: operation('authenticated', 'read', false),
    target: NO_TARGET,
    answers: Array.from({ length: 7 }, () => ok),
  },
  {
    name: 'a public operation',
    operation: operation('public', 'read', false),
    target: NO_TARGET,
    answers: Array.from({ length: 7 }, () => ok),
  },
  {
    name: 'an operation whose body can name collections: what the path says comes first',
    operation: operation('collection', 'read', false, { inspect: 'query' }),
    answers: [ok, ok, 'conditional', 'conditional', 'conditional', UNLISTED, UNLISTED],
  },
  {
    name: 'an operation whose message names its target: a global access needs no message',
    operation: operation('collection', 'write', true),
    target: IN_MESSAGE,
    answers: [ok, GLOBAL_MANAGE_TEXT, ...Array.from({ length: 5 }, () => 'conditional')],
  },
  {
    name: 'an unlisted operation is unknown below global manage',
    operation: operation('global', 'manage', false, { unlisted: true }),
    target: NO_TARGET,
    answers: [ok, ...Array.from({ length: 6 }, () => UNKNOWN)],
  },
  {
    name: 'a withheld operation is unknown to every caller',
    operation: operation('global', 'manage', false, { unlisted: true, withheld: true }),
    target: NO_TARGET,
    answers: Array.from({ length: 7 }, () => UNKNOWN),
  },
  {
    name: 'a collection operation without a target opens nothing to a list',
    operation: operation('collection', 'read', false),
    target: NO_TARGET,
    answers: [ok, ok, ...Array.from({ length: 5 }, () => UNKNOWN)],
  },
];

for (const row of ROWS) {
  t.test(row.name, async (t) => {
    for (const [at, [principal, access]] of Object.entries(ACCESS).entries()) {
      t.equal(told(decide(access, row.operation, row.target ?? DOCS)), row.answers[at], `as ${principal}`);
    }
  });
}

t.test('a filtered permit carries the access it is filtered by, an unfiltered one nothing', async (t) => {
  const listing = operation('list', 'read', false, { filter: 'collections-list' });
  const access = list({ docs: 'r' });
  const filtered = decide(access, listing, NO_TARGET);
  t.equal(filtered.kind === 'permit' && filtered.visible, access);
  const whole = decide(GLOBAL_READ, listing, NO_TARGET);
  t.equal(whole.kind === 'permit' && whole.visible, undefined);
  const plain = decide(access, operation('collection', 'read', false), DOCS);
  t.equal(plain.kind === 'permit' && plain.visible, undefined);
});

t.test('only a public operation is permitted before the caller is known', async (t) => {
  for (const scope of ['collection', 'global', 'list', 'authenticated'] as const) {
    t.equal(decidePublic(operation(scope, 'read', false)), undefined, scope);
  }
  t.equal(told(decidePublic(operation('public', 'read', false)) ?? UNKNOWN_OPERATION), 'permit');
});

t.test('names are compared byte for byte', async (t) => {
  const read = operation('collection', 'read', false);
  const access = list({ docs: 'rw', é: 'r', '*': 'rw', '': 'r' });
  for (const name of ['Docs', 'docs ', 'doc', 'docs/', 'e\u0301', 'x', '__proto__', 'constructor']) {
    const refused = `403/7 Forbidden: Access to collection ${name} is required`;
    t.equal(told(decide(access, read, { kind: 'collection', name })), refused, JSON.stringify(name));
  }
  for (const name of access.modes.keys()) {
    t.equal(told(decide(access, read, { kind: 'collection', name })), 'permit', JSON.stringify(name));
  }
});

interface Settled {
  readonly name: string;
  readonly access: ListAccess;
  readonly target: Target;
  readonly references: Parameters<typeof settle>[1];
  readonly level?: Level;
  readonly extras?: boolean;
  readonly answer: string;
}

const both = list({ docs: 'r', notes: 'prw' });
const refusedFor = (name: string): string => `403/7 Forbidden: Access to collection ${name} is required`;
const SETTLED: readonly Settled[] = [
  { name: 'nothing else named', access: list({ docs: 'r' }), target: DOCS, references: { others: [] }, answer: ok },
  { name: 'a listed one named', access: both, target: DOCS, references: { others: ['notes'] }, answer: ok },
  { name: 'the target named again', access: both, target: DOCS, references: { others: ['docs'] }, answer: ok },
  {
    name: 'one not listed, after a listed one',
    access: both,
    target: DOCS,
    references: { others: ['notes', 'secret'] },
    answer: refusedFor('secret'),
  },
  {
    name: 'two not listed: the first decides',
    access: both,
    target: DOCS,
    references: { others: ['b', 'a'] },
    answer: refusedFor('b'),
  },
  {
    name: 'the target of the message is not listed: it comes before the others',
    access: both,
    target: IN_MESSAGE,
    references: { target: 'x', others: ['y'] },
    answer: refusedFor('x'),
  },
  {
    name: 'the target of the message is listed',
    access: both,
    target: IN_MESSAGE,
    references: { target: 'notes', others: ['docs'] },
    answer: ok,
  },
  {
    name: 'too little access to the target comes before a name that is not listed',
    access: list({ docs: 'r' }),
    target: IN_MESSAGE,
    references: { target: 'docs', others: ['secret'] },
    level: 'write',
    answer: WRITE,
  },
  {
    name: 'only points comes before a name that is not listed',
    access: list({ docs: 'prw' }),
    target: IN_MESSAGE,
    references: { target: 'docs', others: ['secret'] },
    extras: true,
    answer: POINTS,
  },
  {
    name: 'the path wins over a target found in the body',
    access: both,
    target: DOCS,
    references: { target: 'secret', others: [] },
    answer: ok,
  },
  { name: 'no target at all', access: both, target: IN_MESSAGE, references: { others: [] }, answer: UNKNOWN },
];

t.test('a conditional is settled by what the body names', async (t) => {
  for (const { name, access, target, references, level = 'read', extras = false, answer } of SETTLED) {
    const conditional = decide(access, operation('collection', level, extras, { inspect: 'query' }), target);
    if (conditional.kind !== 'conditional') throw new TypeError(`${name}: not conditional`);
    t.equal(told(settle(conditional, references)), answer, name);
  }
});

t.test('a settled permit keeps the filter of its operation', async (t) => {
  const filtered = operation('collection', 'read', false, { filter: 'aliases-list' });
  const access = list({ docs: 'r' });
  const conditional = decide(access, filtered, IN_MESSAGE);
  if (conditional.kind !== 'conditional') throw new TypeError('not conditional');
  const settled = settle(conditional, { target: 'docs', others: [] });
  t.equal(settled.kind === 'permit' && settled.visible, access);
});

t.test('a permit cannot be forged', async (t) => {
  const real = decide(GLOBAL_MANAGE, operation('global', 'manage', false), NO_TARGET);
  t.ok(isPermit(real), 'a real one is one');
  const prototype = Object.getPrototypeOf(real) as object;
  const forged: Readonly<Record<string, object>> = {
    'a copy': { ...real },
    'a structured clone': structuredClone({ ...real }),
    'an object of its prototype': Object.assign(Object.create(prototype), real),
    'the prototype': prototype,
    'an heir of a real one': Object.create(real),
    'a proxy of a real one': new Proxy(real, {}),
    'an object with the same names': { kind: 'permit', operation: operation('public', 'read', false), reason: '' },
    'a denial': UNKNOWN_OPERATION,
    'an empty object': {},
  };
  for (const [name, object] of Object.entries(forged)) t.notOk(isPermit(object), `${name} is none`);
});

const mode = fc.constantFrom<CollectionMode>('r', 'rw', 'prw');
const name = fc.constantFrom('a', 'b', 'c', '', '__proto__');
const anyList = fc
  .array(fc.tuple(name, mode))
  .map((entries): ListAccess => ({ kind: 'list', modes: new Map(entries) }));
const anyTarget = fc.oneof(
  name.map((given): Target => ({ kind: 'collection', name: given })),
  fc.constant(NO_TARGET),
  fc.constant(IN_MESSAGE),
);
const level = fc.constantFrom<Level>('read', 'write', 'manage');

/** The final answer to a request whose body names these others. */
function judged(access: Access, row: Operation, target: Target, others: readonly string[]): 'permit' | Denial {
  const decision = decide(access, row, target);
  const settled = decision.kind === 'conditional' ? settle(decision, { target: 'a', others }) : decision;
  return settled.kind === 'permit' ? 'permit' : settled;
}

t.test('a list access never passes a global row', async (t) => {
  fc.assert(
    fc.property(anyList, anyTarget, level, fc.boolean(), (access, target, asked, extras) => {
      return told(decide(access, operation('global', asked, extras), target)) === GLOBAL;
    }),
  );
  t.pass('held');
});

t.test('a list access never manages', async (t) => {
  fc.assert(
    fc.property(anyList, anyTarget, fc.boolean(), fc.array(name), (access, target, extras, others) => {
      return judged(access, operation('collection', 'manage', extras), target, others) !== 'permit';
    }),
  );
  t.pass('held');
});

t.test('more access never gives less', async (t) => {
  const stronger: readonly (readonly [CollectionMode, CollectionMode])[] = [
    ['r', 'rw'],
    ['prw', 'rw'],
  ];
  fc.assert(
    fc.property(
      fc.constantFrom(...stronger),
      anyList,
      level,
      fc.boolean(),
      fc.boolean(),
      fc.array(name),
      ([weak, strong], rest, asked, extras, inspected, others) => {
        const row = operation('collection', asked, extras, inspected ? { inspect: 'query' } : {});
        const withMode = (given: CollectionMode): ListAccess => list({ ...Object.fromEntries(rest.modes), a: given });
        const target: Target = { kind: 'collection', name: 'a' };
        const weaker = judged(withMode(weak), row, target, others);
        return weaker !== 'permit' || judged(withMode(strong), row, target, others) === 'permit';
      },
    ),
  );
  t.pass('held');
});

t.test('one collection more in the list never takes away', async (t) => {
  fc.assert(
    fc.property(anyList, mode, level, fc.boolean(), fc.array(name), (access, added, asked, extras, others) => {
      const row = operation('collection', asked, extras, { inspect: 'query' });
      const target: Target = { kind: 'collection', name: 'a' };
      const wider: ListAccess = { kind: 'list', modes: new Map([['added', added], ...access.modes]) };
      return judged(access, row, target, others) !== 'permit' || judged(wider, row, target, others) === 'permit';
    }),
  );
  t.pass('held');
});

t.test('what a list may do, global manage may do, and what it may read, global read may', async (t) => {
  fc.assert(
    fc.property(anyList, anyTarget, level, fc.boolean(), fc.array(name), (access, target, asked, extras, others) => {
      const row = operation('collection', asked, extras, { inspect: 'query' });
      if (judged(access, row, target, others) !== 'permit') return true;
      const read = asked !== 'read' || judged(GLOBAL_READ, row, target, others) === 'permit';
      return read && judged(GLOBAL_MANAGE, row, target, others) === 'permit';
    }),
  );
  t.pass('held');
});
