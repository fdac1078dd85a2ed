import t from 'tap';
import { loadState } from '../../../src/config/state.ts';
import { createAuthenticator } from '../../../src/identity/authenticate.ts';
import { createKeyRing } from '../../../src/identity/key-ring.ts';
import { accessText } from '../../../src/policy/mapping/access-text.ts';
import { providerKey, signToken } from '../../support/issuers/keys.ts';

/* A token of each product in its real form, through the preset; and one of the same product that must not be good here. */

const NOW = 1_800_000_000;
const key = providerKey('RS256', 'kid-1');
const ENV = {
  QDRANT__SERVICE__GRPC_PORT: '',
  QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://q:1',
  QDRANT_GATEWAY__POLICY_FILE: 'policy.yaml',
};

/** What tokens get by a policy file; the keys come from a file. */
function judge(entry: string) {
  const files: Readonly<Record<string, string>> = {
    'policy.yaml': `issuers:\n  - ${entry.trim().replaceAll('\n', '\n    ')}\n    jwks_file: keys.json\n`,
    'keys.json': JSON.stringify({ keys: [key.jwk] }),
  };
  const readFile = (path: string) => Buffer.from(files[path.slice('/etc/'.length)] ?? '');
  const { policy } = loadState({ env: ENV, argv: {}, cwd: '/etc', readFile });
  const ring = createKeyRing({ issuers: policy.issuers }, 1);
  const authenticator = createAuthenticator({ ring, cacheEntries: 0, now: () => NOW * 1000 });
  return async (token: string) => {
    const found = await authenticator.authenticate(['api-key', token]);
    return found.kind === 'denial' ? found.code : `${found.subject}: ${accessText(found.access)}`;
  };
}

const times = { iat: NOW - 5, nbf: NOW - 5, exp: NOW + 300 };

t.test('Keycloak: access tokens with realm and client roles', async (t) => {
  const ask = judge(`
id: corp
preset: keycloak
issuer: https://login.example.com/realms/main
audiences: [qdrant]
mappings:
  - { id: realm, claim: realm_access.roles, value: qdrant-reader, access: r }
  - { id: client, claim: resource_access.qdrant.roles, value: admin, access: m }`);
  const claims = {
    ...{ exp: NOW + 300, iat: NOW - 5, jti: 'trrtcc:0f3a', iss: 'https://login.example.com/realms/main' },
    ...{ aud: ['qdrant', 'account'], sub: '9d3e0b1c-0000-4000-8000-000000000001', typ: 'Bearer', azp: 'indexer' },
    ...{ sid: 'b7', acr: '1', 'allowed-origins': ['/*'], realm_access: { roles: ['offline_access', 'qdrant-reader'] } },
    ...{ resource_access: { account: { roles: ['view-profile'] } }, scope: 'profile email', email_verified: true },
  };
  t.equal(await ask(signToken(key, claims)), `${claims.sub}: r`);
  const admin = { ...claims, resource_access: { qdrant: { roles: ['admin'] } } };
  t.equal(await ask(signToken(key, admin)), `${claims.sub}: m`);
  t.equal(await ask(signToken(key, { ...claims, aud: 'account' })), 'wrong_audience', 'without an audience mapper');
  t.equal(await ask(signToken(key, { ...claims, realm_access: { roles: ['offline_access'] } })), 'no_mapping');
});

t.test('Auth0: access tokens for an API, with namespaced claims', async (t) => {
  const ask = judge(`
id: corp
preset: auth0
issuer: https://example.eu.auth0.com/
audiences: ["https://qdrant.example.com"]
mappings: [{ id: role, claim: '"https://example.com/roles"', value: reader, access: r }]`);
  const claims = {
    ...{
      'https://example.com/roles': ['reader'],
      iss: 'https://example.eu.auth0.com/',
      sub: 'auth0|5f7c8ec7c33c6c004bbafe82',
    },
    ...{ aud: ['https://qdrant.example.com', 'https://example.eu.auth0.com/userinfo'], azp: 'my_client' },
    ...{ iat: NOW - 5, exp: NOW + 300, scope: 'openid profile', permissions: ['read:docs'] },
  };
  t.equal(await ask(signToken(key, claims)), `${claims.sub}: r`);
  t.equal(await ask(signToken(key, claims, { typ: 'at+jwt' })), `${claims.sub}: r`, 'the profile of RFC 9068');
  const idToken = { ...claims, aud: 'my_client', nonce: 'n' };
  t.equal(await ask(signToken(key, idToken)), 'wrong_audience', 'an ID token');
});

