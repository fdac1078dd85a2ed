import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { withHeaders } from '@qdrant/js-client-grpc';
import { QdrantClient } from '@qdrant/js-client-rest';
import t from 'tap';
import {
  grpcClient,
  grpcOutcome,
  type Outcome,
  restClient,
  restOutcome,
  trust,
} from '../../support/clients/official.ts';
import { prepare, type Step, TUTORIAL } from '../../support/clients/tutorial.ts';
import { CALLERS } from '../../support/clients/tutorial-callers.ts';
import { startProvider } from '../../support/issuers/provider.ts';
import { type Answered, formOf, MINTING_SECRET, readAnswer } from '../../support/minting.ts';
import { startOperated } from '../../support/operated.ts';

/**
 * The official TypeScript clients through the tutorial, over REST and gRPC with TLS: with tokens of a real provider, and with the tokens
 * that the gateway gives in exchange for them.
 */

const provider = await startProvider(t.testdir());
const policy = `
signing_keys: [{ id: minting, secret: ${MINTING_SECRET}, exchange: true }]
token_exchange: { rest_port: true, per_minute: 10000 }
issuers:
  - id: corp
    issuer: ${provider.issuer}
    audiences: [admins, readers, writers]
    ca_file: ${provider.ca}
    subject: client_id
    cool_down: 1
    mappings:
      - { id: admins, claim: aud, value: admins, access: m }
      - { id: readers, claim: aud, value: readers, access: r }
      - { id: writers, claim: aud, value: writers, access: [{ collection: cities, access: rw }] }
`;
const gateway = await startOperated({ files: { 'policy.yaml': policy } });
t.teardown(() => Promise.all([provider.stop(), gateway.close()]));
trust(gateway.ca);
const direct = new QdrantClient({ url: gateway.upstream.restUrl, checkCompatibility: false });

/** The audience of a token decides its access; native callers with the same access tell what is refused. */
const AUDIENCES = {
  admins: 'the admin key',
  readers: 'a token with global read',
  writers: 'an rw token',
} as const;

/** Exchanges a token at the REST port. */
async function exchange(token: string): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const body = formOf({ subject_token: token });
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length };
  const options = { ...gateway.rest, ca: gateway.ca, method: 'POST', path: '/-/token', headers };
  request(options, (response) => {
    const { statusCode: status = 0 } = response;
    text(response).then((said) => resolve(readAnswer({ status, headers: [], body: said })), reject);
  })
    .on('error', reject)
    .end(body);
  return await promise;
}

/** The ways in which the clients send a token. */
const WAYS: Readonly<Record<string, (token: string) => (step: Step) => Promise<Outcome>>> = {
  'REST, as api-key': (token) => {
    const client = restClient(gateway, token);
    return (step) => restOutcome(step.rest(client));
  },
  'REST, as bearer token': (token) => {
    const client = restClient(gateway, undefined, { authorization: `Bearer ${token}` });
    return (step) => restOutcome(step.rest(client));
  },
  'gRPC, as api-key': (token) => {
    const client = grpcClient(gateway, token);
    return (step) => grpcOutcome(step.grpc(client));
  },
  'gRPC, as bearer token of each call': (token) => {
    const client = grpcClient(gateway);
    return (step) => grpcOutcome(withHeaders({ authorization: `Bearer ${token}` }, () => step.grpc(client)));
  },
};

const TOKENS: Readonly<Record<string, (audience: string) => Promise<string>>> = {
  'a token of the provider': (audience) => provider.token(audience),
  'a token in exchange for one of the provider': async (audience) =>
    (await exchange(await provider.token(audience))).token,
};

for (const [what, tokenFor] of Object.entries(TOKENS)) {
  for (const [audience, native] of Object.entries(AUDIENCES)) {
    t.test(`the tutorial with ${what} for ${audience}`, async (t) => {
      const token = await tokenFor(audience);
      const refusals = CALLERS.find(({ name }) => name === native)?.refusals;
      for (const [way, open] of Object.entries(WAYS)) {
        await prepare(direct);
        const ask = open(token);
        for (const step of TUTORIAL) {
          const refusal = refusals?.[step.needs];
          const code = way.startsWith('REST') ? 403 : 7;
          gateway.upstream.recorder.clear();
          t.same(await ask(step), refusal === undefined ? 'ok' : [code, refusal], `${way}: ${step.name}`);
          const { rest, grpc } = gateway.upstream.recorder;
          t.equal(rest.length + grpc.length > 0, refusal === undefined, `${way}: ${step.name} reaches upstream`);
        }
      }
    });
  }
}

t.test('a provider that drops its key ends the tokens in exchange, on each way', async (t) => {
  await prepare(direct);
  const before = await provider.token('readers');
  const { token } = await exchange(before);
  const query = TUTORIAL.find(({ name }) => name === 'query');
  if (!query) throw new TypeError('the tutorial has no query');
  const asks = Object.entries(WAYS).map(([way, open]) => [way, open(token), open(before)] as const);
  for (const [way, minted, issued] of asks) t.same([await minted(query), await issued(query)], ['ok', 'ok'], way);
  provider.rotate();
  const after = await provider.token('readers');
  // The gateway asks for the new key once the cool-down of a second is over.
  let fresh = await exchange(after);
  for (let again = 0; again < 2000 && fresh.status !== 200; again += 1) fresh = await exchange(after);
  t.equal(fresh.status, 200);
  for (const [way, minted, issued] of asks) {
    const code = way.startsWith('REST') ? 403 : 7;
    t.match(await issued(query), [code, /./], `${way}: the token of the former key`);
    t.match(
      await minted(query),
      [way.startsWith('REST') ? 401 : 16, 'Invalid API key or JWT'],
      `${way}: minted for it`,
    );
    t.equal(await (WAYS[way] as (typeof WAYS)[string])(fresh.token)(query), 'ok', `${way}: minted for the new one`);
  }
  t.match(await exchange(before), { status: 400, error: 'invalid_request' }, 'nor is it exchanged again');
});
