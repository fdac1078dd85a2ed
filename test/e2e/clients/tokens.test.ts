import { join } from 'node:path';
import t from 'tap';
import { clientCalls } from '../../support/clients/calls.ts';
import { pythonWithClient } from '../../support/clients/python.ts';
import { startProvider } from '../../support/issuers/provider.ts';
import { startOperated } from '../../support/operated.ts';

/** The official Python client with a function that fetches tokens from a real provider: writes and reads the collections of its team. */
const python = pythonWithClient();
const skip = python === undefined ? 'no Python with qdrant-client is here (.ci/programs installs it)' : false;

t.test('the official Python client fetches its tokens from an identity provider', { skip }, async (t) => {
  const provider = await startProvider(t.testdir());
  t.teardown(() => provider.stop());
  const policy = `
issuers:
  - id: corp
    issuer: ${provider.issuer}
    audiences: [qdrant]
    ca_file: ${provider.ca}
    subject: client_id
    mappings:
      - id: teams
        claim: team
        access: [{ collections: ['\${team}-*'], access: rw, manage: [create, delete] }]
`;
  const settings = { 'service.enable_tls': false };
  const gateway = await startOperated({ files: { 'policy.yaml': policy }, settings });
  t.teardown(() => gateway.close());
  const script = join(import.meta.dirname, 'tokens.py');
  const ports = [`${gateway.rest.port}`, `${gateway.grpc.port}`];
  const calls = await clientCalls(python ?? '', [script, ...ports, `${provider.issuer}/token`, provider.ca]);
  t.equal(calls.length, 14);
  for (const { call, error } of calls) t.equal(error, null, call);
});