t.test('Entra ID v2: app roles and groups, and the subject of the directory', async (t) => {
  const tenant = '72f988bf-0000-4000-8000-2d7cd011db47';
  const ask = judge(`
id: corp
preset: entra
issuer: https://login.microsoftonline.com/${tenant}/v2.0
audiences: [6e74172b-be56-4843-9ff4-e66a39bb12e3]
mappings:
  - { id: role, claim: roles, value: Qdrant.Read, access: r }
  - { id: group, claim: groups, value: 5ba0b8a9-0000-4000-8000-000000000000, access: [{ collection: docs, access: rw }] }`);
  const claims = {
    ...{
      aud: '6e74172b-be56-4843-9ff4-e66a39bb12e3',
      iss: `https://login.microsoftonline.com/${tenant}/v2.0`,
      ...times,
    },
    ...{ aio: 'AXQA', azp: 'app', azpacr: '1', name: 'Ann', oid: '690222be-0000-4000-8000-1536d4afd8b0' },
    ...{
      preferred_username: 'ann@example.com',
      rh: 'I',
      scp: 'access',
      sub: 'pairwise',
      tid: tenant,
      uti: 'u',
      ver: '2.0',
    },
  };
  const oid = claims.oid;
  t.equal(await ask(signToken(key, { ...claims, roles: ['Qdrant.Read'] })), `${oid}: r`);
  t.equal(
    await ask(signToken(key, { ...claims, groups: ['5ba0b8a9-0000-4000-8000-000000000000'] })),
    `${oid}: docs rw`,
  );
  const overage = {
    ...{ _claim_names: { groups: 'src1' } },
    _claim_sources: { src1: { endpoint: `https://graph.windows.net/${tenant}/users/${oid}/getMemberObjects` } },
  };
  t.equal(await ask(signToken(key, { ...claims, ...overage })), 'groups_overage');
  const v1 = { ...claims, iss: `https://sts.windows.net/${tenant}/`, ver: '1.0', roles: ['Qdrant.Read'] };
  t.equal(await ask(signToken(key, v1)), 'bad_credential', 'a token of version 1 has another issuer');
});

t.test('Google: identity tokens of service accounts', async (t) => {
  const ask = judge(`
id: google
preset: google
audiences: ["https://qdrant.example.com"]
mappings: [{ id: indexer, claim: email, value: indexer@project.iam.gserviceaccount.com, access: [{ collection: docs, access: rw }] }]`);
  const claims = {
    ...{
      aud: 'https://qdrant.example.com',
      azp: '110',
      email: 'indexer@project.iam.gserviceaccount.com',
      email_verified: true,
    },
    ...{ exp: NOW + 3600, iat: NOW, iss: 'https://accounts.google.com', sub: '110724059318563041281' },
  };
  t.equal(await ask(signToken(key, claims)), `${claims.sub}: docs rw`);
  t.equal(await ask(signToken(key, { ...claims, email: 'other@project.iam.gserviceaccount.com' })), 'no_mapping');
  t.equal(await ask(signToken(key, { ...claims, aud: '32555940559.apps.googleusercontent.com' })), 'wrong_audience');
});

t.test('Okta: access tokens of a custom authorization server, without `typ`', async (t) => {
  const ask = judge(`
id: corp
preset: okta
issuer: https://example.okta.com/oauth2/default
audiences: [api://qdrant]
mappings: [{ id: group, claim: groups, value: Search, access: r }]`);
  const claims = {
    ...{
      ver: 1,
      jti: 'AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE',
      iss: 'https://example.okta.com/oauth2/default',
    },
    ...{ aud: 'api://qdrant', iat: NOW - 5, exp: NOW + 300, cid: 'nmdP1fcyvdVO11AL7ECm', uid: '00ujmkLgagxeRrAg20g3' },
    ...{ scp: ['openid'], sub: 'ann@example.com', groups: ['Everyone', 'Search'] },
  };
  t.equal(await ask(signToken(key, claims, { typ: undefined })), `${claims.sub}: r`);
  t.equal(
    await ask(signToken(key, { ...claims, aud: claims.cid }, { typ: undefined })),
    'wrong_audience',
    'an ID token',
  );
});

