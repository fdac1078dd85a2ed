import t from 'tap';
import { made } from './message-case.ts';

/* The points of a write: ids, a filter or nothing, in every message that selects points, alone and in a batch. */

const MINE = { field: { key: 'tenant', match: { keyword: 'acme' } } };
const BY_IDS = { filter: { must: [MINE, { hasId: { hasId: [{ num: '1' }] } }] } };
const BY_FILTER = { filter: { must: [MINE] } };
const NO_IDS = { points: {} };

/** The selector, and what is sent of it; `refused` = it selects nothing. */
const SELECTORS: readonly [selector: object | undefined, sent: object | 'refused'][] = [
  [{ points: { ids: [{ num: 1 }] } }, BY_IDS],
  [{ points: {} }, NO_IDS],
  [{ filter: {} }, BY_FILTER],
  [{ filter: { must: [] } }, BY_FILTER],
  [{}, 'refused'],
  [undefined, 'refused'],
];

interface Operation {
  readonly method: string;
  /** Its member in a batch. */
  readonly batched: string;
  /** The member with the selector. */
  readonly at: 'points' | 'pointsSelector';
  readonly others: object;
}

const payload = { a: { integerValue: 1 } };
const OPERATIONS: readonly Operation[] = [
  { method: 'Delete', batched: 'deletePoints', at: 'points', others: {} },
  { method: 'ClearPayload', batched: 'clearPayload', at: 'points', others: {} },
  { method: 'SetPayload', batched: 'setPayload', at: 'pointsSelector', others: { payload } },
  { method: 'OverwritePayload', batched: 'overwritePayload', at: 'pointsSelector', others: { payload } },
  { method: 'DeletePayload', batched: 'deletePayload', at: 'pointsSelector', others: { keys: ['a'] } },
  { method: 'DeleteVectors', batched: 'deleteVectors', at: 'pointsSelector', others: { vectors: { names: ['v'] } } },
];

/** The selector of a message that was sent, or the refusal. */
function sentOf(result: ReturnType<typeof made>): unknown {
  if (typeof result === 'string') return result.startsWith('tenant_form: ') ? 'refused' : result;
  const [operation = result.json] = Object.values((result.json.operations as object[] | undefined)?.[0] ?? {});
  const { points, pointsSelector } = operation as { points?: unknown; pointsSelector?: unknown };
  return points ?? pointsSelector;
}

for (const { method, batched, at, others } of OPERATIONS) {
  t.test(`${method} writes what is selected, and nothing where nothing is`, async (t) => {
    for (const [selector, sent] of SELECTORS) {
      const message = { ...others, ...(selector && { [at]: selector }) };
      const name = JSON.stringify(selector);
      t.strictSame(sentOf(made(method, message)), sent, `${name} alone`);
      const operations = [{ [batched]: message }];
      t.strictSame(sentOf(made('UpdateBatch', { operations })), sent, `${name} in a batch`);
    }
  });
}

t.test('the old forms of a batch, which are selectors themselves', async (t) => {
  for (const old of ['deleteDeprecated', 'clearPayloadDeprecated']) {
    for (const [selector, sent] of SELECTORS) {
      const operations = [selector ? { [old]: selector } : {}];
      t.strictSame(sentOf(made('UpdateBatch', { operations })), sent, `${JSON.stringify(selector)} as ${old}`);
    }
  }
});
