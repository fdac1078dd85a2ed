import { join } from 'node:path';
import t from 'tap';
import { grpcClient, grpcOutcome, trust } from '../support/clients/official.ts';
import { startOperated } from '../support/operated.ts';
import { FILE_MS } from '../support/patience.ts';
import { runScript } from '../support/process/run-script.ts';
import { makeToken } from '../support/tokens.ts';
import { Http1Link } from '../support/transports/http1-link.ts';
import { Http2Link } from '../support/transports/http2-link.ts';
import { until } from '../support/until.ts';

/** Tenants of a running gateway of two workers: each change of the policy or of a key meets the next request of open connections. */

t.setTimeout(FILE_MS);
const MAIN = 'src/cli/main.ts';
const gateway = await startOperated({
  files: { 'keys.yaml': 'keys: []\n' },
  settings: { 'gateway.workers': 2, 'gateway.keys_file': 'keys.yaml' },
});
trust(gateway.ca);
const lines = await Promise.all([
  ...[1, 2].map(() => Http1Link.open(gateway.rest.port, gateway.ca)),
  ...[1, 2].map(() => Http2Link.open(gateway.rest.port, gateway.ca)),
]);
t.teardown(async () => {
  for (const line of lines) line.close();
  await gateway.close();
});

async function upstream(method: string, path: string, body: object): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(`${gateway.upstream.restUrl}${path}`, { method, headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(await answer.text());
}
await upstream('PUT', '/collections/books', { vectors: { size: 1, distance: 'Dot' } });
const points = ['acme', 'acme', 'umbrella', undefined].map((tenant, at) => ({
  ...{ id: at + 1, vector: [1] },
  payload: tenant === undefined ? {} : { tenant },
}));
await upstream('PUT', '/collections/books/points?wait=true', { points });

/** The number of points that a caller counts, or how it is refused; on each open connection, and over gRPC. */
async function counted(credential: string): Promise<string> {
  const body = Buffer.from('{}');
  const headers = [['api-key', credential] as const, ['content-type', 'application/json'] as const];
  const rest = lines.map(async (line) => {
    const answer = await line.send({ method: 'POST', target: '/collections/books/points/count', headers, body });
    const text = answer.body.toString();
    if (answer.status === 401) return text;
    const { result, status } = JSON.parse(text);
    return `${result?.count ?? status.error}`;
  });
  const call = grpcClient(gateway, credential).api('points').count({ collectionName: 'books' });
  const grpc = call.then(
    ({ result }) => `${result?.count}`,
    async () => {
      const outcome = await grpcOutcome(call);
      return typeof outcome === 'string' ? outcome : `${outcome[1]}`;
    },
  );
  return [...new Set(await Promise.all([...rest, grpc]))].join(' | ');
}

const token = (claims: object) => makeToken({ access: 'm', ...claims });
const ACME = token({ org: 'acme' });
const NONE = token({});
const entry = (more: string) => `tenants:\n  - { id: books, credentials: tokens, collections: [books], ${more} }\n`;
const NO_VALUE = 'Forbidden: Collection books needs a key or token that names its tenant';
const NOT_COVERED = 'Forbidden: Access to collection books is required';

const STEPS: readonly (readonly [sentence: string, policy: string, acme: string, none: string])[] = [
  ['without entries', 'rules: []\n', '4', '4'],
  ['by a claim', entry('field: tenant, from: org'), '2', NO_VALUE],
  ['by another claim', entry('field: tenant, from: team'), NO_VALUE, NO_VALUE],
  ['by a constant', entry('field: tenant, value: umbrella'), '1', '1'],
  ['by several constants', entry('field: tenant, values: [umbrella, acme]'), '3', '3'],
  ['free', entry('free: true'), '4', '4'],
  ['without an entry for the collection', entry('free: true').replace('[books]', '[other]'), NOT_COVERED, NOT_COVERED],
];

t.test('each change of the policy is in force on open connections', async (t) => {
  for (const [sentence, policy, acme, none] of STEPS) {
    gateway.write('policy.yaml', policy);
    await until(async () => (await counted(ACME)) === acme && (await counted(NONE)) === none, sentence);
    t.pass(sentence);
  }
});

t.test('a policy that contradicts itself is not taken, and the one before it holds', async (t) => {
  gateway.write('policy.yaml', entry('field: tenant, value: umbrella'));
  await until(async () => (await counted(ACME)) === '1', 'a good one');
  gateway.write(
    'policy.yaml',
    `${entry('field: tenant, value: umbrella')}  - { id: b, collections: [books], field: tenant, value: acme }\n`,
  );
  const told = await gateway.supervisor.reload('admin');
  t.match(told, {
    ok: false,
    problems: [/on `books` it holds together with the entry `books`: no point can have both values/],
  });
  t.equal(await counted(ACME), '1');
});

t.test('a named key made with a tenant is bound to it', async (t) => {
  gateway.write(
    'policy.yaml',
    'tenants:\n  - { id: books, keys: [acmeshop], collections: [books], field: tenant, from: org }\n',
  );
  const args = ['--file', join(gateway.folder, 'keys.yaml'), '--name', 'Acme shop', '--id', 'acmeshop'];
  const made = await runScript([MAIN, 'key', 'create', ...args, '--access', 'r', '--tenant', 'acme']);
  t.equal(made.code, 0, made.err);
  const key = made.out.trim();
  await until(async () => (await counted(key)) === '2', 'the key is there');
  t.equal(await counted(ACME), '4', 'no entry is for tokens now');
});
