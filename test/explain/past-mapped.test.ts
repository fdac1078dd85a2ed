import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { toLine } from '../../src/audit/event.ts';
import { recordOf } from '../../src/audit/record.ts';
import type { PolicySettings } from '../../src/config/policy/file.ts';
import { judgeCell } from '../../src/explain/cell.ts';
import type { OfflineParts } from '../../src/explain/parts.ts';
import { PastEvents } from '../../src/explain/past/events.ts';
import { type Replay, replay } from '../../src/explain/past/replay.ts';
import { ROWS } from '../../src/explain/space/operations.ts';
import { narrowedBy } from '../../src/identity/certificates/both.ts';
import { certifiedPrincipal } from '../../src/identity/certificates/identities.ts';
import { issuedPrincipal } from '../../src/identity/issuers/accept-issued.ts';
import { readClaimTree } from '../../src/identity/issuers/claim-tree.ts';
import { issuerOf } from '../../src/identity/issuers/issuer.ts';
import type { Principal } from '../../src/identity/principal.ts';
import type { Denial } from '../../src/policy/denial.ts';
import type { CertificateSettings } from '../../src/policy/mapping/certificates.ts';
import type { Claims } from '../../src/policy/mapping/claims.ts';
import type { IssuerSettings } from '../../src/policy/mapping/issuer.ts';
import { createMapper, type MappingSettings } from '../../src/policy/mapping/mapper.ts';
import { firstRefusal } from '../../src/policy/rules.ts';
import { NO_TOKEN_RULES } from '../../src/policy/token-rules.ts';
import { KEYS } from '../support/gateway.ts';
import { NOW, partsOf } from './fixture.ts';

/* Requests of callers whose claims were mapped, recorded by the recorder of the gateway, under another policy. */

const READERS: MappingSettings = { id: 'readers', claim: 'roles', values: ['reader'], access: 'r' };
const WRITERS: MappingSettings = {
  ...{ id: 'writers', claim: 'roles', values: ['writer'] },
  access: [{ collections: ['docs-*'], access: 'rw' }],
};
const TEAMS: MappingSettings = { id: 'teams', claim: 'team', access: [{ collections: ['${team}-*'], access: 'rw' }] };
const CORP: IssuerSettings = {
  ...{ id: 'corp', issuer: 'https://login.example.com', audiences: ['qdrant'] },
  source: { from: 'file', keys: [] },
  ...{ algorithms: ['RS256'], types: ['JWT'], maxLifetime: undefined, clockSkew: 30, subject: 'sub' },
  ...{ mappings: [READERS, WRITERS, TEAMS], examples: [] },
};
const WORKLOAD: CertificateSettings = { id: 'workload', mappings: [WRITERS] };

type Policy = Partial<PolicySettings>;
const corp = (...mappings: readonly MappingSettings[]): Policy => ({ issuers: [{ ...CORP, mappings }] });
const WHOLE = corp(READERS, WRITERS, TEAMS);

interface Case {
  readonly name: string;
  readonly claims: Readonly<Record<string, unknown>>;
  /** Default: a write to `docs-a`. */
  readonly asks?: readonly [operation: string, collection: string];
  readonly from?: Policy;
  readonly to: Policy;
  readonly mode?: 'off' | 'identity' | 'beside_key';
  readonly told: Readonly<Record<string, unknown>>;
}

const none = { changed: 0, uncertain: 0, unknown: 0, strangers: 0, groups: [] };
const loses = (sure: boolean, more: Readonly<Record<string, unknown>> = {}) => ({
  ...{ changed: 1, uncertain: 0 },
  groups: [{ kind: 'loses', sure, ...more }],
});
const LESS: MappingSettings = { ...WRITERS, access: [{ collections: ['docs-*'], access: 'r' }] };

