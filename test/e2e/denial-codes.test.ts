import { request } from 'node:http';
import { PassThrough } from 'node:stream';
import t from 'tap';
import { errors } from 'undici';
import { createAudit } from '../../src/audit/audit.ts';
import { loadConfig } from '../../src/config/load.ts';
import { unbegun } from '../../src/exchange/exchange.ts';
import { begin } from '../../src/exchange/steps.ts';
import { stillStands } from '../../src/exchange/still-stands.ts';
import { answerFor } from '../../src/grpc/answer.ts';
import type { GrpcExchange } from '../../src/grpc/exchange.ts';
import { MessageReader } from '../../src/grpc/message/message.ts';
import { WireFault } from '../../src/grpc/message/wire.ts';
import { createAuthenticator } from '../../src/identity/authenticate.ts';
import { createKeyRing } from '../../src/identity/key-ring.ts';
import type { Principal } from '../../src/identity/principal.ts';
import { NO_REVOCATIONS, type Revocations } from '../../src/identity/revocations.ts';
import { createValueExists, type Scroll } from '../../src/identity/value-exists.ts';
import { createAnswerMemory } from '../../src/limits/answer-memory.ts';
import { MemoryBudget, type NoMemory } from '../../src/limits/memory-budget.ts';
import { GRPC_OPERATIONS } from '../../src/operations/grpc.ts';
import { REST_OPERATIONS } from '../../src/operations/rest.ts';
import { decide, settle } from '../../src/policy/decide.ts';
import { AUDIT_UNAVAILABLE, type Denial } from '../../src/policy/denial.ts';
import { DENIAL_CODES, type DenialCode } from '../../src/policy/denial-codes.ts';
import { type Limit, tooManyOpen } from '../../src/policy/limits/limits.ts';
import type { IssuerSettings } from '../../src/policy/mapping/issuer.ts';
import { createMapper, type MappingSettings } from '../../src/policy/mapping/mapper.ts';
import type { NamedKeySettings } from '../../src/policy/named-key.ts';
import { NO_TARGET } from '../../src/policy/operation.ts';
import { firstRefusal } from '../../src/policy/rules.ts';
import { type AccessSettings, accessOf as grantsOf } from '../../src/policy/settings.ts';
import { NO_FEATURES } from '../../src/policy/tenants/rewriting.ts';
import { NO_TOKEN_RULES, type TokenRules } from '../../src/policy/token-rules.ts';
import { noMemory } from '../../src/rest/body/denials.ts';
import { BodyFault, RequestBody } from '../../src/rest/body/request-body.ts';
import type { RestExchange } from '../../src/rest/exchange.ts';
import { NO_CREDENTIAL } from '../../src/upstream/credential.ts';
import { toUpstreamDenial } from '../../src/upstream/http.ts';
import { NodeSet } from '../../src/upstream/nodes/node-set.ts';
import { pickNode } from '../../src/upstream/nodes/pick.ts';
import { exchangeOf } from '../audit/fixture.ts';
import { made } from '../rest/tenants/made.ts';
import { newCa, type Pair } from '../support/client-certificates.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { PLAIN_PARTS } from '../support/exchange-parts.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { looseGuard, openLife } from '../support/guards.ts';
import { goodClaims, issuerWith, providerKey, signToken } from '../support/issuers/keys.ts';
import { namedKey } from '../support/named-keys.ts';
import { shownTo, trustIn } from '../support/shown-certificate.ts';
import { collectionToken, makeToken } from '../support/tokens.ts';
import { accessOf } from '../support/verdicts/principals.ts';
import { RefusalCodes } from '../support/verdicts/refusal-codes.ts';

/*
 * Each code of the table is produced by a case: by a request to a gateway where one request can, else by the part that
 * refuses.
 */

