import t from 'tap';
import { shareOwner } from '../../src/exchange/share-owner.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { GLOBAL_READ } from '../../src/policy/access.ts';
import type { TenantScope, TenantValue } from '../../src/policy/tenants/tenancy.ts';

function caller(...scopes: TenantScope[]) {
  const principal: Principal = {
    ...{ kind: 'principal', access: GLOBAL_READ, bounds: undefined, authType: 'Jwt', keyId: 'main', subject: 'ann' },
    ...(scopes.length > 0 && { tenancy: { scopes } }),
  };
  return { principal, remote: '127.0.0.1' };
}

function bound(value: TenantValue, names: readonly string[] = ['docs']): TenantScope {
  const condition = { id: 'by-team', field: ['team'], values: [value], hides: false, sharedStatistics: false };
  return { names: new Set(names), prefixes: [], holds: condition };
}

const free: TenantScope = { names: new Set(['public']), prefixes: [], holds: 'free' };

t.test('callers share what they may have by tenant, else by principal', async (t) => {
  const cases: readonly (readonly [name: string, ...Parameters<typeof same>, same: boolean])[] = [
    ['two tokens of one tenant', caller(bound('acme')), caller(bound('acme')), true],
    ['one of which may use a free collection, too', caller(bound('acme')), caller(free, bound('acme')), true],
    ['two tenants', caller(bound('acme')), caller(bound('other')), false],
    ['tenants whose values differ in their type', caller(bound('1')), caller(bound(1n)), false],
    ['two callers that only use free collections', caller(free), caller(free), false],
    ['two callers without a tenant', caller(), caller(), false],
  ];
  for (const [name, left, right, expected] of cases) t.equal(same(left, right), expected, name);
});

function same(left: Parameters<typeof shareOwner>[0], right: Parameters<typeof shareOwner>[0]): boolean {
  return shareOwner(left) === shareOwner(right);
}

t.test('one caller is one owner', async (t) => {
  const one = caller(free);
  t.equal(shareOwner(one), one.principal, 'with a principal');
  t.equal(shareOwner({ principal: undefined, remote: '192.0.2.1' }), '192.0.2.1', 'before it is known');
});
