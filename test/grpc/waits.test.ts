import { create, toBinary } from '@bufbuild/protobuf';
import * as q from '@qdrant/js-client-grpc';
import t from 'tap';
import type { ExchangeParts } from '../../src/exchange/exchange.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { INVALID_CREDENTIAL } from '../../src/policy/denial.ts';
import type { TenantCondition } from '../../src/policy/tenants/tenancy.ts';
import { until } from '../support/until.ts';
import { ADMIN, SCOPED, setUp } from './relay-fixture.ts';

/*
 * A call that waits after its decision, for each thing that it may wait for: what has changed meanwhile is applied to it, and nothing
 * is asked for it that could not be asked for a new call.
 */

const holds: TenantCondition = {
  ...{ id: 'shop', field: ['tenant'], values: ['acme'], hides: false, sharedStatistics: false },
};
const tenant = (condition: TenantCondition): Principal => ({
  ...{ ...SCOPED, tenancy: { scopes: [{ names: new Set(['docs']), prefixes: [], holds: condition }] } },
});
const TENANT = tenant(holds);
const get = create(q.GetPointsSchema, {
  ...{ collectionName: 'docs', ids: [{ pointIdOptions: { case: 'num' as const, value: 1n } }] },
});
const info = create(q.GetCollectionInfoRequestSchema, { collectionName: 'docs' });
const GET = Buffer.from(toBinary(q.GetPointsSchema, get));
const INFO = Buffer.from(toBinary(q.GetCollectionInfoRequestSchema, info));

/** A wait: the call, the calls of the same kind before it, and the questions about it that are open at the change. */
const WAITS: readonly (readonly [
  string,
  path: string,
  message: Buffer,
  who: Principal,
  before: number,
  open: number,
])[] = [
  ['a place of its tenant', '/qdrant.Points/Get', GET, TENANT, 16, 0],
  ['a place for a list that is filtered', '/qdrant.Collections/List', Buffer.alloc(0), SCOPED, 4, 0],
  ['the first of two questions for it', '/qdrant.Collections/Get', INFO, TENANT, 0, 1],
];

interface State {
  generation: object;
  now: number;
  who: ReturnType<ExchangeParts['authenticate']>;
}

const refused = /^(?:14|16) /;
const CHANGES: readonly (readonly [string, stands: boolean, apply: (state: State) => unknown])[] = [
  ['nothing changes', true, () => undefined],
  ['the policy changes, and nothing for its caller', true, (at) => Object.assign(at, { generation: {} })],
  [
    'its caller is bound otherwise',
    false,
    (at) => Object.assign(at, { generation: {}, who: tenant({ ...holds, values: ['umbrella'] }) }),
  ],
  ['its caller has more access', false, (at) => Object.assign(at, { generation: {}, who: ADMIN })],
  ['its key is removed', false, (at) => Object.assign(at, { generation: {}, who: INVALID_CREDENTIAL })],
  [
    'its token expires or is revoked',
    false,
    (at) => Object.assign(at, { now: at.now + 1000, who: INVALID_CREDENTIAL }),
  ],
];

for (const [sentence, path, message, who, before, open] of WAITS) {
  t.test(sentence, async (t) => {
    for (const [change, stands, apply] of CHANGES) {
      await t.test(change, async (t) => {
        const held: (() => void)[] = [];
        let asked = 0;
        const ask = (): Promise<{ kind: 'message'; message: Buffer }> => {
          asked += 1;
          return new Promise((resolve) => held.push(() => resolve({ kind: 'message', message: Buffer.alloc(0) })));
        };
        const state: State = { generation: {}, now: 0, who };
        const parts = { identifying: () => state.generation, now: () => state.now };
        const { client } = await setUp(t, { ask, authenticate: () => state.who, parts });
        const last = 2 * before + 1;
        for (let id = 1; id <= last; id += 2) client.call(id, path, message, [['api-key', 'any']]);
        // The answer to a path that is not there comes behind all that was said before.
        client.call(last + 2, '/no.Such/Method', Buffer.alloc(0), [['api-key', 'any']]);
        await client.status(last + 2);
        await until(() => asked === before + open, 'those before it are under way');
        apply(state);
        const answered = client.status(last);
        let over = false;
        void answered.finally(() => {
          over = true;
        });
        await until(() => {
          for (const answer of held.splice(0)) answer();
          return over;
        }, 'it is answered');
        if (stands) {
          await answered;
          t.ok(asked > before + open, 'it is asked');
        } else {
          t.match(await answered, refused);
          t.equal(asked, before + open, 'nothing more is asked');
        }
      });
    }
  });
}
