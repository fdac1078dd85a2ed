import t from 'tap';
import { KeySets } from '../../src/identity/issuers/key-sets.ts';
import type { FetchKeys } from '../../src/issuers/fetch-keys.ts';
import { KeyFetchFault } from '../../src/issuers/get.ts';
import { createKeySource } from '../../src/issuers/key-source.ts';
import type { IssuerSettings, KeySetInForce, PublishedKey } from '../../src/policy/mapping/issuer.ts';
import { issuerWith, providerKey, published } from '../support/issuers/keys.ts';

/* When keys are fetched, and how long they are used. The clock is the test's. */

const one = providerKey('ES256', 'one');
const two = providerKey('ES256', 'two');
const remote = (id: string, more: Partial<IssuerSettings> = {}): IssuerSettings => ({
  ...issuerWith([one], { id, issuer: `https://${id}.example.com` }),
  source: {
    ...{ from: 'url', url: `https://${id}.example.com/keys`, ca: undefined, bearerTokenFile: undefined },
    ...{ refreshMs: 300_000, coolDownMs: 30_000, maxStaleMs: 3_600_000 },
  },
  ...more,
});

/** A gateway's source of keys with several processes behind it. */
function sourceOf(issuers: readonly IssuerSettings[], processes = 1) {
  const clock = { now: 1_000_000 };
  const fetched: string[] = [];
  const said: string[] = [];
  let keys: readonly PublishedKey[] | undefined = published(one);
  const fetch: FetchKeys = async (_source, issuer) => {
    fetched.push(issuer);
    await undefined;
    if (!keys) throw new KeyFetchFault('the connection failed (ECONNREFUSED)');
    return keys;
  };
  const tell = (level: string) => (fields: object, text: string) => {
    said.push(`${level}: ${'issuer' in fields ? fields.issuer : ''}: ${text}`);
  };
  const source = createKeySource({
    ...{ issuers, fetch, now: () => clock.now },
    log: { info: tell('info'), warn: tell('warn'), error: tell('error') },
    changed: async (sets: readonly KeySetInForce[]) => {
      for (const each of all) each.set(structuredClone(sets));
    },
  });
  const all = Array.from({ length: processes }, () => new KeySets(() => clock.now, source.ask));
  for (const each of all) each.configure(issuers);
  const [first = new KeySets(() => 0)] = all;
  const serve = (next: readonly PublishedKey[] | undefined): void => {
    keys = next;
  };
  return { source, all, first, clock, fetched, said, serve };
}

const kids = (found: ReturnType<KeySets['find']>) =>
  found === 'unusable' ? found : found.map(({ published: { kid } }) => kid);

t.test('a new key is found by one fetch over all processes', async (t) => {
  const { source, all, first, clock, fetched, serve } = sourceOf([remote('corp')], 4);
  await source.start();
  t.strictSame(kids(first.find('corp', 'one', 'ES256')), ['one']);
  serve(published(one, two));
  clock.now += 60_000;
  t.strictSame(kids(first.find('corp', 'two', 'ES256')), []);
  await Promise.all(all.flatMap((sets) => Array.from({ length: 100 }, () => sets.refresh('corp'))));
  t.equal(fetched.length, 2, 'the start, and one for 400 requests');
  for (const sets of all) t.strictSame(kids(sets.find('corp', 'two', 'ES256')), ['two']);
  source.close();
});

t.test('made-up keys cause at most one fetch per cool-down', async (t) => {
  const { source, all, clock, fetched } = sourceOf([remote('corp')], 4);
  await source.start();
  for (let second = 0; second < 120; second += 1) {
    await Promise.all(all.map((sets) => sets.refresh('corp')));
    clock.now += 1000;
  }
  t.equal(fetched.length, 5, 'the start, one at once, and three in two minutes');
  source.close();
});