const MIB = 1 << 20;
const JSON_TYPE = { 'content-type': 'application/json' };
const ONE_TEAM: AccessSettings = [{ collections: ['team-*'], manage: ['create'], max_collections: 1 }];
const NAMED = 'qgw_test_secret';
const GLASS = 'qgw_glass_secret';
const MINTING = 'a-secret-for-minted-tokens-0123456789';
const MINTED = {
  ...{ jti: 'x', iat: 1, exp: 9e9, access: 'm' },
  qdrant_gateway_source: { kind: 'key', key: 'gone', print: 'x', bound: 'claim' },
};
const codes = new RefusalCodes();
/** The list of collections; `undefined` = one that is too large. */
let listed: string | undefined;
const gateway = await startGateway({
  tls: false,
  observers: [codes.observe],
  settings: {
    'service.enable_snapshot_url_recovery': false,
    'gateway.limits.inspected_body_bytes': MIB,
    'gateway.limits.json_depth': 8,
    'gateway.compatibility.create_existing': true,
    'gateway.limits.body_idle_timeout_ms': 100,
  },
  rules: [
    { id: 'count', mode: 'enforce', subjects: ['counter'], access: 'm', operations: ['points.count'] },
    { id: 'make', mode: 'enforce', subjects: ['maker'], access: ONE_TEAM },
  ],
  namedKeys: [namedKey('glass', GLASS, { breakGlass: true })],
  guards: [
    { id: 'kept', mode: 'enforce', protected: ['kept'], freeze: ['ice'] },
    { id: 'bounded', mode: 'enforce', bounds: { subjects: ['bounded'], max_query_limit: 10 } },
  ],
  limits: [{ id: 'small', mode: 'enforce', subjects: ['small'], each: 'principal', bytes: { per: 'day', most: 1 } }],
  upstream: {
    onRest: ({ url }, response) => {
      if (url === '/collections/broken') response.socket?.destroy();
      else if (url === '/collections/keyed') response.writeHead(401).end();
      else if (url === '/collections') response.end(listed ?? Buffer.alloc(65 * MIB, ' '));
      else return false;
      return true;
    },
  },
});
const client = rawClient(gateway);
/** Before a Qdrant that cannot bind upserts. */
const bound = await startGateway({
  tls: false,
  observers: [codes.observe],
  upstream: { version: '1.15.3' },
  tenants: [
    { id: 'docs', collections: ['docs'], field: 'tenant', from: 'tenant' },
    { id: 'keyed', collections: ['keyed'], field: 'tenant', from: 'tenant', shard_key: true },
  ],
});
for (const [path, body] of [
  ['', '{"vectors":{"size":1,"distance":"Dot"}}'],
  ['/points?wait=true', '{"points":[{"id":1,"vector":[1],"payload":{"tenant":"umbrella"}}]}'],
]) {
  await fetch(`${bound.upstream.restUrl}/collections/docs${path}`, {
    method: 'PUT',
    body: body ?? '',
    headers: JSON_TYPE,
  });
}
t.teardown(async () => {
  client.close();
  await bound.close();
  await gateway.close();
});

const READER = collectionToken('r', 'docs');
const BATCH = '/collections/docs/points/query/batch';
let marks = 0;

/** The code with which a gateway refuses what `send` asks with a mark of its own. */
async function refused(send: (mark: Readonly<Record<string, string>>) => void): Promise<DenialCode | undefined> {
  marks += 1;
  const mark = `case ${marks}`;
  send({ 'x-mark': mark });
  return (await codes.take([mark]))[mark];
}

