import t from 'tap';
import { FloodPenalty } from '../../src/limits/flood-penalty.ts';

function at(start = 0): { floodPenalty: FloodPenalty; clock: { now: number } } {
  const clock = { now: start };
  return { floodPenalty: new FloodPenalty(() => clock.now), clock };
}

/** Does the address have to keep a distance? Asks for more requests than may come at once. */
function isSpaced(floodPenalty: FloodPenalty, address: string): boolean {
  return Array.from({ length: 21 }, () => floodPenalty.distance(address)).some((distance) => distance > 0);
}

t.test('an address that was not reported goes on at once', async (t) => {
  const { floodPenalty } = at();
  t.notOk(isSpaced(floodPenalty, '10.0.0.1'));
  floodPenalty.report('10.0.0.2');
  t.notOk(isSpaced(floodPenalty, '10.0.0.1'));
  t.ok(isSpaced(floodPenalty, '10.0.0.2'));
});

t.test('it is forgotten ten seconds after the last flood', async (t) => {
  const { floodPenalty, clock } = at();
  floodPenalty.report('10.0.0.2');
  clock.now = 9_999;
  floodPenalty.report('10.0.0.2');
  clock.now = 10_000;
  t.ok(isSpaced(floodPenalty, '10.0.0.2'), 'counted from the last');
  clock.now = 20_000;
  t.notOk(isSpaced(floodPenalty, '10.0.0.2'));
});

t.test('an address has one name, and an IPv6 network of 64 bits is one client', async (t) => {
  const { floodPenalty } = at();
  floodPenalty.report('::ffff:10.0.0.2');
  floodPenalty.report('2001:db8:0:1::5');
  for (const address of ['10.0.0.2', '::ffff:10.0.0.2', '2001:db8:0:1:a:b:c:d', '2001:db8:0:1::']) {
    t.ok(isSpaced(floodPenalty, address), address);
  }
  for (const address of ['10.0.0.3', '2001:db8:0:2::5', '2001:db8::1', '::1', '']) {
    t.notOk(isSpaced(floodPenalty, address), address);
  }
});

t.test('it remembers no more than so many addresses', async (t) => {
  const { floodPenalty } = at();
  for (let index = 0; index < 20_000; index += 1) floodPenalty.report(`10.0.${index >> 8}.${index & 255}`);
  t.notOk(isSpaced(floodPenalty, '10.0.0.0'), 'the oldest went');
  t.ok(isSpaced(floodPenalty, '10.0.78.31'), 'the newest is there');
});

t.test('requests of an address that flooded keep a distance', async (t) => {
  const { floodPenalty, clock } = at();
  floodPenalty.report('10.0.0.2');
  const distances = Array.from({ length: 24 }, () => floodPenalty.distance('10.0.0.2'));
  t.same(distances, [...Array(20).fill(0), 2.5, 5, 7.5, 10]);
  for (let request = 0; request < 10_000; request += 1) floodPenalty.distance('10.0.0.2');
  t.equal(floodPenalty.distance('10.0.0.2'), 1000, 'no request waits for longer');
  clock.now = 5000;
  t.equal(floodPenalty.distance('10.0.0.2'), 0, 'one that comes alone waits for nothing');
});