t.test('a provider that is out: its keys are used up to the bound, then its tokens are refused', async (t) => {
  const { source, first, clock, said, serve } = sourceOf([remote('corp'), remote('other')]);
  await source.start();
  const [key] = first.find('corp', 'one', 'ES256');
  if (typeof key !== 'object') throw new TypeError('no key');
  serve(undefined);
  clock.now += 3_599_999;
  await source.ask('corp');
  t.ok(first.holds('corp', key), 'a remembered token stands');
  t.match(source.report(), [
    { issuer: 'corp', usable: true, failures: 1, problem: /ECONNREFUSED/ },
    { issuer: 'other' },
  ]);
  clock.now += 1;
  t.equal(kids(first.find('corp', 'one', 'ES256')), 'unusable');
  t.notOk(first.holds('corp', key), 'nor does a remembered one');
  clock.now += 30_000;
  await source.ask('corp');
  clock.now += 30_000;
  await source.ask('corp');
  serve(published(one));
  clock.now += 30_000;
  await source.ask('corp');
  t.strictSame(kids(first.find('corp', 'one', 'ES256')), ['one']);
  t.strictSame(said, [
    'warn: corp: the keys of the issuer cannot be fetched: the known ones stay in use',
    'error: corp: the keys of the issuer cannot be fetched: its tokens are refused',
    'info: corp: the keys of the issuer are fetched again',
  ]);
  source.close();
});

t.test('a provider that is out at the start stops neither the start nor another issuer', async (t) => {
  const { source, first, serve, said, clock } = sourceOf([remote('corp'), issuerWith([one], { id: 'file' })]);
  serve(undefined);
  await source.start();
  t.equal(kids(first.find('corp', 'one', 'ES256')), 'unusable');
  t.strictSame(kids(first.find('file', 'one', 'ES256')), ['one']);
  t.match(said, [/error: corp: .*its tokens are refused/]);
  serve(published(one));
  clock.now += 30_000;
  await first.refresh('corp');
  t.strictSame(kids(first.find('corp', 'one', 'ES256')), ['one']);
  source.close();
});

t.test('a key that the set drops is dropped at once, and one that stays is the same', async (t) => {
  const { source, first, clock, serve } = sourceOf([remote('corp')]);
  serve(published(one, two));
  await source.start();
  const [[oldOne], [oldTwo]] = [first.find('corp', 'one', 'ES256'), first.find('corp', 'two', 'ES256')];
  if (typeof oldOne !== 'object' || typeof oldTwo !== 'object') throw new TypeError('no keys');
  serve(published(two));
  clock.now += 30_000;
  await source.ask('corp');
  t.notOk(first.holds('corp', oldOne));
  t.ok(first.holds('corp', oldTwo));
  source.close();
});

t.test('another source begins without keys; the same source keeps them over a reload', async (t) => {
  const { source, first, fetched } = sourceOf([remote('corp')]);
  await source.start();
  const again = [remote('corp', { audiences: ['more'] }), remote('new')];
  source.configure(again);
  first.configure(again);
  t.strictSame(kids(first.find('corp', 'one', 'ES256')), ['one']);
  t.equal(kids(first.find('new', 'one', 'ES256')), 'unusable');
  await source.ask('new');
  t.strictSame(kids(first.find('new', 'one', 'ES256')), ['one']);
  t.equal(fetched.length, 2, 'only the new one was fetched');
  const { source: moved } = remote('moved');
  first.configure([remote('corp', { source: moved })]);
  t.equal(kids(first.find('corp', 'one', 'ES256')), 'unusable', 'keys of another URL are not used');
  source.close();
});

t.test('a set of 1000 keys is looked up by `kid`', async (t) => {
  const { jwk } = one;
  const many = Array.from({ length: 1000 }, (_, at) => ({ ...one, jwk: { ...jwk, kid: `k${at}` } }));
  const sets = new KeySets(() => 0);
  sets.configure([issuerWith(many)]);
  t.strictSame(kids(sets.find('corp', 'k999', 'ES256')), ['k999']);
  t.strictSame(kids(sets.find('corp', undefined, 'ES256')), [], 'without `kid` there is nothing to choose by');
});

t.test('a provider that withdraws all its keys: its tokens are refused at once, and told once', async (t) => {
  const { source, first, clock, said, serve } = sourceOf([remote('corp')]);
  await source.start();
  const [key] = first.find('corp', 'one', 'ES256');
  if (typeof key !== 'object') throw new TypeError('no key');
  serve([]);
  for (let round = 0; round < 2; round += 1) {
    clock.now += 60_000;
    await source.ask('corp');
  }
  t.notOk(first.holds('corp', key), 'a remembered token falls');
  t.strictSame(kids(first.find('corp', 'one', 'ES256')), []);
  t.strictSame(
    said.filter((line) => line.includes('publishes no key')),
    ['error: corp: the issuer publishes no key: its tokens are refused'],
  );
  serve(published(one));
  clock.now += 60_000;
  await source.ask('corp');
  t.strictSame(kids(first.find('corp', 'one', 'ES256')), ['one'], 'and accepted again with its keys');
  source.close();
});
