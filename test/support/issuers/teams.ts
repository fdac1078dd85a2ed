import type { Test } from 'tap';
import { MINTING_SECRET } from '../minting.ts';
import { type Operated, startOperated } from '../operated.ts';
import { startProvider, type TestProvider } from './provider.ts';

/** A provider, and a gateway that takes its tokens. */
export interface Teams {
  readonly provider: TestProvider;
  readonly gateway: Operated;
  /** Where the provider gives tokens. */
  readonly url: string;
}

/**
 * A provider whose tokens are of the team `search`, and a gateway with TLS that gives a team the collections `TEAM-*` and exchanges
 * its tokens at the REST port. Upstream has `other-docs`.
 */
export async function openTeams(t: Test): Promise<Teams> {
  const provider = await startProvider(t.testdir());
  const policy = `
signing_keys: [{ id: minting, secret: ${MINTING_SECRET}, exchange: true }]
token_exchange: { rest_port: true }
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
  const gateway = await startOperated({ files: { 'policy.yaml': policy } });
  t.teardown(() => Promise.all([provider.stop(), gateway.close()]));
  await makeCollection(gateway, 'other-docs');
  return { provider, gateway, url: `${provider.issuer}/token` };
}

/** Makes a collection past the gateway. */
export async function makeCollection({ upstream }: Operated, name: string): Promise<void> {
  const { ok, status } = await fetch(`${upstream.restUrl}/collections/${name}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ vectors: { size: 2, distance: 'Dot' } }),
  });
  if (!ok) throw new Error(`the collection is not made: ${status}`);
}
