import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createKeyStore } from '../../src/named-keys/store.ts';
import { heldClock } from '../support/quick-clock.ts';

const NOW = Date.parse('2026-11-29T12:00:00Z');
const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-key-store-'));
const CREATE = { change: 'create', body: { name: 'Team', id: 'team', access: 'r' } } as const;

/** A store over a file; `reload` is what a reload answers. */
function storeOver(file: string | null, reload = async (): Promise<{ ok: true }> => ({ ok: true })) {
  const clock = heldClock();
  return { clock, store: createKeyStore({ file: () => file, reload, now: () => NOW, clock }) };
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

t.test('a reload that fails, that takes too long, or that names another file, is told', async (t) => {
  const file = join(folder, 'late.yaml');
  const refused = createKeyStore({
    ...{ file: () => file, now: () => NOW, clock: heldClock() },
    reload: async () => ({ ok: false, problems: ['policy.yaml:1: is nothing'] }),
  });
  t.match(await refused.change(CREATE), { ok: true, inForce: false, problems: ['policy.yaml:1: is nothing'] });
  const asked = Promise.withResolvers<void>();
  const { store, clock } = storeOver(file, () => {
    asked.resolve();
    return new Promise(() => undefined);
  });
  const waiting = store.change({ change: 'disable', id: 'team', body: undefined });
  await asked.promise;
  await clock.pass(4_000);
  t.match(await waiting, { ok: true, inForce: false, problems: [/not read its files yet/] });
  const files = [file, join(folder, 'other.yaml')];
  const moved = createKeyStore({
    ...{ file: () => files.shift() ?? null, now: () => NOW, clock: heldClock() },
    reload: async () => ({ ok: true }),
  });
  t.match(await moved.change({ change: 'delete', id: 'team', body: undefined }), { ok: true, inForce: false });
});
