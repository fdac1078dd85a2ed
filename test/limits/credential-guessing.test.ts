import t from 'tap';
import { CredentialGuessing } from '../../src/limits/credential-guessing.ts';

t.test('the first 50 wrong credentials are answered at once, then 50 a second', async (t) => {
  const guesses = new CredentialGuessing();
  const waits = Array.from({ length: 60 }, () => guesses.refused(1000));
  t.same(waits.slice(0, 50), Array(50).fill(0));
  t.same(waits.slice(50), [20, 40, 60, 80, 100, 120, 140, 160, 180, 200]);
});

t.test('no answer waits for more than a second, and that is the only penalty', async (t) => {
  const guesses = new CredentialGuessing();
  const waits = Array.from({ length: 10_000 }, () => guesses.refused(0));
  t.equal(waits.at(-1), 1000);
  t.equal(guesses.refused(1000), 20, 'a second later the wait is over');
  t.equal(guesses.refused(5000), 0, 'and then forgotten');
});

t.test('one wrong credential now and then never waits', async (t) => {
  const guesses = new CredentialGuessing();
  for (let second = 0; second < 100; second += 1) t.equal(guesses.refused(second * 1000), 0);
});