const CASES: readonly Case[] = [
  { name: 'the same policy', claims: { roles: 'writer' }, to: WHOLE, told: none },
  {
    name: 'less access of the mapping that matched',
    ...{ claims: { roles: 'writer' }, to: corp(READERS, LESS, TEAMS) },
    told: loses(true, { key: 'corp', subject: 'alice', mappings: ['writers'], to: 'denied (write_required)' }),
  },
  {
    name: 'less access of one of two mappings that matched: the claims of the other one may have named it',
    claims: { roles: 'writer', team: 'docs' },
    ...{ to: corp(READERS, LESS, TEAMS), told: loses(false) },
  },
  { name: 'less access of another mapping', claims: { team: 'docs' }, to: corp(READERS, LESS, TEAMS), told: none },
  {
    name: 'the mapping is gone',
    ...{ claims: { roles: 'writer' }, to: corp(READERS, TEAMS) },
    told: loses(true, { to: 'denied (no_mapping)' }),
  },
  { name: 'the issuer is gone', claims: { roles: 'writer' }, to: {}, told: loses(true) },
  {
    name: 'the issuer is gone, and another entry takes its tokens',
    ...{ claims: { roles: 'writer' }, to: { issuers: [{ ...CORP, id: 'other' }] }, told: loses(false) },
  },
  {
    name: 'a mapping is new: the token may match it',
    ...{ claims: { roles: 'writer' }, from: corp(WRITERS), to: WHOLE, told: { ...none, uncertain: 1 } },
  },
  {
    name: 'the mapping has another value, and less access',
    ...{ claims: { roles: 'writer' }, to: corp(READERS, { ...LESS, values: ['author'] }, TEAMS) },
    told: loses(false),
  },
  {
    name: 'another audience',
    ...{ claims: { roles: 'writer' }, to: { issuers: [{ ...CORP, audiences: ['other'] }] } },
    told: { ...none, uncertain: 1 },
  },
  {
    name: 'another longest life of tokens',
    ...{ claims: { roles: 'writer' }, to: { ...WHOLE, tokenRules: { ...NO_TOKEN_RULES, maxLifetime: 60 } } },
    told: { ...none, uncertain: 1 },
  },
  {
    name: 'a name that a claim makes',
    ...{ claims: { team: 'ads' }, asks: ['points.upsert', 'ads-a'], to: WHOLE, told: none },
  },
  {
    name: 'a rule for names that claims make',
    claims: { team: 'ads' },
    asks: ['points.upsert', 'ads-a'],
    to: { ...WHOLE, rules: [{ id: 'x', mode: 'enforce', keys: ['corp'], access: 'r' }] },
    told: loses(true),
  },
  {
    name: 'other names that claims make',
    ...{ claims: { team: 'ads' }, asks: ['points.upsert', 'ads-a'] },
    to: corp(READERS, WRITERS, { ...TEAMS, access: [{ collections: ['${team}_*'], access: 'rw' }] }),
    told: loses(false),
  },
  {
    name: 'a refusal stays one',
    ...{ claims: { team: 'ads' }, asks: ['points.upsert', 'docs-a'], to: WHOLE, told: none },
  },
  {
    name: 'a token that no mapping matched is not asked again',
    ...{ claims: { roles: 'guest' }, to: corp(READERS), told: { changed: 0, strangers: 1 } },
  },
  {
    name: 'less access of a certificate',
    ...{ claims: { roles: 'writer' }, mode: 'identity', from: { clientCertificates: WORKLOAD } },
    to: { clientCertificates: { ...WORKLOAD, mappings: [LESS] } },
    told: loses(true, { key: 'workload', mappings: ['writers'] }),
  },
  {
    name: 'less access of the certificate beside a key',
    ...{ claims: { roles: 'writer' }, mode: 'beside_key', from: { clientCertificates: WORKLOAD } },
    to: { clientCertificates: { ...WORKLOAD, mappings: [LESS] } },
    told: loses(true, { key: 'api_key', mappings: ['writers'] }),
  },
];

function claimsOf(claims: Readonly<Record<string, unknown>>): Claims {
  const tree = readClaimTree(Buffer.from(JSON.stringify(claims)));
  if (!tree) throw new TypeError('these are no claims');
  return tree;
}

async function identityOf(
  { claims, from = WHOLE, mode = 'off' }: Case,
  parts: OfflineParts,
): Promise<Principal | Denial> {
  const tree = claimsOf(claims);
  const [issuer] = from.issuers ?? [];
  if (mode === 'off' && issuer) return issuedPrincipal(issuerOf(issuer), tree, 'alice', parts.ring);
  const mapper = createMapper(from.clientCertificates?.mappings ?? []);
  const holder = certifiedPrincipal({ id: 'workload', mapper }, tree, 'alice', parts.ring);
  const key = await parts.authenticate(['api-key', KEYS.admin]);
  const both = mode === 'beside_key' && key.kind === 'principal' && holder.kind === 'principal';
  return both ? narrowedBy(key, holder) : holder;
}

async function replayed(one: Case): Promise<Replay> {
  const { asks: [operation, collection] = ['points.upsert', 'docs-a'], from = WHOLE, to, mode = 'off' } = one;
  const parts = (policy: Policy): OfflineParts => {
    const made = partsOf(policy);
    const { gateway } = made.state.config;
    const config = {
      ...made.state.config,
      gateway: { ...gateway, client_certificates: { ...gateway.client_certificates, mode } },
    };
    return { ...made, state: { ...made.state, config } };
  };
  const [old, next] = [parts(from), parts(to)];
  const row = ROWS.find(({ operation: { name } }) => name === operation);
  if (!row) throw new TypeError(`no operation ${operation}`);
  const exchange = judgeCell(old, await identityOf(one, old), { row, collection, others: [] });
  const options = { trust: { trustedProxies: 0, trustForwardedHeaders: false }, logApi: true, firstRefusal };
  const event = recordOf(exchange, { status: 200, received: 0, sent: 0 }, { id: 'e', at: NOW, now: 0 }, options);
  if (!event) throw new TypeError('the request is not recorded');
  const file = join(mkdtempSync(join(tmpdir(), 'qdrant-gateway-past-')), 'audit.log');
  writeFileSync(file, `${toLine(event)}\n`);
  return replay(new PastEvents([file]), old, next);
}

t.test('a replay rebuilds the access of mapped callers by the mappings that the log names', async (t) => {
  for (const one of CASES) t.match(await replayed(one), one.told, one.name);
});
