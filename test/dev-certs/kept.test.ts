import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t from 'tap';
import { makeForDevelopment } from '../../src/cli/dev-certificates.ts';
import { keepDevCerts } from '../../src/dev-certs/kept.ts';
import { startSupervised } from '../support/supervised.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2030-01-01T00:00:00Z');
const folderOf = (): string => join(mkdtempSync(join(tmpdir(), 'qdrant-gateway-dev-')), 'dev');

t.test('a development CA is made once, and its certificate anew when a third of its life is left', async (t) => {
  const folder = folderOf();
  const keep = (now: number, names: readonly string[] = []) => keepDevCerts({ folder, names, days: 30, now });
  const first = await keep(NOW);
  t.same(first.made, { ca: true, cert: true });
  for (const file of [first.caKey, first.key]) t.equal(statSync(file).mode & 0o777, 0o600, `${file} is the owner's`);
  const ca = readFileSync(first.ca, 'utf8');
  const key = readFileSync(first.key, 'utf8');
  const authority = new X509Certificate(ca);
  t.ok(authority.ca);

  const cases: readonly (readonly [name: string, days: number, names: readonly string[], made: object])[] = [
    ['a day later', 1, [], { ca: false, cert: false }],
    ['with more than a third left', 19, [], { ca: false, cert: false }],
    ['with another name', 19, ['qdrant.test', '10.0.0.7'], { ca: false, cert: true }],
    ['with fewer names', 20, [], { ca: false, cert: false }],
    ['with less than a third left', 40, ['qdrant.test', '10.0.0.7'], { ca: false, cert: true }],
    ['after its end', 90, ['qdrant.test'], { ca: false, cert: true }],
    ['when the CA ends before the certificate', 720, [], { ca: true, cert: true }],
  ];
  for (const [name, days, names, made] of cases) {
    const kept = await keep(NOW + days * DAY, names);
    t.same(kept.made, made, name);
    const server = new X509Certificate(readFileSync(kept.cert));
    const issuer = new X509Certificate(readFileSync(kept.ca));
    t.ok(server.verify(issuer.publicKey) && Date.parse(server.validTo) > NOW + days * DAY, `${name}: it is valid`);
    t.ok(
      names.every((one) => server.checkHost(one) ?? server.checkIP(one)),
      `${name}: it has the names`,
    );
    if (days < 720) t.equal(readFileSync(kept.ca, 'utf8'), ca, `${name}: clients go on to trust it`);
    t.equal(readFileSync(kept.key, 'utf8'), key, `${name}: the key stays, so both files always fit`);
  }
});

t.test('what is broken is made anew', async (t) => {
  const broken: readonly (readonly [file: string, made: object])[] = [
    ['ca-key.pem', { ca: true, cert: true }],
    ['ca.pem', { ca: true, cert: true }],
    ['cert.pem', { ca: false, cert: true }],
    ['key.pem', { ca: false, cert: true }],
  ];
  for (const [file, made] of broken) {
    const folder = folderOf();
    const options = { folder, names: [], days: 30, now: NOW };
    await keepDevCerts(options);
    writeFileSync(join(folder, file), 'half');
    t.same((await keepDevCerts(options)).made, made, `${file} holds nothing that can be read`);
    rmSync(join(folder, file));
    t.same((await keepDevCerts(options)).made, made, `${file} is not there`);
    t.same((await keepDevCerts(options)).made, { ca: false, cert: false });
  }
});

t.test('two programs make them at the same time: all files fit', async (t) => {
  const folder = folderOf();
  const both = await Promise.all([1, 2].map(() => keepDevCerts({ folder, names: [], days: 30, now: NOW })));
  t.same(both.map(({ made }) => made.ca).toSorted(), [false, true]);
});

t.test('`gateway.certs: dev` is one word: TLS is on, and a client that trusts the CA is served', async (t) => {
  const folder = folderOf();
  const gateway = await startSupervised({
    'service.enable_tls': false,
    'gateway.certs': 'dev',
    'gateway.dev_certs.folder': folder,
    'gateway.dev_certs.names': 'qdrant.test',
  });
  t.teardown(() => gateway.close());
  const ca = readFileSync(join(folder, 'ca.pem'));
  for (const [port, name] of [
    [gateway.rest.port, 'qdrant.test'],
    [gateway.grpc.port, 'localhost'],
  ] as const) {
    const socket = connect({ port, host: '127.0.0.1', servername: name, ca, ALPNProtocols: ['h2'] });
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    t.equal(socket.authorized, true, name);
    socket.destroy();
  }
});

t.test('`certs dev` prints the CA and how each client trusts it, and refuses names that are none', async (t) => {
  const folder = folderOf();
  const run = async (names: readonly string[], days = '30'): Promise<string> => {
    let said = '';
    const output = {
      out: (text: string) => {
        said += text;
      },
      err: () => undefined,
    };
    await makeForDevelopment({ folder, names, days, now: NOW }, false, output);
    return said;
  };
  const said = await run(['qdrant.test']);
  for (const client of ['curl', 'Python, REST', 'Python, gRPC', 'TypeScript', 'Go', 'Java', 'C#', 'Rust']) {
    const line = said.split('\n').find((one) => one.trim().startsWith(client)) ?? '';
    t.match(line, join(folder, 'ca.pem'), client);
  }
  t.match(said, 'not for production');
  t.notMatch(said, 'PRIVATE KEY', 'no key');
  const refused: readonly (readonly [name: string, names: readonly string[], days: string, why: RegExp])[] = [
    ['a path', ['../x'], '30', /neither a host name in lower case nor an address/],
    ['a line break', ['a\nb'], '30', /neither/],
    ['no days', [], '0', /--days must be/],
    ['too many days', [], '366', /--days must be/],
    ['a word', [], 'many', /--days must be/],
  ];
  for (const [name, names, days, why] of refused) await t.rejects(run(names, days), { message: why }, name);
});
