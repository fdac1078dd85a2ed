import t from 'tap';
import { RECORDED } from '../identity/recorded-cases.ts';
import { filteredGrpcVerdicts } from '../support/verdicts/filtered-grpc.ts';
import { filteredRestVerdicts } from '../support/verdicts/filtered-rest.ts';
import { grpcVerdicts } from '../support/verdicts/grpc.ts';
import { pathVerdicts } from '../support/verdicts/paths.ts';
import { restVerdicts } from '../support/verdicts/rest.ts';
import { Deviations } from '../support/verdicts/verdicts.ts';
import { wireGrpcVerdicts, wireRestVerdicts } from '../support/verdicts/wire.ts';

/** How much was recorded of a secured Qdrant. Each part is replayed by a file beside this one, named `verdicts-`. */
const PARTS: Readonly<Record<string, number>> = {
  REST: restVerdicts().length,
  gRPC: grpcVerdicts().length,
  'filtered REST answers': filteredRestVerdicts().length,
  'filtered gRPC answers': filteredGrpcVerdicts().length,
  credentials: RECORDED.cases.length + RECORDED.cases.filter(({ oneKey }) => oneKey !== undefined).length,
  'request targets': pathVerdicts().length,
  'REST bodies': wireRestVerdicts().length,
  'gRPC streams': wireGrpcVerdicts().length,
};

t.test('every part of what was recorded is there', async (t) => {
  for (const [part, count] of Object.entries(PARTS)) t.ok(count > 0, `${part}: ${count}`);
  const parts = Object.entries(PARTS).map(([part, count]) => `${count} ${part}`);
  const total = Object.values(PARTS).reduce((sum, count) => sum + count, 0);
  t.comment(`note: ${total} recorded verdicts are replayed through the running gateway: ${parts.join(', ')}`);
});

t.test('every listed deviation is checked by a test', async (t) => {
  t.strictSame([...Deviations.files()].sort(), [...CHECKED].sort(), 'no file is listed that is not read');
});

/** The files that tests look up in the list, each failing on an entry that is stale. */
const CHECKED = [
  'credentials.json',
  'cross-grpc.json',
  'cross-rest.json',
  'filtered-rest.json',
  'paths.json',
  'wire-grpc.json',
  'wire-rest.json',
  'grpc/message/inspect.test.ts',
  'grpc/message/message.test.ts',
  'rest/body/content-coding.test.ts',
];
