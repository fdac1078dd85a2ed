import t from 'tap';
import { HandshakeBudget } from '../../src/limits/handshake-budget.ts';

/* The processor time for certificates that are not verified, by network. Times are given. */

t.test('a network that has used nothing waits for nothing, whatever it sends', (t) => {
  const budget = new HandshakeBudget();
  for (const bytes of [600, 16_384, 102_400]) t.equal(budget.wait('a', bytes, 0), 0, `${bytes} bytes`);
  t.end();
});

t.test('time that was used is paid before the next certificates, small ones first', (t) => {
  const budget = new HandshakeBudget();
  budget.charge('a', 150, 0);
  const large = budget.wait('a', 16_384, 0);
  const small = budget.wait('a', 2000, 0);
  t.ok(small > 500 && small < large && large < 1500, `${small} ms and ${large} ms`);
  t.equal(budget.wait('b', 16_384, 0), 0, 'another network waits for nothing');
  t.equal(budget.wait('a', 16_384, Math.ceil(large)), 0, 'and the time ends it');
  budget.charge('a', -150, 0);
  t.equal(budget.wait('a', 16_384, 0), 0, 'as does a certificate that turns out to be good');
  t.end();
});

t.test('many networks share what strangers have; a known one does not wait for them', (t) => {
  const budget = new HandshakeBudget();
  budget.verified('known', 0);
  for (let network = 0; network < 100; network += 1) budget.charge(`n${network}`, 50, 0);
  t.ok(budget.wait('new', 2000, 0) > 10_000, 'a new one waits');
  t.equal(budget.wait('known', 16_384, 0), 0);
  budget.charge('n0', 5000, 3_600_001);
  t.ok(budget.wait('known', 16_384, 3_600_001) > 0, 'an hour later it is no longer known');
  t.end();
});
