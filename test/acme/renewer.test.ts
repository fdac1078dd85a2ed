import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { AcmeFault } from '../../src/acme/fault.ts';
import { createFolderStore } from '../../src/acme/folder-store.ts';
import { readAccountKey, signed } from '../../src/acme/jws.ts';
import type { AcmeStore } from '../../src/acme/store.ts';
import { createAsk } from '../../src/acme/transport.ts';
import { NO_PEBBLE, type Pebble } from '../support/acme/pebble.ts';
import { acmeFolder, authority, failed, issued, settingsFor, startRenewer } from '../support/acme/renewing.ts';
import { FILE_MS } from '../support/patience.ts';
import { until } from '../support/until.ts';

t.setTimeout(FILE_MS);

const skip = NO_PEBBLE;

t.test('a third of good nonces is refused: the certificate is got all the same, by http-01', { skip }, async (t) => {
  const { pebble, port } = await authority(t, { env: { PEBBLE_WFE_NONCEREJECT: '35' } });
  const one = await startRenewer(t, settingsFor(pebble), { port });
  await issued(one);
  t.equal(one.installs(), 1, 'and put in force once');
  t.equal(pebble.count('Added order'), 1);
  t.same(one.renewer.report().problem, undefined);
});

t.test('a certificate authority that keeps proofs is asked for none again', { skip }, async (t) => {
  const { pebble, port } = await authority(t, { env: { PEBBLE_AUTHZREUSE: '100' } });
  const settings = settingsFor(pebble);
  const one = await startRenewer(t, settings, { port });
  await issued(one);
  await one.close();
  const proofs = pebble.count('POST /chalZ/');
  t.equal(proofs, 1);
  for (const file of ['certificate.pem', 'schedule.json']) rmSync(join(settings.folder, file));
  const next = await startRenewer(t, settings);
  await issued(next);
  t.equal(pebble.count('POST /chalZ/'), proofs, 'without a port for http-01');
  t.equal(pebble.count('accounts in memory'), 1);
});

t.test('an external account binding is required', { skip }, async (t) => {
  const hmac = randomBytes(32);
  const { pebble, port } = await authority(t, { bindings: { 'key-1': hmac.toString('base64url') } });
  const good = { keyId: 'key-1', hmac: new Uint8Array(hmac) };
  const cases = [
    ['without one', undefined],
    ['with another HMAC key', { keyId: 'key-1', hmac: new Uint8Array(32) }],
  ] as const;
  for (const [name, binding] of cases) {
    const one = await startRenewer(t, settingsFor(pebble, { binding }));
    t.match((await failed(one)).problem, { kind: 'account' }, `${name} the account is refused`);
    t.notMatch(one.lines.join('\n'), hmac.toString('base64url'));
    await one.close();
  }
  await issued(await startRenewer(t, settingsFor(pebble, { binding: good }), { port }));
});

t.test('a certificate authority that does not answer does not keep the gateway from stopping', async (t) => {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const one = await startRenewer(t, settingsFor({ directory: `https://localhost:${port}/dir`, ca: undefined }));
  const [socket] = await once(server, 'connection');
  const ended = new Promise((resolve) =>
    socket
      .resume()
      .on('error', () => undefined)
      .once('close', resolve),
  );
  await one.close();
  t.pass('it has stopped, while the question was open');
  await ended;
  t.pass('and the connection has ended');
});

t.test('T16: a certificate authority that cannot be used', { skip }, async (t) => {
  const { pebble } = await authority(t);
  const wrongCa = await startRenewer(t, settingsFor({ directory: pebble.directory, ca: undefined }));
  t.match((await failed(wrongCa)).problem, { kind: 'directory_ca', text: /gateway\.acme\.directory_ca/ });
  const away = await startRenewer(t, settingsFor({ directory: 'https://localhost:1/dir', ca: pebble.ca }));
  t.match((await failed(away)).problem, { kind: 'directory', text: 'the connection failed (ECONNREFUSED)' });
  const late = await startRenewer(t, settingsFor(pebble), { now: () => Date.now() + 86_400_000 });
  t.match((await failed(late)).problem, { kind: 'clock', text: /1440 minutes ahead of/ });
  t.equal(pebble.count('Added order'), 0, 'nothing was ordered');
});