interface Sent {
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function rest(method: string, path: string, key?: string, { body, headers }: Sent = {}) {
  return refused((mark) => {
    const credential = key === undefined ? {} : { 'api-key': key };
    const all = { ...mark, ...credential, ...headers };
    const sent = request({ host: '127.0.0.1', port: gateway.rest.port, agent: false, method, path, headers: all });
    sent.on('response', (response) => response.resume()).on('error', () => undefined);
    // A body that is announced and does not come.
    if (headers?.['content-length']) sent.flushHeaders();
    else sent.end(body);
  });
}

/** Of a caller of the tenant `acme`, on the collection `docs`. */
function asTenant(
  method: string,
  path: string,
  body: object | undefined,
  { collection = 'docs', ...claims }: { readonly collection?: string; readonly tenant?: string } = { tenant: 'acme' },
) {
  return refused((mark) => {
    const token = makeToken({ access: [{ collection, access: 'rw' }], ...claims });
    const headers = { ...mark, ...JSON_TYPE, 'api-key': token };
    const sent = { method, headers, ...(body && { body: JSON.stringify(body) }) };
    void fetch(`${bound.rest.url}/collections/${collection}${path}`, sent).then((answer) => answer.text());
  });
}

function grpc(path: string, bytes: Uint8Array, key = READER) {
  return refused((mark) => void unary(client, path, bytes, { ...mark, 'api-key': key }));
}

interface Presented {
  readonly named?: Partial<NamedKeySettings>;
  readonly tokenRules?: Partial<TokenRules>;
  readonly revocations?: Partial<Revocations>;
  readonly scroll?: Scroll;
  readonly unknown?: boolean;
}

/** The code with which a credential is refused. */
async function presented(
  credential: string,
  { named, tokenRules, revocations, scroll, unknown = false }: Presented = {},
): Promise<DenialCode | undefined> {
  const { authenticate } = createAuthenticator({
    ring: createKeyRing(
      {
        ...{ apiKey: KEYS.admin, jwtRbac: true, tokenRules: { ...NO_TOKEN_RULES, ...tokenRules } },
        ...{ namedKeys: [namedKey('test', NAMED, named)], namedKeysUnknown: unknown },
        signingKeys: [{ id: 'minting', secret: MINTING, exchange: true }],
      },
      1,
    ),
    cacheEntries: 0,
    now: Date.now,
    revocations: () => ({ ...NO_REVOCATIONS, ...revocations }),
    ...(scroll && { valueExists: createValueExists({ scroll, timeoutMs: 60_000 }) }),
  });
  return codeOf(await authenticate(['api-key', credential]));
}

function codeOf(answer: object | undefined): DenialCode | undefined {
  return answer && 'code' in answer ? (answer as Denial).code : undefined;
}

/** The code of what a body's stream ends with. */
function bodyCut(): Promise<DenialCode | undefined> {
  const source = new PassThrough();
  const exchange = { request: source, guard: looseGuard(), life: openLife() } as unknown as RestExchange;
  const { promise, resolve } = Promise.withResolvers<DenialCode | undefined>();
  new RequestBody(exchange, 60_000).on('error', (error) =>
    resolve(error instanceof BodyFault ? error.denial.code : undefined),
  );
  source.destroy();
  return promise;
}

/** Two bodies that take all the budget there is, the second of which waits too long. */
function noRoom(): Promise<DenialCode> {
  const budget = new MemoryBudget({ capacity: MIB, priorityMs: 60_000, waitMs: 1 });
  const { promise, resolve } = Promise.withResolvers<DenialCode>();
  for (let body = 0; body < 2; body += 1) {
    const giveUp = (reason: NoMemory) => resolve(noMemory(reason).code);
    const sharer = { owner: 1, client: body };
    budget.enter(sharer, { guard: looseGuard(), resume: () => undefined, giveUp }).add(4 * MIB);
  }
  return promise;
}

/** A request of a browser whose only credential is its certificate. */
async function ofAnotherPage(): Promise<DenialCode | undefined> {
  const operation = GRPC_OPERATIONS.find(({ name }) => name === 'qdrant.Collections/List');
  if (!operation) throw new TypeError('no such operation');
  const { promise, resolve } = Promise.withResolvers<DenialCode | undefined>();
  const holder: Principal = { ...FREE_PRINCIPAL, authType: 'Certificate' };
  const parts = {
    ...PLAIN_PARTS,
    authenticate: () => holder,
    record: () => undefined,
    fault: () => resolve(undefined),
  };
  begin(
    parts,
    {
      resolve: () => ({ operation, target: NO_TARGET }),
      checkBody: () => undefined,
      isCrossSite: () => true,
      abandonBody: () => undefined,
      forward: () => resolve(undefined),
      reject: (_, denial) => resolve(denial.code),
    },
    exchangeOf({}),
  );
  return await promise;
}

/** A list of collections for a caller that has left before there was a place. */
async function listUnanswered(): Promise<DenialCode | undefined> {
  const operation = GRPC_OPERATIONS.find(({ name }) => name === 'qdrant.Collections/List');
  if (!operation) throw new TypeError('no such operation');
  const permit = decide(accessOf({ docs: 'r' }), operation, NO_TARGET);
  if (permit.kind !== 'permit') throw new TypeError('not permitted');
  const exchange = { headers: [], remote: '', resolution: { operation } } as unknown as GrpcExchange;
  const never = () => new Promise<never>(() => undefined);
  const answer = answerFor(
    exchange,
    permit,
    NO_CREDENTIAL,
    createAnswerMemory(60_000),
  )?.({ ask: never, askOpen: never }, permit, AbortSignal.abort());
  return codeOf(await answer);
}

/** A second collection where one is allowed. */
function secondOfOne(): DenialCode | undefined {
  const operation = REST_OPERATIONS.find(({ name }) => name === 'collections.create');
  if (!operation) throw new TypeError('no such operation');
  const decision = decide(grantsOf(ONE_TEAM), operation, { kind: 'collection', name: 'team-b' });
  if (decision.kind !== 'conditional') throw new TypeError('not conditional');
  return codeOf(settle(decision, { others: [], existing: ['team-a', 'docs'] }));
}

/** Guesses at a chosen key: more than are verified and wait. */
async function manyGuesses(): Promise<DenialCode | undefined> {
  const scrypt = { kind: 'scrypt', cost: 2, blockSize: 8, parallelization: 1, salt: 'c2FsdHNhbHQ', hash: 'x' } as const;
  const key = namedKey('test', NAMED, { hash: scrypt });
  const { authenticate } = createAuthenticator({
    ring: createKeyRing({ namedKeys: [key] }, 1),
    cacheEntries: 0,
    now: Date.now,
  });
  const answers = Array.from({ length: 100 }, (_, at) => authenticate(['api-key', `qgw_test_${at}`]));
  const codes = (await Promise.all(answers)).map(codeOf);
  return codes.find((code) => code !== 'bad_credential');
}

/** An audit that nothing takes entries from. */
async function auditFull(): Promise<DenialCode | undefined> {
  const { config } = loadConfig({
    env: {},
    defaults: {
      'service.api_key': KEYS.admin,
      'service.grpc_port': null,
      'gateway.upstream.rest_url': 'http://127.0.0.1:1',
      'gateway.audit.syslog_url': 'tcp://127.0.0.1:1',
      'gateway.audit.buffer_entries': 16,
      'gateway.audit.when_full': 'deny',
    },
  });
  const ignore = () => undefined;
  const audit = await createAudit(config, {
    firstRefusal,
    unavailable: AUDIT_UNAVAILABLE,
    changed: ignore,
    fault: ignore,
  });
  const exchange = exchangeOf({});
  for (let i = 0; i < 100; i += 1) audit?.observe(exchange, { status: 200, received: 0, sent: 0 });
  const answer = await audit?.admit(exchange);
  await audit?.close(0);
  return codeOf(answer);
}

/** A call that is open when the gateway ends. */
async function openAtTheEnd(): Promise<DenialCode | undefined> {
  const ended = new RefusalCodes();
  const arrived = Promise.withResolvers<void>();
  const ending = await startGateway({
    tls: false,
    observers: [ended.observe],
    upstream: {
      onGrpc: () => {
        arrived.resolve();
        return true;
      },
    },
  });
  const caller = rawClient(ending);
  void unary(caller, '/qdrant.Points/Count', message({ 1: 'docs' }), { 'x-mark': 'x', 'api-key': KEYS.admin });
  await arrived.promise;
  const code = ended.take(['x']);
  await ending.close();
  caller.close();
  return (await code).x;
}

const ISSUER_KEY = providerKey('ES256', 'k');

/** What a token of an identity provider gets. */
async function issued(more: object, header: object = {}, issuer: Partial<IssuerSettings> = {}) {
  const ring = createKeyRing({ issuers: [issuerWith([ISSUER_KEY], issuer)] }, 1);
  const authenticator = createAuthenticator({ ring, cacheEntries: 0, now: () => 1e9 });
  const token = signToken(ISSUER_KEY, goodClaims(1e6, more), header);
  const found = await authenticator.authenticate(['api-key', token]);
  return found.kind === 'denial' ? found.code : undefined;
}

const [clientCa, otherCa] = await Promise.all([newCa('clients'), newCa('others')]);

/** A key beside a certificate, shown in a handshake. */
async function beside(
  client: Partial<Pair>,
  { ca = [clientCa.cert], crl }: { readonly ca?: readonly string[]; readonly crl?: readonly string[] } = {},
): Promise<DenialCode | undefined> {
  const trusted = { ca, ...(crl && { crl }) };
  const trust = trustIn(trusted);
  const use = { mode: 'beside_key', id: 'clients', mappings: [{ id: 'any', access: 'm' }] } as const;
  const ring = createKeyRing({ apiKey: KEYS.admin, certificates: { use, trust } }, 1);
  const { authenticate } = createAuthenticator({ ring, cacheEntries: 0, now: Date.now });
  return codeOf(await authenticate(['api-key', KEYS.admin], undefined, '', await shownTo(trusted, client, trust)));
}

/** What mappings say of an identity of team `a`, tenant 1 and the group `x`. */
function mapped(...mappings: readonly MappingSettings[]): DenialCode | undefined {
  const claims = new Map<string, string | bigint>([
    ['team', 'a'],
    ['tenant', 1n],
    ['group', 'x'],
  ]);
  const found = createMapper(mappings).map(claims);
  return found.kind === 'denial' ? found.code : undefined;
}

/** A token that writes creates what is there. */
async function createdAgain(): Promise<DenialCode | undefined> {
  listed = '{"result":{"collections":[{"name":"docs"}]}}';
  const code = await rest('PUT', '/collections/docs', collectionToken('rw', 'docs'), { body: '{}', headers: json });
  listed = undefined;
  return code;
}

function unknownNode(): DenialCode | undefined {
  const wish = { sticky: false, asked: 'x', affinity: undefined, client: '', sees: false };
  const picked = pickNode(new NodeSet({ now: () => 0 }), wish);
  return 'code' in picked ? picked.code : undefined;
}

function badFrame(): DenialCode | undefined {
  const ignore = () => undefined;
  const sink = { open: ignore, payload: ignore, close: ignore };
  const limits = { compressedBytes: 1, inflatedBytes: 1 };
  try {
    new MessageReader({ encoding: undefined, limits, single: true, later: ignore }, sink).push(
      Buffer.of(2, 0, 0, 0, 0),
    );
  } catch (error) {
    return error instanceof WireFault ? error.denial.code : undefined;
  }
  return undefined;
}

const nested = `{"filter":${'{"must":'.repeat(20)}1${'}'.repeat(20)}}`;
const searches = Array.from({ length: 10_001 }, (_, i) => `{"lookup_from":{"collection":"n${i}"}}`);
const lookups = ['docs', 'more'].map((name) => message({ 13: message({ 1: name }) }));
const queries = Array.from({ length: 1025 }, (_, i) =>
  message({ 2: message({ 1: 'docs', 14: message({ 1: `n${i}` }) }) }),
);
const BOTH = makeToken({ access: ['docs', 'more'].map((collection) => ({ collection, access: 'r' })) });
const EXISTS = makeToken({ access: 'm', value_exists: { collection: 'c', matches: [] } });
const json = { 'content-type': 'application/json' };

const FREE_PRINCIPAL: Principal = {
  ...{ kind: 'principal', access: accessOf('m'), bounds: undefined, authType: 'ApiKey', keyId: 'api_key' },
  subject: undefined,
};

type Case = readonly [name: string, produce: () => DenialCode | undefined | Promise<DenialCode | undefined>];

const CASES: Readonly<Record<DenialCode, readonly Case[]>> = {
  missing_credential: [['a request without a credential', () => rest('GET', '/collections')]],
  bad_credential: [['a request with a wrong key', () => rest('GET', '/collections', 'wrong')]],
  invalid_signature: [['a token of another key', () => rest('GET', '/collections', makeToken({}, 'another-key'))]],
  token_expired: [['a token of 1970', () => rest('GET', '/collections', makeToken({ exp: 1 }))]],
  token_revoked: [
    [
      'a token with a revoked id',
      () => presented(makeToken({ jti: 'x' }), { revocations: { tokens: new Set(['x']) } }),
    ],
  ],
  invalid_claims: [
    [
      'a token that lists a collection twice',
      () => {
        const twice = { collection: 'docs', access: 'r' };
        return rest('GET', '/collections', makeToken({ access: [twice, twice] }));
      },
    ],
  ],
  key_disabled: [['a disabled key', () => presented(NAMED, { named: { disabled: true } })]],
  key_network: [
    ['a key for networks, from an unknown address', () => presented(NAMED, { named: { networks: ['10.0.0.0/8'] } })],
  ],
  key_expired: [['a key of 1970', () => presented(NAMED, { named: { expiresAt: 1 } })]],
  key_not_yet_valid: [['a key of the far future', () => presented(NAMED, { named: { notBefore: 9e15 } })]],
  key_limit_gone: [['a key with a limit that is gone', () => presented(NAMED, { named: { limits: ['gone'] } })]],
  reason_required: [['a break-glass key without a reason', () => rest('GET', '/collections', GLASS)]],
  keys_unknown: [['a named key before Redis was read', () => presented(NAMED, { unknown: true })]],
  keys_busy: [['many guesses at a chosen key', manyGuesses]],
  token_without_exp: [
    ['a token for ever', () => presented(makeToken({ access: 'r' }), { tokenRules: { requireExp: true } })],
  ],
  token_too_long: [
    ['a token for centuries', () => presented(makeToken({ exp: 9e9 }), { tokenRules: { maxLifetime: 3600 } })],
  ],
  token_without_access: [['no access', () => presented(makeToken({}), { tokenRules: { requireAccess: true } })]],
  token_manages: [
    ['a token that manages', () => presented(makeToken({ access: 'm' }), { tokenRules: { refuseManage: true } })],
  ],
  token_secret_short: [
    ['a secret under the limit', () => presented(makeToken({}), { tokenRules: { minSecretBytes: 1000 } })],
  ],
  wrong_audience: [['a token for another service', () => issued({ aud: 'other' })]],
  token_not_yet_valid: [['a token of the future', () => issued({ nbf: 2e6 })]],
  issuer_key_unknown: [['a token with another `kid`', () => issued({}, { kid: 'x' })]],
  issuer_token_unfit: [['a token of another type', () => issued({}, { typ: 'x' })]],
  issuer_keys_unknown: [
    [
      'a token of an issuer whose keys were never fetched',
      () => {
        const never = { url: 'https://x', ca: undefined, bearerTokenFile: undefined, refreshMs: 1, coolDownMs: 1 };
        return issued({}, {}, { source: { from: 'url', ...never, maxStaleMs: 1 } });
      },
    ],
  ],
  groups_overage: [
    [
      'a token without its many groups',
      () => issued({ hasgroups: true }, {}, { mappings: [{ id: 'a', claim: 'groups', access: 'r' }] }),
    ],
  ],
  no_mapping: [
    ['an identity of no mapped group', () => mapped({ id: 'a', claim: 'group', values: ['y'], access: 'r' })],
  ],
  mappings_conflict: [
    [
      'an identity of two tenants',
      () => mapped({ id: 'a', access: 'r', tenant: ['t'] }, { id: 'b', access: 'r', tenant: ['u'] }),
    ],
  ],
  claim_missing: [
    ['a name of a claim that is missing', () => mapped({ id: 'a', access: [{ collection: '${gone}', access: 'r' }] })],
  ],
  claim_unfit: [
    [
      'a name of a claim that is a number',
      () => mapped({ id: 'a', access: [{ collection: '${tenant}', access: 'r' }] }),
    ],
  ],
  token_source_gone: [['a minted token for a key that is gone', () => presented(makeToken(MINTED, MINTING))]],
  token_wrong_signer: [
    ['a token of a client under a key for exchange', () => presented(makeToken({ access: 'r' }, MINTING))],
    ['a token of a client that names a source', () => presented(makeToken(MINTED))],
  ],
  certificate_missing: [['a key without the certificate that has to be beside it', () => beside({})]],
  certificate_unverified: [['a certificate of another CA', async () => beside(await otherCa.issue())]],
  certificate_expired: [
    ['a certificate of yesterday', async () => beside(await clientCa.issue({ from: -2, until: -1 }))],
  ],
  certificate_revoked: [
    [
      'a certificate in a revocation list',
      async () => {
        const client = await clientCa.issue();
        return beside(client, { crl: [await clientCa.list({ revoked: [client.serial] })] });
      },
    ],
  ],
  certificate_unfit: [
    [
      'a certificate with two SPIFFE ids',
      async () =>
        beside(
          await clientCa.issue({
            san: [
              [6, 'spiffe://a/b'],
              [6, 'spiffe://a/c'],
            ],
          }),
        ),
    ],
  ],
  certificate_status_unknown: [
    [
      'a revocation list past its time',
      async () => beside(await clientCa.issue(), { crl: [await clientCa.list({ from: -2, until: -1 })] }),
    ],
  ],
  certificate_cross_site: [['a browser that adds its certificate to the request of another page', ofAnotherPage]],
  value_exists_no_collection: [
    ['a token about a collection that is gone', () => presented(EXISTS, { scroll: async () => 'no-collection' })],
  ],
  value_exists_no_point: [
    ['a token about a point that is gone', () => presented(EXISTS, { scroll: async () => 'no-match' })],
  ],
  global_required: [['a list that asks about the cluster', () => rest('GET', '/cluster', READER)]],
  global_manage_required: [
    ['the read-only key that makes a collection', () => rest('PUT', '/collections/docs', KEYS.readOnly)],
  ],
  manage_required: [
    [
      'a list that makes a shard key',
      () => rest('PUT', '/collections/docs/shards', collectionToken('rw', 'docs'), { body: '{}', headers: json }),
    ],
  ],
  collection_not_listed: [
    ['a list and another collection', () => rest('GET', '/collections/other', READER)],
    ['a list and a call on another collection', () => grpc('/qdrant.Points/Count', message({ 1: 'other' }))],
    [
      'a list and a body that names another collection',
      () => rest('POST', BATCH, READER, { body: `{"searches":[${searches[0]}]}`, headers: json }),
    ],
  ],
  points_only: [
    [
      'a list of points that asks for snapshots',
      () => rest('GET', '/collections/docs/snapshots', collectionToken('prw', 'docs')),
    ],
  ],
  write_required: [['a list that reads and writes', () => rest('PUT', '/collections/docs/points', READER)]],
  operation_not_allowed: [
    [
      'a rule without the operation',
      () => rest('GET', '/collections/docs', makeToken({ access: 'm', subject: 'counter' })),
    ],
  ],
  too_many_collections: [['a second collection where one is allowed', secondOfOne]],
  collections_unknown: [
    [
      'a collection to count while upstream gives no list',
      () =>
        rest('PUT', '/collections/team-a', makeToken({ access: 'm', subject: 'maker' }), { body: '{}', headers: json }),
    ],
  ],
  collection_exists: [['a writer that creates its collection again', createdAgain]],
  writes_frozen: [['an upsert into a frozen collection', () => rest('PUT', '/collections/ice/points', KEYS.admin)]],
  collection_protected: [
    ['a protected collection that is deleted', () => rest('DELETE', '/collections/kept', KEYS.admin)],
  ],
  tenant_value: [['a token without a tenant', () => asTenant('POST', '/points/scroll', {}, {})]],
  tenant_operation: [['a tenant that makes a snapshot', () => asTenant('POST', '/snapshots', undefined)]],
  tenant_field: [
    [
      'a payload of another tenant',
      () => asTenant('POST', '/points/payload', { payload: { tenant: 'umbrella' }, filter: {} }),
    ],
  ],
  tenant_shard_key: [
    [
      'a shard key of another tenant',
      () => asTenant('POST', '/points/scroll', { shard_key: 'umbrella' }, { tenant: 'acme', collection: 'keyed' }),
    ],
  ],
  tenant_changed: [
    [
      'a caller that is bound while its request waits',
      async () => {
        const principal = { ...FREE_PRINCIPAL, tenancy: { scopes: [] } };
        const parts = { ...PLAIN_PARTS, identifying: () => ({}), authenticate: () => principal };
        const own = { principal: FREE_PRINCIPAL, identifiedBy: {}, headers: [], remote: '' };
        const waiting = { ...unbegun(), resolution: undefined, ...own };
        return (await stillStands(parts, waiting))?.code;
      },
    ],
  ],
  tenant_lookup: [
    [
      'points of a bound collection in an answer',
      () => asTenant('POST', '/points/query/groups', { query: [1], group_by: 'x', with_lookup: 'docs' }),
    ],
  ],
  tenant_release: [
    ['an upsert before Qdrant 1.15.4', () => asTenant('PUT', '/points', { points: [{ id: 1, vector: [1] }] })],
  ],
  release_unknown: [
    [
      'an upsert before a Qdrant that does not tell its release',
      async () => {
        const said = String(made('points.upsert', '{"points":[]}', { features: NO_FEATURES }));
        return said.startsWith('503 release_unknown:') ? 'release_unknown' : undefined;
      },
    ],
  ],
  bound_exceeded: [
    [
      'a search over the bounds of a guard',
      () =>
        rest('POST', '/collections/docs/points/query', makeToken({ access: 'm', subject: 'bounded' }), {
          body: '{"limit":11}',
          headers: json,
        }),
    ],
  ],
  url_recovery_disabled: [
    [
      'a snapshot from a URL',
      () =>
        rest('PUT', '/collections/docs/snapshots/recover', KEYS.admin, {
          body: '{"location":"http://x/y"}',
          headers: json,
        }),
    ],
  ],
  rate_limited: [
    [
      'a body larger than its quota',
      () => rest('POST', BATCH, makeToken({ access: 'm', subject: 'small' }), { body: '{}', headers: json }),
    ],
  ],
  too_many_at_once: [
    ['a request beside an open one', () => codeOf(tooManyOpen({ id: 'one', concurrent: 1 } as unknown as Limit))],
  ],
  unknown_operation: [['a route that is in no table', () => rest('GET', '/no/such/route', KEYS.readOnly)]],
  malformed_header: [['a key with a control byte', () => presented('a\x01b')]],
  malformed_path: [['a path with half an escape', () => rest('GET', '/collections/%zz', KEYS.admin)]],
  invalid_file_path: [
    ['a file of the web interface with a slash in it', () => rest('GET', '/dashboard/a%2Fb', KEYS.admin)],
  ],
  invalid_collection_name: [
    ['a name with a slash', () => rest('PUT', '/collections/a%2Fb', KEYS.admin, { body: '{}', headers: json })],
  ],
  method_not_allowed: [['a file that is posted', () => rest('POST', '/dashboard/a', KEYS.admin)]],
  body_timeout: [
    ['a body that does not come', () => rest('POST', BATCH, READER, { headers: { ...json, 'content-length': '10' } })],
  ],
  body_incomplete: [['a body whose client leaves', bodyCut]],
  body_too_large: [
    [
      'a large body that has to be inspected',
      () => rest('POST', BATCH, READER, { body: ' '.repeat(MIB + 1), headers: json }),
    ],
  ],
  malformed_body: [['half a JSON text', () => rest('POST', BATCH, READER, { body: '{"searches":', headers: json })]],
  malformed_compression: [
    [
      'text that is called gzip',
      () => rest('POST', BATCH, READER, { body: '{}', headers: { ...json, 'content-encoding': 'gzip' } }),
    ],
  ],
  malformed_frame: [['a message flag that is neither 0 nor 1', badFrame]],
  malformed_message: [['a call without protobuf', () => grpc('/qdrant.Points/Query', Buffer.of(7))]],
  unsupported_encoding: [
    [
      'a coding that is not known',
      () => rest('POST', BATCH, READER, { body: '{}', headers: { ...json, 'content-encoding': 'compress' } }),
    ],
  ],
  nesting: [
    ['a filter in a filter, again and again', () => rest('POST', BATCH, READER, { body: nested, headers: json })],
  ],
  too_many_names: [
    [
      'a batch over 10001 collections',
      () => rest('POST', BATCH, READER, { body: `{"searches":[${searches.join(',')}]}`, headers: json }),
    ],
    [
      'a call over 1025 collections',
      () => grpc('/qdrant.Points/QueryBatch', Buffer.concat([message({ 1: 'docs' }), ...queries])),
    ],
  ],
  ambiguous_name: [
    [
      'a call with two places to look up',
      () => grpc('/qdrant.Points/Recommend', Buffer.concat([message({ 1: 'docs' }), ...lookups]), BOTH),
    ],
  ],
  tenant_form: [['a field of no release', () => asTenant('POST', '/points/scroll', { x: 1 })]],
  tenant_point: [
    ['a point of another tenant', () => asTenant('POST', '/points/query', { query: 1 })],
    ['the same, retrieved by its path', () => asTenant('GET', '/points/1', undefined)],
  ],
  unknown_node: [['a node that is not in the list', unknownNode]],
  upstream_refused: [
    [
      'a list of aliases of a collection that is not there',
      () => grpc('/qdrant.Collections/ListCollectionAliases', message({ 1: 'docs' })),
    ],
  ],
  internal_fault: [['a claim that nothing can look up', () => presented(EXISTS)]],
  upstream_unreachable: [
    ['a refused connection', () => toUpstreamDenial(Object.assign(new Error(), { code: 'ECONNREFUSED' })).code],
  ],
  upstream_key_refused: [
    ['an upstream that got a key of its own', () => rest('GET', '/collections/keyed', KEYS.admin)],
  ],
  upstream_broken: [['an upstream that closes', () => rest('GET', '/collections/broken', KEYS.admin)]],
  upstream_busy: [['no connection left', () => toUpstreamDenial(new errors.ClientClosedError()).code]],
  upstream_timeout: [['an upstream that is silent', () => toUpstreamDenial(new errors.HeadersTimeoutError()).code]],
  answer_too_large: [['a list of 65 MiB', () => rest('GET', '/collections', READER)]],
  answers_busy: [['a list for which there is no place', listUnanswered]],
  bodies_busy: [['a large body behind another one', noRoom]],
  audit_unavailable: [['a full audit', auditFull]],
  revocation_unknown: [
    ['a token while revocations cannot be read', () => presented(makeToken({}), { revocations: { unknown: true } })],
  ],
  shutting_down: [['a call that is open at the end', openAtTheEnd]],
};

t.test('each code of the table is produced by a case', async (t) => {
  t.strictSame(Object.keys(CASES).sort(), Object.keys(DENIAL_CODES).sort());
  for (const [code, cases] of Object.entries(CASES)) {
    t.ok(cases.length > 0, code);
    for (const [name, produce] of cases) t.equal(await produce(), code, `${code}: ${name}`);
  }
});
