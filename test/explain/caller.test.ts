import t from 'tap';
import { answerOf } from '../../src/explain/answer.ts';
import type { Assumptions } from '../../src/explain/assumptions.ts';
import type { Caller } from '../../src/explain/caller.ts';
import { judge } from '../../src/explain/judge.ts';
import { NO_REVOCATIONS } from '../../src/identity/revocations.ts';
import type { NamedKeySettings } from '../../src/policy/named-key.ts';
import { KEYS } from '../support/gateway.ts';
import { NOW, partsOf } from './fixture.ts';

const KEY: NamedKeySettings = {
  ...{ id: 'team', name: 'Team', owner: 'ops', postfix: undefined, previous: undefined },
  access: [
    { collections: ['news'], access: 'r' },
    { collections: ['docs-*'], access: 'rw', manage: ['create'], max_collections: 2 },
  ],
  hash: { kind: 'sha256', digest: '0'.repeat(64) },
  ...{ expiresAt: undefined, notBefore: undefined, disabled: false, networks: undefined },
};

interface Case {
  readonly name: string;
  readonly key?: Partial<NamedKeySettings>;
  readonly caller?: Caller;
  readonly request?: readonly [method: string, target: string, headers?: readonly string[]];
  readonly assume?: Partial<Assumptions>;
  readonly says: Readonly<Record<string, unknown>>;
}

const GET = ['GET', '/collections/docs-a'] as const;

const CASES: readonly Case[] = [
  {
    name: 'a named key is asked about without its secret, and its entry is named',
    says: {
      verdict: 'allowed',
      decided_by: { kind: 'access', id: 'key team', path: 'access[1]' },
      principal: { key_name: 'Team' },
    },
  },
  {
    name: 'beside it, another collection is refused',
    request: ['GET', '/collections/other'],
    says: { code: 'collection_not_listed' },
  },
  {
    name: 'a disabled key is refused, and named',
    key: { disabled: true },
    says: { code: 'key_disabled', decided_by: { kind: 'credential', id: 'team' } },
  },
  { name: 'a key that is over is refused', key: { expiresAt: NOW - 1 }, says: { code: 'key_expired' } },
  { name: 'a key of another network is refused', key: { networks: ['10.0.0.0/8'] }, says: { code: 'key_network' } },
  {
    name: 'the same key from its network is accepted',
    key: { networks: ['10.0.0.0/8'] },
    assume: { remote: '10.1.2.3' },
    says: { verdict: 'allowed', assumptions: ["the client's address is 10.1.2.3", 'aliases are not resolved'] },
  },
  { name: 'a key with a limit that is gone is refused', key: { limits: ['gone'] }, says: { code: 'key_limit_gone' } },
  { name: 'a break-glass key needs a reason', key: { breakGlass: true }, says: { code: 'reason_required' } },
  {
    name: 'with a reason it is accepted',
    key: { breakGlass: true },
    request: [...GET, ['x-qdrant-gateway-reason', 'rebuild']],
    says: { verdict: 'allowed' },
  },
  {
    name: 'a creation without the list of collections is refused',
    request: ['PUT', '/collections/docs-new'],
    says: { code: 'collections_unknown', assumptions: ['Qdrant is 1.19.2', 'the existing collections are not known'] },
  },
  {
    name: 'with room for one more it is allowed',
    request: ['PUT', '/collections/docs-new'],
    assume: { collections: ['docs-a', 'other'] },
    says: { verdict: 'allowed' },
  },
  {
    name: 'without room it is refused',
    request: ['PUT', '/collections/docs-new'],
    assume: { collections: ['docs-a', 'docs-b'] },
    says: { code: 'too_many_collections' },
  },
  {
    name: 'a revoked token is refused',
    caller: { kind: 'claims', claims: { access: 'r', subject: 'eve' }, signingKey: undefined },
    assume: { revocations: { ...NO_REVOCATIONS, subjects: new Set(['eve']) } },
    says: { code: 'token_revoked' },
  },
  {
    name: 'a token whose `value_exists` does not hold is refused',
    caller: {
      kind: 'claims',
      claims: { access: 'r', value_exists: { collection: 'users', matches: [{ key: 'id', value: 7 }] } },
      signingKey: undefined,
    },
    assume: { valueExists: false },
    says: { code: 'value_exists_no_point' },
  },
  {
    name: 'a secret that is presented is found among the keys',
    caller: { kind: 'credential', text: KEYS.readOnly },
    says: { verdict: 'allowed', principal: { key: 'read_only_api_key' } },
  },
  {
    name: 'a name with dots is refused before a release that takes it for a path',
    caller: { kind: 'key', id: 'api_key' },
    request: ['DELETE', '/collections/%2e%20'],
    assume: { release: '1.18.0' },
    says: { code: 'invalid_collection_name', assumptions: ['Qdrant is 1.18.0', 'aliases are not resolved'] },
  },
];

t.test('callers and assumptions', async (t) => {
  for (const { name, key, caller, request: [method, target, headers = []] = GET, assume, says } of CASES) {
    const parts = partsOf({ namedKeys: [{ ...KEY, ...key }] }, assume);
    const request = {
      protocol: 'rest',
      method,
      target,
      headers,
      body: Buffer.from(method === 'PUT' ? '{}' : ''),
    } as const;
    const judged = await judge(parts, request, caller ?? { kind: 'key', id: 'team' });
    t.match(answerOf(judged, parts, 'rest'), { verdict: 'denied', ...says }, name);
  }
});
