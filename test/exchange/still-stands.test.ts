import t from 'tap';
import { unbegun } from '../../src/exchange/exchange.ts';
import { stillStands } from '../../src/exchange/still-stands.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { GLOBAL_MANAGE } from '../../src/policy/access.ts';
import type { Operation, Target } from '../../src/policy/operation.ts';
import { type GuardSettings, policyOf } from '../../src/policy/settings.ts';

/* A guard that comes into force while a request waits holds for it, before anything of it goes upstream. */

const PRINCIPAL: Principal = {
  ...{ kind: 'principal', access: GLOBAL_MANAGE, bounds: undefined, authType: 'ApiKey' },
  ...{ keyId: 'api_key', subject: undefined },
};
const rest = (name: string): Operation => {
  const found = REST_OPERATIONS.find((one) => one.name === name);
  if (!found) throw new TypeError(`no operation ${name}`);
  return found;
};
const grpc = (path: string): Operation => {
  const found = GRPC_OPERATIONS.find((one) => one.path === path);
  if (!found) throw new TypeError(`no method ${path}`);
  return found;
};
const at = (name: string): Target => ({ kind: 'collection', name });
const freeze = (freezes: true | readonly string[], mode: 'enforce' | 'shadow' = 'enforce'): GuardSettings => ({
  ...{ id: 'freeze', mode, freeze: freezes },
});
const PROTECTED: GuardSettings = { id: 'protected', mode: 'enforce', protected: ['docs'] };

const UPSERT = rest('points.upsert');
const QUERY = rest('points.query');
const DELETE = rest('collections.delete');
const MESSAGE = grpc('/qdrant.Points/Upsert');
const IN_MESSAGE: Target = { kind: 'in-message' };

const CASES: readonly (readonly [
  name: string,
  guards: readonly GuardSettings[],
  operation: Operation,
  target: Target,
  named: string | undefined,
  code: string | undefined,
])[] = [
  ['no guard', [], UPSERT, at('docs'), undefined, undefined],
  ['a freeze of everything, a write', [freeze(true)], UPSERT, at('docs'), undefined, 'writes_frozen'],
  ['a freeze of everything, a read', [freeze(true)], QUERY, at('docs'), undefined, undefined],
  ['a freeze of its collection', [freeze(['docs'])], UPSERT, at('docs'), undefined, 'writes_frozen'],
  ['a freeze of another collection', [freeze(['other'])], UPSERT, at('docs'), undefined, undefined],
  ['a freeze in shadow', [freeze(true, 'shadow')], UPSERT, at('docs'), undefined, undefined],
  ['a protected collection that is deleted', [PROTECTED], DELETE, at('docs'), undefined, 'collection_protected'],
  ['another one that is deleted', [PROTECTED], DELETE, at('other'), undefined, undefined],
  [
    'a freeze of the collection that its message names',
    [freeze(['docs'])],
    MESSAGE,
    IN_MESSAGE,
    'docs',
    'writes_frozen',
  ],
  ['a freeze of another than its message names', [freeze(['docs'])], MESSAGE, IN_MESSAGE, 'other', undefined],
  ['a message that was not read for its name', [freeze(['docs'])], MESSAGE, IN_MESSAGE, undefined, 'writes_frozen'],
];

for (const [name, guards, operation, target, named, code] of CASES) {
  t.test(`${name}: ${code ?? 'it stands'}`, async (t) => {
    const keys = {};
    const parts = {
      authenticate: () => PRINCIPAL,
      identifying: () => keys,
      policy: { current: policyOf('enforce', [], guards) },
      now: () => 5,
    };
    const exchange = {
      ...unbegun(),
      ...{ principal: PRINCIPAL, identifiedAt: 5, headers: [], remote: '127.0.0.1' },
      resolution: { operation, target },
      references: named === undefined ? undefined : { target: named, others: [] },
    };
    t.equal(stillStands(parts, { ...exchange, identifiedBy: keys }), undefined, 'nothing has changed');
    t.equal((await stillStands(parts, { ...exchange, identifiedBy: {} }))?.code, code, 'the policy has changed');
  });
}
