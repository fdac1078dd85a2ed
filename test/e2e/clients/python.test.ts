import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { startFakeQdrant } from '../../support/fake-qdrant/main.ts';
import { pythonWithClient } from '../../support/python-client.ts';

/** What the official Python client makes of the stand-in's answers: everything it offers, over REST and over gRPC. */
const python = pythonWithClient();
const skip = python === undefined ? 'no Python with qdrant-client is here (.ci/programs installs it)' : false;

t.test('the official Python client reads every answer of the stand-in, without a warning', { skip }, async (t) => {
  const fake = await startFakeQdrant({ record: false });
  t.teardown(() => fake.close());
  const ports = [fake.restUrl, fake.grpcUrl].map((url) => new URL(url).port);
  const script = join(import.meta.dirname, 'surface.py');
  const child = spawn(python ?? '', ['-W', 'ignore', script, ...ports], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const calls = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly call: string; readonly error: string | null });
  for (const { call, error } of calls) t.equal(error, null, call);
  t.equal(calls.at(-1)?.call, 'end', `it came to its end: ${err}`);
});
