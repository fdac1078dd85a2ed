import t from 'tap';
import { FloodPenalty } from '../../src/limits/flood-penalty.ts';

const FOR_MS = 10_000;

function at(start = 0): { floodPenalty: FloodPenalty; clock: { now: number } } {
  const clock = { now: start };
  return { floodPenalty: new FloodPenalty(FOR_MS, () => clock.now), clock };
}

t.test('an address nobody reported goes on at once', async (t) => {
  const { floodPenalty } = at();
  t.equal(floodPenalty.admit('10.0.0.1'), 0);
  floodPenalty.report('10.0.0.2');
  t.equal(floodPenalty.admit('10.0.0.1'), 0);
  t.notOk(floodPenalty.has('10.0.0.1'));
});

t.test('connections of a suspect take turns, further apart with every flood, and too many are refused', async (t) => {
  const { floodPenalty, clock } = at();
  floodPenalty.report('10.0.0.2');
  t.ok(floodPenalty.has('10.0.0.2'));
  t.same(
    Array.from({ length: 4 }, () => floodPenalty.admit('10.0.0.2')),
    [100, 200, 300, 400],
  );
  const waits = Array.from({ length: 30 }, () => floodPenalty.admit('10.0.0.2'));
  t.equal(waits.filter((wait) => wait !== undefined).at(-1), 2000);
  t.equal(waits.at(-1), undefined, 'refused');
  clock.now = 5000;
  for (let flood = 0; flood < 10; flood += 1) floodPenalty.report('10.0.0.2');
  t.same([floodPenalty.admit('10.0.0.2'), floodPenalty.admit('10.0.0.2')], [0, 1000], 'a second at most');
});

t.test('it is forgotten some time after the last flood', async (t) => {
  const { floodPenalty, clock } = at();
  floodPenalty.report('10.0.0.2');
  clock.now = FOR_MS - 1;
  t.ok(floodPenalty.has('10.0.0.2'));
  floodPenalty.report('10.0.0.2');
  clock.now = FOR_MS;
  t.ok(floodPenalty.has('10.0.0.2'), 'counted from the last');
  clock.now = 2 * FOR_MS - 1;
  t.notOk(floodPenalty.has('10.0.0.2'));
  t.equal(floodPenalty.admit('10.0.0.2'), 0);
});

t.test('an address has one name, and an IPv6 network of 64 bits is one client', async (t) => {
  const { floodPenalty } = at();
  floodPenalty.report('::ffff:10.0.0.2');
  floodPenalty.report('2001:db8:0:1::5');
  for (const address of ['10.0.0.2', '::ffff:10.0.0.2', '2001:db8:0:1:a:b:c:d', '2001:db8:0:1::']) {
    t.ok(floodPenalty.has(address), address);
  }
  for (const address of ['10.0.0.3', '2001:db8:0:2::5', '2001:db8::1', '::1', '']) {
    t.notOk(floodPenalty.has(address), address);
  }
});

t.test('it can be turned off, and remembers no more than so many', async (t) => {
  const off = new FloodPenalty(0, () => 0);
  off.report('10.0.0.2');
  t.same([off.has('10.0.0.2'), off.admit('10.0.0.2')], [false, 0]);
  const { floodPenalty } = at();
  for (let index = 0; index < 20_000; index += 1) floodPenalty.report(`10.0.${index >> 8}.${index & 255}`);
  t.notOk(floodPenalty.has('10.0.0.0'), 'the oldest went');
  t.ok(floodPenalty.has('10.0.78.31'), 'the newest is there');
});

t.test('requests of an address that flooded keep a distance for ten seconds, also without a penalty', async (t) => {
  const clock = { now: 0 };
  const floodPenalty = new FloodPenalty(0, () => clock.now);
  t.equal(floodPenalty.distance('10.0.0.2'), 0, 'nobody flooded');
  floodPenalty.report('::ffff:10.0.0.2');
  t.equal(floodPenalty.admit('10.0.0.2'), 0, 'its connections are admitted');
  t.notOk(floodPenalty.has('10.0.0.2'), "and its resets cost as much as everybody's");
  const distances = Array.from({ length: 24 }, () => floodPenalty.distance('10.0.0.2'));
  t.same(distances, [...Array(20).fill(0), 2.5, 5, 7.5, 10]);
  t.equal(floodPenalty.distance('10.0.0.3'), 0, 'another address');
  for (let request = 0; request < 10_000; request += 1) floodPenalty.distance('10.0.0.2');
  t.equal(floodPenalty.distance('10.0.0.2'), 1000, 'no request waits for longer');
  clock.now = 5000;
  t.equal(floodPenalty.distance('10.0.0.2'), 0, 'one that comes alone waits for nothing');
  clock.now = 10_000;
  for (let request = 0; request < 100; request += 1) t.equal(floodPenalty.distance('10.0.0.2'), 0);
});
