import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { ADVISORIES, advisoriesOf } from '../../src/cli/doctor/advisories.ts';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import { lookFromOutside } from '../../src/cli/doctor/from-outside.ts';
import { handleFindings } from '../../src/cli/doctor/place-checks.ts';
import { parseAddress, releaseIn } from '../../src/cli/doctor/stranger.ts';
import { aroundFindings } from '../../src/cli/doctor/upstream-checks.ts';
import { previewConfig } from '../../src/config/load.ts';
import type { Secrets } from '../../src/config/secrets.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS, startGateway } from '../support/gateway.ts';
import { providerKey } from '../support/issuers/keys.ts';
import { runScript } from '../support/process/run-script.ts';

const GOOD = 'an-admin-key-of-thirty-two-bytes!';

/** A server on loopback that answers as told. */
async function serve(answer: RequestListener): Promise<{ port: number; close: () => void }> {
  const server = createServer(answer);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

const verdicts = (findings: readonly Finding[]) => Object.fromEntries(findings.map((one) => [one.check, one.verdict]));

t.test('the advisories of a release are those it has', async (t) => {
  const ids = (release: string) => advisoriesOf(release).map(({ id }) => id);
  t.same(ids('1.20.0'), []);
  t.same(ids('1.19.1'), ['GHSA-3gph-6c29-p29v']);
  t.same(ids('1.17.1'), ['GHSA-3v92-w72v-j994', 'qdrant#9254', 'qdrant#10085', 'GHSA-jwrp-6pff-wg9c']);
  t.notOk(
    ids('1.9.2').some((id) => id.includes('CVE-2026-25628')),
    'not yet in it',
  );
  t.ok(ids('1.9.3').some((id) => id.includes('CVE-2026-25628')));
  t.equal(ids('1.0.0').length, ADVISORIES.filter(({ from }) => from === undefined).length);
});

t.test('an address is http or https with a host', async (t) => {
  t.same(parseAddress('https://q.example.org'), { tls: true, host: 'q.example.org', port: 443 });
  t.same(parseAddress('http://[::1]:6333/'), { tls: false, host: '::1', port: 6333 });
  for (const text of ['q.example.org', 'http://a:0', 'http://a:99999', 'http://a/b', 'http://u@a']) {
    t.equal(parseAddress(text), undefined, text);
  }
  t.equal(releaseIn('{"title":"qdrant - vector search engine","version":"1.19.0"}'), '1.19.0');
  t.equal(releaseIn('{"title":"something else","version":"1"}'), undefined);
  t.equal(releaseIn('<html>'), undefined);
});

t.test('from outside, a gateway refuses a stranger and a bare Qdrant does not', async (t) => {
  const upstream = await startFakeQdrant();
  const gateway = await startGateway({
    settings: { 'gateway.upstream.rest_url': upstream.restUrl, 'gateway.upstream.grpc_url': upstream.grpcUrl },
  });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const bare = await lookFromOutside(parseAddress(upstream.restUrl) ?? { tls: false, host: '', port: 1 });
  t.match(verdicts(bare), { reachable: 'ok', tls: 'warn', 'GET /collections': 'bad' });
  const behind = await lookFromOutside(parseAddress(gateway.rest.url) ?? { tls: false, host: '', port: 1 });
  t.match(verdicts(behind), {
    reachable: 'ok',
    'GET /collections': 'ok',
    'GET /telemetry': 'ok',
    'GET /metrics': 'ok',
  });
  t.notOk(
    behind.some(({ check, verdict }) => check.startsWith('GET') && verdict === 'bad'),
    'no page is open',
  );
  const gone = await lookFromOutside({ tls: false, host: '127.0.0.1', port: 1 });
  t.match(gone, [{ check: 'reachable', verdict: 'bad', text: 'no answer (ECONNREFUSED)' }]);
  t.equal(gone.length, 1);
});

t.test('a Qdrant that strangers can ask past the gateway is found', async (t) => {
  const open = await serve((request, response) => {
    response.end(
      request.url === '/' ? '{"title":"qdrant - vector search engine","version":"1.20.0"}' : '{"result":{}}',
    );
  });
  const keyed = await serve((request, response) => {
    if (request.url !== '/') response.statusCode = 401;
    response.end('{"title":"qdrant - vector search engine","version":"1.20.0"}');
  });
  t.teardown(() => {
    open.close();
    keyed.close();
  });
  const { config } = previewConfig({ env: {} });
  if (!config) throw new Error('no defaults');
  const state = { config, secrets: { upstreamKey: null } as Secrets };
  const around = async (host: string, port: number, outer: readonly string[]) =>
    (await aroundFindings(state, { tls: false, host, port }, undefined, outer)).find(
      ({ check }) => check === 'way around',
    );
  // The address of loopback stands for one that others reach.
  t.match(await around('localhost', open.port, ['127.0.0.1']), { verdict: 'bad', text: /past the gateway/ });
  t.match(await around('localhost', keyed.port, ['127.0.0.1']), { verdict: 'ok' });
  t.match(await around('localhost', open.port, []), { verdict: 'ok' }, 'bound to loopback');
});

t.test('the limit of open files is compared with what connections need', async (t) => {
  const { config } = previewConfig({ env: {} });
  if (!config) throw new Error('no defaults');
  t.match(handleFindings({ config }, 1024), [{ verdict: 'warn', text: /1024 open files are allowed/ }]);
  t.match(handleFindings({ config }, 1_048_576), [{ verdict: 'ok' }]);
  t.match(handleFindings({ config }, undefined), [{ verdict: 'unknown' }]);
});

t.test('the command: a table, JSON and exit codes', async (t) => {
  const upstream = await startFakeQdrant();
  t.teardown(() => upstream.close());
  const env = {
    QDRANT__SERVICE__API_KEY: GOOD,
    QDRANT__SERVICE__HOST: '127.0.0.1',
    QDRANT_GATEWAY__UPSTREAM__REST_URL: upstream.restUrl,
    QDRANT_GATEWAY__UPSTREAM__GRPC_URL: upstream.grpcUrl,
  };
  const fine = await runScript(['src/cli/main.ts', 'doctor'], { env });
  t.match(fine.out, /^VERDICT +CHECK +FINDING\n/);
  t.match(fine.out, /^OK +upstream +Qdrant \d+\.\d+\.\d+ answers$/m);
  t.match(fine.out, /^OK +upstream key +Qdrant asks for no key/m);
  t.match(fine.out, /^OK +upstream grpc +takes connections$/m);
  t.match({ code: fine.code, err: fine.err }, { code: 0, err: '' });
  const down = await runScript(['src/cli/main.ts', 'doctor', '--json'], {
    env: {
      ...env,
      QDRANT_GATEWAY__UPSTREAM__REST_URL: 'http://127.0.0.1:1',
      QDRANT_GATEWAY__UPSTREAM__API_KEY: KEYS.admin,
    },
  });
  const told = JSON.parse(down.out) as { ok: boolean; findings: Finding[] };
  t.match([down.code, told.ok, verdicts(told.findings).upstream], [4, false, 'bad']);
  const bad = await runScript(['src/cli/main.ts', 'doctor'], { env: { QDRANT__SERVICE__HTTP_PORT: 'x' } });
  t.match(bad, { code: 4, out: /^BAD +configuration +QDRANT__SERVICE__HTTP_PORT: /m });
  t.match(await runScript(['src/cli/main.ts', 'doctor', '--from', 'nowhere']), {
    code: 2,
    err: 'error: --from must be like https://host or http://host:6333\n',
  });
});

t.test('every node and every issuer is looked at', async (t) => {
  const one = await startFakeQdrant();
  const keys = { keys: [providerKey('ES256', 'k1').jwk] };
  const provider = await serve((request, response) => {
    response.statusCode = request.url === '/keys' ? 200 : 404;
    response.end(JSON.stringify(keys));
  });
  t.teardown(async () => {
    provider.close();
    await one.close();
  });
  const issuer = (id: string, path: string) => ({
    id,
    ...{ issuer: `https://${id}.example.com`, audiences: ['qdrant'] },
    jwks_url: `http://127.0.0.1:${provider.port}${path}`,
    mappings: [{ id: 'all', claim: 'sub', value: 'ann', access: 'r' }],
  });
  const policy = join(t.testdir(), 'policy.json');
  writeFileSync(policy, JSON.stringify({ issuers: [issuer('there', '/keys'), issuer('gone', '/nowhere')] }), {
    mode: 0o600,
  });
  const { code, out } = await runScript(['src/cli/main.ts', 'doctor', '--json'], {
    env: {
      QDRANT__SERVICE__API_KEY: GOOD,
      QDRANT__SERVICE__HOST: '127.0.0.1',
      QDRANT_GATEWAY__POLICY_FILE: policy,
      QDRANT_GATEWAY__UPSTREAM__NODES: `rest_url=${one.restUrl} grpc_url=${one.grpcUrl}, rest_url=http://127.0.0.1:1 grpc_url=http://127.0.0.1:2`,
    },
  });
  const { findings } = JSON.parse(out) as { findings: Finding[] };
  const place = one.restUrl.replace('http://', '');
  t.match(verdicts(findings), {
    [`upstream (${place})`]: 'ok',
    [`upstream grpc (${place})`]: 'ok',
    [`upstream key (${place})`]: 'ok',
    [`way around (${place})`]: 'ok',
    'upstream (127.0.0.1:1)': 'bad',
    'upstream grpc (127.0.0.1:1)': 'bad',
    'cluster port (127.0.0.1:1)': /ok|warn/,
    releases: 'ok',
    tenants: 'ok',
    'issuer there': 'ok',
    'issuer gone': 'bad',
  });
  const texts = Object.fromEntries(findings.map(({ check, text }) => [check, text]));
  t.match(texts['issuer there'], /answers with 1 key$/);
  t.match(texts['issuer gone'], /cannot be fetched from here: .*404/);
  t.equal(code, 4);
});
