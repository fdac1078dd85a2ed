import t from 'tap';
import type { Tenancy, TenantCondition } from '../../../src/policy/tenants/tenancy.ts';
import { rewriteRequest, type TenantTask } from '../../../src/rest/tenants/rewrite.ts';

/** A condition on `tenant` with the value `acme`. */
export function condition(changes: Partial<TenantCondition> = {}): TenantCondition {
  return { id: 'shop', field: ['tenant'], values: ['acme'], hides: false, sharedStatistics: false, ...changes };
}

/** `shop` is bound by these conditions, `docs` by one of its own, `free` by none; `lost` has no value; others are not covered. */
export function tenancyOf(...conditions: readonly TenantCondition[]): Tenancy {
  const scope = (name: string, holds: Tenancy['scopes'][number]['holds']) => ({
    ...{ names: new Set([name]), prefixes: [], holds },
  });
  return {
    scopes: [
      ...conditions.map((holds) => scope('shop', holds)),
      scope('docs', condition({ id: 'docs', field: ['owner'], values: [7n] })),
      scope('free', 'free'),
      scope('lost', 'missing'),
    ],
  };
}

/** `sparse` scores by the statistics of terms. */
const TASK: Omit<TenantTask, 'operation' | 'tenancy'> = {
  method: 'POST',
  pathToSend: '/collections/shop/points/x?wait=true',
  params: ['shop'],
  features: { updateFilter: true, idfCorpus: true },
  idfVectors: new Set(['sparse']),
  hasShardKeys: false,
  maxDepth: 64,
  maxBytes: 1_000_000,
};

export type TaskChanges = Partial<TenantTask>;

/** What is sent upstream, or the refusal. */
export function made(operation: string, body: string, changes: TaskChanges = {}) {
  const task: TenantTask = { ...TASK, tenancy: tenancyOf(condition()), operation, ...changes };
  const result = rewriteRequest(task, Buffer.from(body));
  if ('kind' in result) return `${result.status} ${result.code}: ${result.message}`;
  const { request, checks, answer } = result;
  return {
    head: `${request.method} ${request.path}`,
    body: request.body && Buffer.from(request.body).toString(),
    checks: checks.map(({ collection, ids }) => `${collection}: ${ids.join(' ')}`),
    answer,
  };
}

/** The condition of `condition()` as upstream gets it. */
export const T = '{"key":"tenant","match":{"value":"acme"}}';
/** A filter with nothing else. */
export const FILTER = `"filter":{"must":[${T}]}`;

/** Name, body, what is sent, and the checks. */
export type SentCase = readonly [name: string, body: string, sent: string, checks?: readonly string[]];

/** A test that compares what is sent upstream. */
export function sends(operation: string, cases: readonly SentCase[], changes: TaskChanges = {}): void {
  t.test(operation, async (t) => {
    for (const [name, body, sent, checks = []] of cases) {
      const result = made(operation, body, changes);
      if (typeof result === 'string') t.fail(`${name}: ${result}`);
      else t.strictSame([result.body, result.checks], [sent, checks], name);
    }
  });
}