t.test('a renewal that fails leaves the certificate in force, and waits longer each time', { skip }, async (t) => {
  const { pebble, port } = await authority(t, { validity: 6 });
  const settings = settingsFor(pebble);
  const one = await startRenewer(t, settings, { port });
  await issued(one);
  const file = join(settings.folder, 'certificate.pem');
  const before = readFileSync(file);
  await pebble.kill();
  const { problem, nextAttemptAt, expiresAt } = await failed(one);
  t.equal(problem?.kind, 'directory');
  t.ok(nextAttemptAt >= Date.now() + 30_000);
  t.ok(expiresAt !== undefined && readFileSync(file).equals(before), 'it stays');
  t.match(one.lines.at(-1), /^the certificate was not renewed: the connection failed/);
  await one.close();
  const again = await startRenewer(t, settings);
  t.equal(again.renewer.report().nextAttemptAt, nextAttemptAt, 'a restart does not ask earlier');
  const other = { ...settings, email: null };
  await again.close();
  const changed = await startRenewer(t, other);
  await failed(changed);
  t.pass('other settings are tried at once');
});

t.test('a certificate of another directory is replaced at once, with another account', { skip }, async (t) => {
  const first = await authority(t);
  const settings = settingsFor(first.pebble);
  const one = await startRenewer(t, settings, { port: first.port });
  await issued(one);
  await one.close();
  const second = await authority(t);
  const moved = { ...settings, directory: second.pebble.directory };
  const account = readFileSync(join(settings.folder, 'account.json'), 'utf8');
  const next = await startRenewer(t, moved, { port: second.port });
  await issued(next);
  t.not(readFileSync(join(settings.folder, 'account.json'), 'utf8'), account);
  t.equal(second.pebble.count('Added order'), 1);
});

/** Closes the account of a folder (RFC 8555 section 7.3.6), as an operator does elsewhere. */
async function closeAccount(pebble: Pebble, folder: string): Promise<void> {
  const ask = createAsk(pebble.ca);
  const { keyPem } = JSON.parse(readFileSync(join(folder, 'account.json'), 'utf8'));
  const key = await readAccountKey(keyPem);
  const directory = JSON.parse((await ask('GET', pebble.directory)).body);
  const url: string = directory.newAccount;
  const first = (await ask('HEAD', directory.newNonce)).header('replay-nonce') ?? '';
  const payload = { onlyReturnExisting: true };
  const made = await ask('POST', url, await signed(key, { jwk: key.jwk }, { url, nonce: first, payload }));
  const kid = made.header('location') ?? '';
  const nonce = made.header('replay-nonce') ?? '';
  const closing = { url: kid, nonce, payload: { status: 'deactivated' } };
  const closed = await ask('POST', kid, await signed(key, { kid }, closing));
  if (closed.status !== 200) throw new Error(`the account was not closed: ${closed.body}`);
}

t.test('the account was closed: a new one is made, and told', { skip }, async (t) => {
  const { pebble, port } = await authority(t);
  const settings = settingsFor(pebble);
  const one = await startRenewer(t, settings, { port });
  await issued(one);
  await one.close();
  await closeAccount(pebble, settings.folder);
  for (const file of ['certificate.pem', 'schedule.json']) rmSync(join(settings.folder, file));
  const next = await startRenewer(t, settings, { port });
  await issued(next);
  t.equal(next.lines[0], 'the account is closed: a new one is made');
  t.equal(pebble.count('accounts in memory'), 2);
});

t.test('an account whose key is damaged is replaced', { skip }, async (t) => {
  const { pebble, port } = await authority(t);
  const settings = settingsFor(pebble);
  const account = join(settings.folder, 'account.json');
  writeFileSync(account, JSON.stringify({ directory: settings.directory, keyPem: 'nothing of use' }));
  const one = await startRenewer(t, settings, { port });
  await issued(one);
  t.equal(one.lines[0], 'the key of the account cannot be read: a new one is made');
  t.match(readFileSync(account, 'utf8'), /BEGIN PRIVATE KEY/);
});

