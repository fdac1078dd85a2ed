import t from 'tap';
import { createInspector } from '../../../src/grpc/message/inspect.ts';
import { rowForNames } from '../../../src/grpc/message/inspect-shapes.ts';
import { GRPC_OPERATIONS } from '../../../src/operations/grpc.ts';
import type { GrpcOperation } from '../../../src/policy/operation.ts';
import { accessOf } from '../../../src/policy/settings.ts';
import { framed } from '../../support/clients/raw-grpc.ts';
import { message } from '../../support/clients/unary.ts';

/* Names in messages of whole collections, read where a grant permits by names. */

function row(method: string): GrpcOperation {
  const found = GRPC_OPERATIONS.find(({ path }) => path === `/qdrant.Collections/${method}`);
  if (!found) throw new TypeError(`no method ${method}`);
  return rowForNames(found);
}

const ALL = accessOf([{ collections: ['*'], access: 'r' }]);
if (ALL.kind === 'global') throw new TypeError('not a scoped access');
const scoped = ALL;

/** `target: others`, or the text of the refusal. In one piece, and byte by byte. */
function namesIn(method: string, bytes: Uint8Array): string {
  const heard = [1, 1000].map((size) => {
    const inspector = createInspector(row(method), { encoding: undefined });
    const whole = framed(Buffer.from(bytes));
    for (let at = 0; at < whole.length; at += size) inspector.push(whole.subarray(at, at + size));
    inspector.end();
    const found = inspector.found(scoped);
    if (!found) return 'still reading';
    return 'kind' in found ? found.message : `${found.target ?? '-'}: ${found.others.join(' ')}`;
  });
  return [...new Set(heard)].join(' | ');
}

const joined = (parts: readonly Uint8Array[]): Buffer => Buffer.concat(parts.map((part) => Buffer.from(part)));
const action = (kind: 1 | 2 | 3, ...names: readonly (readonly [field: number, name: string])[]): Uint8Array =>
  message({ [kind]: joined(names.map(([field, name]) => message({ [field]: name }))) });
const change = (...actions: readonly Uint8Array[]): Buffer => joined(actions.map((one) => message({ 1: one })));

const CASES: readonly [name: string, method: string, bytes: Uint8Array, answer: string][] = [
  ['a creation', 'Create', message({ 1: 'a' }), 'a: '],
  ['with a collection to copy', 'Create', message({ 1: 'a', 13: 'b' }), 'a: b'],
  [
    'with two, of which upstream takes the last',
    'Create',
    joined([message({ 1: 'a', 13: 'b' }), message({ 13: 'c' })]),
    'a: b c',
  ],
  ['the last name of two is the target', 'Create', joined([message({ 1: 'a' }), message({ 1: 'b' })]), 'b: '],
  ['a change', 'Update', message({ 1: 'a' }), 'a: '],
  ['a deletion', 'Delete', message({ 1: 'a' }), 'a: '],
  [
    'an empty name',
    'Delete',
    message({ 2: 'x' }),
    'Validation error in body: [collection_name: value "" invalid, must be from 1 to 255 characters]',
  ],
  [
    'a name with a slash',
    'Create',
    message({ 1: 'a/b' }),
    'Validation error in body: [collection_name: collection name cannot contain "/" char]',
  ],
  ['an alias', 'UpdateAliases', change(action(1, [1, 'a'], [2, 'x'])), '-: a x'],
  ['another name of an alias', 'UpdateAliases', change(action(2, [1, 'x'], [2, 'y'])), '-: x y'],
  ['an alias that is removed', 'UpdateAliases', change(action(3, [1, 'x'])), '-: x'],
  ['several actions', 'UpdateAliases', change(action(3, [1, 'x']), action(1, [1, 'a'], [2, 'x'])), '-: x a'],
  [
    'two actions in one element: both count',
    'UpdateAliases',
    change(joined([action(3, [1, 'x']), action(1, [1, 'a'], [2, 'y'])])),
    '-: x a y',
  ],
  ['a name given twice: both count', 'UpdateAliases', change(action(1, [1, 'a'], [1, 'b'], [2, 'x'])), '-: a b x'],
  ['no action', 'UpdateAliases', message({ 2: 'x' }), '-: '],
];

t.test('every name that upstream could take is found', async (test) => {
  for (const [name, method, bytes, answer] of CASES) test.equal(namesIn(method, bytes), answer, `${method}: ${name}`);
});

t.test('a caller who manages is measured by the row as it is, whatever it names', async (test) => {
  const create = GRPC_OPERATIONS.find(({ path }) => path === '/qdrant.Collections/Create');
  if (!create) throw new TypeError('no method');
  const guard = createInspector(create, { encoding: undefined });
  guard.push(framed(Buffer.from(message({ 1: 'a/b' }))));
  guard.end();
  test.equal(guard.state, 'found', 'upstream judges the name');
});
