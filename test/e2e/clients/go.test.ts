import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { clientCalls } from '../../support/clients/calls.ts';
import { buildGoClient } from '../../support/clients/go.ts';
import { startFakeQdrant } from '../../support/fake-qdrant/main.ts';

/** What the official Go client makes of the stand-in's answers: everything it offers. */
const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-go-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const program = join(folder, 'go-client');

t.test('the official Go client reads every answer of the stand-in', { skip: buildGoClient(program) }, async (t) => {
  const fake = await startFakeQdrant({ record: false });
  t.teardown(() => fake.close());
  const calls = await clientCalls(program, ['127.0.0.1', new URL(fake.grpcUrl).port]);
  for (const { call, error } of calls) t.equal(error, null, call);
});
