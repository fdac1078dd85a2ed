import t from 'tap';
import { FilterKeys } from '../../../src/policy/tenants/filter-keys.ts';
import { keysOf, type PayloadField, parsePath } from '../../../src/policy/tenants/payload-path.ts';
import { TenantRefusal } from '../../../src/policy/tenants/refusal.ts';
import { drawing } from '../../support/tenants/wire-messages.ts';

/* The paths of a filter are judged as if each stood there whole, with those of the arrays around it. */

/** A condition on a path, or a nested filter. */
type Part = string | { readonly array: string; readonly inside: readonly Part[] };

/** By whole paths: a condition reads a field if one begins with the other, an array if the field begins with it. */
function readsWhole(fields: readonly PayloadField[], parts: readonly Part[], above: readonly string[]): boolean {
  return parts.some((part) => {
    const steps = parsePath(typeof part === 'string' ? part : part.array);
    if (!steps) return false;
    const path = [...above, ...keysOf(steps)];
    const begins = (field: PayloadField): boolean => path.slice(0, field.length).every((key, at) => key === field[at]);
    if (typeof part === 'string') return fields.some(begins);
    const within = fields.some((field) => path.length >= field.length && begins(field));
    return within || readsWhole(fields, part.inside, path);
  });
}

function judge(keys: FilterKeys, parts: readonly Part[]): void {
  for (const part of parts) {
    if (typeof part === 'string') keys.condition(part);
    else {
      keys.open();
      judge(keys, part.inside);
      keys.close(part.array);
    }
  }
}

function reads(fields: readonly PayloadField[], parts: readonly Part[]): boolean {
  try {
    judge(new FilterKeys(fields), parts);
    return false;
  } catch (error) {
    if (error instanceof TenantRefusal) return true;
    throw error;
  }
}

const FIELDS: readonly PayloadField[] = [['a', 'b', 'a', 'c'], ['b', 'b'], ['c']];
const PATHS = ['a', 'b', 'a.b', 'b[].a', 'a[0].b.a', 'a.b.a', 'a.c', 'x', 'b..', '"c"[]', 'b.a.c', 'a[].c.x'];

t.test('a filter of any form is judged as by whole paths', async (t) => {
  const next = drawing(20_261_130);
  const made = (depth: number): Part[] =>
    Array.from({ length: next(4) }, () => {
      const path = PATHS[next(PATHS.length)] ?? '';
      return depth > 0 && next(2) === 0 ? { array: path, inside: made(depth - 1) } : path;
    });
  let refused = 0;
  for (let i = 0; i < 5000; i += 1) {
    const parts = made(4);
    const fields = FIELDS.slice(next(FIELDS.length));
    const expected = readsWhole(fields, parts, []);
    if (expected) refused += 1;
    if (reads(fields, parts) !== expected) t.fail(JSON.stringify({ fields, parts, expected }));
  }
  t.ok(refused > 500 && refused < 4500, `both outcomes are tried: ${refused}`);
});

t.test('a path of any length in a nested filter', async (t) => {
  const keys = new FilterKeys([['cost']]);
  keys.open();
  t.doesNotThrow(() => keys.condition('x'.repeat(65_536)), 'as long as allowed');
  t.throws(() => keys.condition('x'.repeat(65_537)), TenantRefusal, 'longer');
});
