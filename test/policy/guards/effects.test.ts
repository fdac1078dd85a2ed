import t from 'tap';
import { GRPC_OPERATIONS, INTERNAL_GRPC, UNLISTED_GRPC } from '../../../src/operations/grpc.ts';
import { REST_OPERATIONS, UNLISTED_REST } from '../../../src/operations/rest.ts';
import { DECIDED, effectOf } from '../../../src/policy/guards/effects.ts';
import type { Operation } from '../../../src/policy/operation.ts';

const ROWS: readonly Operation[] = [...REST_OPERATIONS, ...GRPC_OPERATIONS];
const UNKNOWN: readonly Operation[] = [UNLISTED_REST, UNLISTED_GRPC, INTERNAL_GRPC];

t.test('each row above the level read has a decision on what it does, and nothing else has', async (t) => {
  const above = ROWS.filter(({ requires }) => requires.level !== 'read').map(({ name }) => name);
  t.strictSame([...DECIDED].sort(), above.sort());
});

t.test('a row without a decision loses', async (t) => {
  for (const row of ROWS) {
    const tomorrow = { ...row, name: `${row.name}.tomorrow` };
    t.equal(effectOf(tomorrow), row.requires.level === 'read' ? 'reads' : 'loses', tomorrow.name);
  }
});

t.test('what is in no table loses, whatever its name', async (t) => {
  for (const row of UNKNOWN) {
    t.equal(effectOf(row), 'loses');
    t.equal(effectOf({ ...row, name: 'points.upsert' }), 'loses');
  }
});

t.test('an operation does the same on both protocols', async (t) => {
  // One name in the audit log of upstream for what adds and what removes shards.
  const apart = 'update_collection_cluster';
  for (const rest of REST_OPERATIONS) {
    for (const grpc of GRPC_OPERATIONS) {
      if (rest.audit === null || rest.audit !== grpc.audit || rest.audit === apart) continue;
      t.equal(effectOf(grpc), effectOf(rest), `${grpc.name} and ${rest.name}`);
    }
  }
});
