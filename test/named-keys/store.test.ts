import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { rotateText } from '../../src/named-keys/changes.ts';
import { fileStorage } from '../../src/named-keys/edit.ts';
import { createKeyStore, type KeyPlace } from '../../src/named-keys/store.ts';
import { heldClock } from '../support/quick-clock.ts';

const NOW = Date.parse('2026-11-29T12:00:00Z');
const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-key-store-'));
const CREATE = { change: 'create', body: { name: 'Team', id: 'team', access: 'r' } } as const;

const reloaded: KeyPlace['apply'] = async () => ({ ok: true });

function placeOf(file: string, apply = reloaded): KeyPlace {
  return { name: file, storage: fileStorage(file), apply };
}

/** A store over a file, in a policy with the limit `gold`; `apply` is what a reload answers. */
function storeOver(file: string | null, apply = reloaded) {
  const clock = heldClock();
  const place = () => (file === null ? null : placeOf(file, apply));
  return {
    clock,
    store: createKeyStore({
      place,
      limits: () => [{ id: 'gold' }],
      taken: () => new Set(['corp']),
      now: () => NOW,
      clock,
    }),
  };
}

t.test('a file that is not there, or may not be written, is told, and nothing is done', async (t) => {
  const none = await storeOver(null).store.change(CREATE);
  t.match(none, { ok: false, why: 'file', problems: [/set `gateway.keys_file`/] });
  const lost = await storeOver(join(folder, 'no', 'keys.yaml')).store.change(CREATE);
  t.match(lost, { ok: false, why: 'file', problems: [/^cannot write the file of named keys .*: no such file/] });
  const faulty = join(folder, 'faulty.yaml');
  writeFileSync(faulty, 'keys: [{ id: team }]\n');
  t.match(await storeOver(faulty).store.change(CREATE), {
    ...{ ok: false, why: 'file' },
    problems: [/^the file of named keys has faults/, /faulty\.yaml:1:/],
  });
  t.equal(readFileSync(faulty, 'utf8'), 'keys: [{ id: team }]\n');
});

t.test('a key is made for 90 days unless it is said, and its text is in no file', async (t) => {
  const file = join(folder, 'made.yaml');
  const made = await storeOver(file).store.change(CREATE);
  t.match(made, {
    ...{ ok: true, inForce: true, problems: [] },
    key: { id: 'team', disabled: false, expiresAt: Date.parse('2027-02-27T12:00:00Z') },
  });
  t.notMatch(readFileSync(file, 'utf8'), 'qgw_');
});

t.test('a text that is accepted until a time is ended by no second rotation with an overlap', async (t) => {
  const file = join(folder, 'twice.yaml');
  const { store } = storeOver(file);
  await store.change(CREATE);
  const rotate = (overlap: string) => store.change({ change: 'rotate', id: 'team', body: { overlap } });
  t.match(await rotate('24h'), { ok: true });
  const before = readFileSync(file, 'utf8');
  for (const overlap of ['24h', '1h', '366d']) {
    t.match(await rotate(overlap), {
      ...{ ok: false, why: 'overlap' },
      problems: [/is accepted until 2026-11-30T12:00:00Z: rotate after that, or with the overlap 0/],
    });
  }
  t.equal(readFileSync(file, 'utf8'), before, 'nothing was changed');
  t.match(await Promise.all(['24h', '24h', '24h'].map(rotate)), [{ ok: false }, { ok: false }, { ok: false }]);
  t.match(await rotate('0'), { ok: true, key: { previous: undefined } }, 'all former texts can be ended');
  t.match(await rotate('24h'), { ok: true }, 'and then there is none');
});

t.test('a rotation after the end of the overlap is made', async (t) => {
  const storage = fileStorage(join(folder, 'later.yaml'));
  await storeOver(join(folder, 'later.yaml')).store.change(CREATE);
  await rotateText(storage, 'team', NOW + 1000, NOW);
  await t.rejects(rotateText(storage, 'team', NOW + 5000, NOW + 999), { message: /is accepted until/ });
  t.match(await rotateText(storage, 'team', NOW + 5000, NOW + 1000), { entry: { id: 'team' } });
});

t.test('a reload that fails, that takes too long, or that names another file, is told', async (t) => {
  const file = join(folder, 'late.yaml');
  const problems = ['policy.yaml:1: is nothing'];
  const { store: refused } = storeOver(file, async () => ({ ok: false, problems }));
  t.match(await refused.change(CREATE), { ok: true, inForce: false, problems: ['policy.yaml:1: is nothing'] });
  const asked = Promise.withResolvers<void>();
  const { store, clock } = storeOver(file, () => {
    asked.resolve();
    return new Promise(() => undefined);
  });
  const waiting = store.change({ change: 'disable', id: 'team', body: undefined });
  await asked.promise;
  await clock.pass(4_000);
  t.match(await waiting, { ok: true, inForce: false, problems: [/not read its named keys yet/] });
  const files = [file, join(folder, 'other.yaml')];
  const moved = createKeyStore({
    ...{
      place: () => placeOf(files.shift() ?? ''),
      limits: () => [],
      taken: () => new Set<string>(),
      now: () => NOW,
      clock: heldClock(),
    },
  });
  t.match(await moved.change({ change: 'delete', id: 'team', body: undefined }), { ok: true, inForce: false });
});

t.test('a key has a tenant of an exact form, or a list of them', async (t) => {
  const file = join(folder, 'tenants.yaml');
  const { store } = storeOver(file);
  const created = (tenant: unknown, id: string) =>
    store.change({ change: 'create', body: { ...CREATE.body, id, tenant } });
  t.match(await created('acme', 'acme'), { ok: true, key: { tenant: ['acme'] } });
  t.match(await created([7, true], 'seven'), { ok: true, key: { tenant: [7, true] } });
  t.match(await created(1.5, 'bad1'), {
    ok: false,
    problems: [/^tenant must be text that is not empty, a whole number/],
  });
  t.match(await created([], 'bad2'), { ok: false, problems: [/^tenant must be text/] });
  t.match(readFileSync(file, 'utf8'), /tenant: acme\n[\s\S]*tenant:\n\s+- 7\n\s+- true\n/);
});

t.test('a key carries limits that the policy has, and no other', async (t) => {
  const file = join(folder, 'limited.yaml');
  const { store } = storeOver(file);
  const created = (limits: unknown) => store.change({ change: 'create', body: { ...CREATE.body, limits } });
  t.match(await created(['golden']), {
    ...{ ok: false, why: 'invalid' },
    problems: ['the policy has no limit `golden`, did you mean `gold`?'],
  });
  t.match(await created('gold'), { ok: false, problems: ['limits must be a list of ids of limits of the policy'] });
  t.match(await created(['gold']), { ok: true, key: { limits: ['gold'] } });
  t.match(readFileSync(file, 'utf8'), /limits:\n\s+- gold\n/);
});

t.test('a key gets no id of an issuer, a signing key or the client certificates', async (t) => {
  const file = join(folder, 'taken.yaml');
  const body = { name: 'Team', id: 'corp', access: 'r' };
  const refused = await storeOver(file).store.change({ change: 'create', body });
  t.match(refused, { ok: false, why: 'exists', problems: [/`corp` is the id of an issuer/] });
  t.match(await storeOver(file).store.change({ change: 'create', body: { ...body, id: 'corps' } }), { ok: true });
});
