import { join } from 'node:path';
import t from 'tap';
import { clientCalls } from '../../support/clients/calls.ts';
import { pythonWithClient } from '../../support/clients/python.ts';
import { startFakeQdrant } from '../../support/fake-qdrant/main.ts';
import { KEYS, startGateway } from '../../support/gateway.ts';

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

t.test('everything it sends is read for its cost and its bounds', { skip }, async (t) => {
  const wide = { max_query_limit: 1000, max_points: 1000, search_max_batchsize: 100, filter_max_conditions: 100 };
  const gateway = await startGateway({
    tls: false,
    guards: [{ id: 'wide', mode: 'enforce', bounds: { collections: ['docs', 'plain'], ...wide } }],
    limits: [{ id: 'generous', mode: 'enforce', each: 'all', cost: { per: 'second', most: 1_000_000_000 } }],
  });
  t.teardown(() => gateway.close());
  const script = join(import.meta.dirname, 'surface.py');
  const ports = [`${gateway.rest.port}`, `${gateway.grpc.port}`];
  const calls = await clientCalls(python ?? '', ['-W', 'ignore', script, ...ports, KEYS.admin]);
  t.ok(calls.length > 100, `${calls.length} calls`);
  for (const { call, error } of calls) t.equal(error, null, call);
});

/** The asks of `limits.py` that are told, in the names of both protocols. */
const READS = ['count', 'list_collections'];

t.test(
  'the official Python client tells a limit of the policy as one of a strict mode, and backs off',
  { skip },
  async (t) => {
    const gateway = await startGateway({
      tls: false,
      settings: { 'gateway.admin.port': 0 },
      limits: [
        { id: 'daily', mode: 'enforce', each: 'all', operations: READS, requests: { per: 'day', most: 1 } },
        { id: 'uploads', mode: 'enforce', each: 'all', operations: ['ingest'], requests: { per: 'second', most: 2 } },
      ],
    });
    t.teardown(() => gateway.close());
    const headers = { 'api-key': KEYS.admin, 'content-type': 'application/json' };
    await fetch(`${gateway.rest.url}/collections`, { headers });
    const body = JSON.stringify({ vectors: { size: 4, distance: 'Cosine' } });
    await fetch(`${gateway.rest.url}/collections/docs`, { method: 'PUT', headers, body });
    const script = join(import.meta.dirname, 'limits.py');
    const calls = await clientCalls(python ?? '', [script, `${gateway.rest.port}`, `${gateway.grpc.port}`, KEYS.admin]);
    t.same(
      calls.map(({ call, error }) => [call, error]),
      [
        ['rest', null],
        ['grpc', null],
        ['rest upload', null],
        ['grpc upload', null],
        ['end', null],
      ],
      'an upload waits as long as it is told, and ends',
    );
    t.ok((gateway.snapshot().observed?.limited.uploads?.denied ?? 0) > 0, 'it was refused on its way');
  },
);
