import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { clientCalls } from '../../support/clients/calls.ts';
import { buildGoClient } from '../../support/clients/go.ts';
import { startFakeQdrant } from '../../support/fake-qdrant/main.ts';
import { openTeams } from '../../support/issuers/teams.ts';

/** What the official Go client makes of the stand-in's answers: everything it offers. And the tutorial with tokens of a provider. */
const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-go-'));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const program = join(folder, 'go-client');

const skip = buildGoClient(program);

t.test('the official Go client reads every answer of the stand-in', { skip }, async (t) => {
  const fake = await startFakeQdrant({ record: false });
  t.teardown(() => fake.close());
  const calls = await clientCalls(program, ['127.0.0.1', new URL(fake.grpcUrl).port]);
  for (const { call, error } of calls) t.equal(error, null, call);
});

t.test(
  'the official Go client goes through the tutorial with a token of a provider for each call',
  { skip },
  async (t) => {
    const { provider, gateway, url } = await openTeams(t);
    const args = ['localhost', `${gateway.grpc.port}`, 'issued', gateway.caFile, url, provider.ca];
    const calls = await clientCalls(program, args);
    t.equal(calls.length, 24);
    for (const { call, error } of calls) t.equal(error, null, call);
  },
);

t.test(
  'the official Go client exchanges a token of a provider once, for gRPC and for REST over HTTP/2',
  { skip },
  async (t) => {
    const { provider, gateway } = await openTeams(t);
    const rest = `https://localhost:${gateway.rest.port}`;
    const args = ['localhost', `${gateway.grpc.port}`, 'exchange', gateway.caFile, rest, await provider.token()];
    const calls = await clientCalls(program, args);
    t.equal(calls.length, 31);
    for (const { call, error } of calls) t.equal(error, null, call);
  },
);
