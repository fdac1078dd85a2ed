import { join } from 'node:path';
import t from 'tap';
import { clientCalls } from '../../support/clients/calls.ts';
import { pythonWithClient } from '../../support/clients/python.ts';
import { startFakeQdrant } from '../../support/fake-qdrant/main.ts';

/** What the official Python client makes of the stand-in's answers: everything it offers, over REST and over gRPC. */
const python = pythonWithClient();
const skip = python === undefined ? 'no Python with qdrant-client is here (.ci/programs installs it)' : false;

t.test('the official Python client reads every answer of the stand-in, without a warning', { skip }, async (t) => {
  const fake = await startFakeQdrant({ record: false });
  t.teardown(() => fake.close());
  const ports = [fake.restUrl, fake.grpcUrl].map((url) => new URL(url).port);
  const script = join(import.meta.dirname, 'surface.py');
  const calls = await clientCalls(python ?? '', ['-W', 'ignore', script, ...ports]);
  for (const { call, error } of calls) t.equal(error, null, call);
});