t.test('a stored certificate that is damaged is replaced', { skip }, async (t) => {
  const { pebble, port } = await authority(t);
  const settings = settingsFor(pebble);
  const one = await startRenewer(t, settings, { port });
  await issued(one);
  const file = join(settings.folder, 'certificate.pem');
  const whole = readFileSync(file, 'utf8');
  writeFileSync(file, whole.slice(0, 300));
  await until(() => readFileSync(file, 'utf8') === whole, 'the one in force is put back');
  t.equal(one.renewer.report().problem, undefined);
  await one.close();
  writeFileSync(file, 'nothing of use');
  rmSync(join(settings.folder, 'schedule.json'));
  const next = await startRenewer(t, settings, { port });
  await issued(next);
  t.match(next.lines[0], /the stored certificate cannot be read, or has another key: another one is ordered/);
  t.equal(next.lines.filter((line) => line.includes('cannot be read')).length, 1, 'it is logged once');
  t.match(readFileSync(file, 'utf8'), /BEGIN CERTIFICATE/);
});

t.test('an order that has failed is not gone on with', { skip }, async (t) => {
  const { pebble, port } = await authority(t);
  const settings = settingsFor(pebble);
  const one = await startRenewer(t, settings);
  t.equal((await failed(one)).problem?.kind, 'challenge');
  await one.close();
  rmSync(join(settings.folder, 'schedule.json'));
  await issued(await startRenewer(t, settings, { port }));
  t.equal(pebble.count('Added order'), 2);
});

t.test('a folder without room: nothing is ordered', { skip }, async (t) => {
  const { pebble } = await authority(t);
  const settings = settingsFor(pebble);
  const store = createFolderStore({ folder: settings.folder });
  const full: AcmeStore = {
    ...store,
    async write(lease, name, text) {
      if (name === 'order') throw new AcmeFault('storage', 'the folder cannot be used: ENOSPC');
      await store.write(lease, name, text);
    },
  };
  const one = await startRenewer(t, settings, { store: full });
  await until(() => one.lines.some((line) => line.includes('ENOSPC')), 'it is told');
  await failed(one);
  t.equal(pebble.count('Added order'), 0);
});

t.test('the certificate authority suggests an earlier renewal (RFC 9773)', { skip }, async (t) => {
  const { pebble, port } = await authority(t, { validity: 86_400 });
  const settings = settingsFor(pebble);
  const one = await startRenewer(t, settings, { port });
  await issued(one);
  const asked = (): number => pebble.count('GET /draft-ietf-acme-ari-03/renewalInfo/');
  await until(() => asked() === 1, 'it is asked');
  await one.close();
  const certificate = readFileSync(join(settings.folder, 'certificate.pem'), 'utf8');
  await pebble.suggest(certificate, 'no JSON');
  const other = await startRenewer(t, settings, { port });
  await until(() => asked() === 2, 'it is asked again after a start');
  t.ok((other.renewer.report().renewalAt ?? 0) > Date.now(), 'an answer that cannot be read changes nothing');
  await other.close();
  const past = new Date(Date.now() - 3_600_000).toISOString();
  await pebble.suggest(certificate, JSON.stringify({ suggestedWindow: { start: past, end: past } }));
  // As after the pause that follows each order.
  const schedule = join(settings.folder, 'schedule.json');
  writeFileSync(schedule, JSON.stringify({ ...JSON.parse(readFileSync(schedule, 'utf8')), notBefore: 0 }));
  const next = await startRenewer(t, settings, { port });
  await issued(next);
  t.equal(pebble.count('Added order'), 2, 'it is renewed at once');
  t.ok((next.renewer.report().nextAttemptAt ?? 0) > Date.now() + 600_000, 'and not again');
});

t.test(
  'a folder that cannot be used',
  { skip: NO_PEBBLE || (process.getuid?.() === 0 && 'root may write anywhere') },
  async (t) => {
    const { pebble } = await authority(t);
    const settings = settingsFor(pebble);
    chmodSync(settings.folder, 0o500);
    const one = await startRenewer(t, settings);
    t.match(one.renewer.report(), { leader: false, problem: { kind: 'storage' } });
    t.equal(pebble.count('Added order'), 0, 'nothing is ordered that could not be kept');
  },
);

t.test('a folder that is a file: nothing is ordered that could not be kept', { skip }, async (t) => {
  const { pebble } = await authority(t);
  const folder = join(acmeFolder(), 'file');
  writeFileSync(folder, '');
  const one = await startRenewer(t, settingsFor(pebble, { folder }));
  t.match(one.renewer.report(), { leader: false, problem: { kind: 'storage', text: /cannot be used/ } });
  t.equal(pebble.count('Added order'), 0);
});