t.test('Kubernetes: projected service-account tokens with a bound audience', async (t) => {
  const ask = judge(`
id: cluster
preset: kubernetes
audiences: [qdrant]
mappings:
  - { id: one, claim: sub, value: "system:serviceaccount:search:indexer", access: [{ collection: docs, access: rw }] }
  - { id: each, claim: '"kubernetes.io".namespace', access: [{ collections: ['\${"kubernetes.io".namespace}--*'], access: rw }] }`);
  const claims = {
    ...{
      aud: ['qdrant'],
      exp: NOW + 3607,
      iat: NOW,
      iss: 'https://kubernetes.default.svc.cluster.local',
      jti: 'ea28ed49',
    },
    'kubernetes.io': {
      namespace: 'search',
      node: { name: 'node-1', uid: '8a1f' },
      pod: { name: 'indexer-5c7', uid: '5bf2' },
      serviceaccount: { name: 'indexer', uid: '14ee' },
    },
    ...{ nbf: NOW, sub: 'system:serviceaccount:search:indexer' },
  };
  const header = { typ: undefined };
  t.equal(await ask(signToken(key, claims, header)), `${claims.sub}: docs rw; search--* rw`);
  const cluster = { ...claims, aud: ['https://kubernetes.default.svc.cluster.local'] };
  t.equal(await ask(signToken(key, cluster, header)), 'wrong_audience', 'the token for the API server');
});

t.test('the preset of Kubernetes asks the API server, with the CA and the token of its own account', async (t) => {
  const { QDRANT_GATEWAY__POLICY_FILE: file } = ENV;
  const { ca } = await import('../../support/certs.ts').then(({ runCerts }) => runCerts(t.testdir()));
  const { readFileSync } = await import('node:fs');
  const policy = 'issuers: [{ id: c, preset: kubernetes, audiences: [q], mappings: [{ id: m, access: r }] }]';
  const readFile = (path: string) => (path.endsWith(file) ? Buffer.from(policy) : readFileSync(ca));
  const state = loadState({ env: ENV, argv: {}, cwd: '/etc', readFile });
  t.match(state.policy.issuers?.[0]?.source, {
    ...{ from: 'url', url: 'https://kubernetes.default.svc/openid/v1/jwks', ca: /BEGIN CERTIFICATE/ },
    bearerTokenFile: '/var/run/secrets/kubernetes.io/serviceaccount/token',
  });
});

t.test('GitHub Actions: tokens of workflows', async (t) => {
  const ask = judge(`
id: ci
preset: github-actions
audiences: [qdrant]
mappings: [{ id: main, claim: sub, value: "repo:example/search:ref:refs/heads/main", access: [{ collections: [ci-*], access: rw }] }]`);
  const claims = {
    ...{
      jti: 'example-id',
      sub: 'repo:example/search:ref:refs/heads/main',
      aud: 'qdrant',
      ref: 'refs/heads/main',
      sha: 's',
    },
    ...{ repository: 'example/search', repository_owner: 'example', run_id: '1', run_number: '10', run_attempt: '2' },
    ...{ runner_environment: 'github-hosted', actor: 'ann', workflow: 'build', event_name: 'push', ref_type: 'branch' },
    ...{ iss: 'https://token.actions.githubusercontent.com', nbf: NOW - 600, exp: NOW + 300, iat: NOW - 5 },
  };
  const header = { x5t: 'example-thumbprint' };
  t.equal(await ask(signToken(key, claims, header)), `${claims.sub}: ci-* rw`);
  const fork = { ...claims, sub: 'repo:example/search:pull_request' };
  t.equal(await ask(signToken(key, fork, header)), 'no_mapping', 'a pull request');
});
