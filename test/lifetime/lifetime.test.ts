import t from 'tap';
import { Lifetime } from '../../src/lifetime/lifetime.ts';

function recorded(): { life: Lifetime; seen: string[]; note: (what: string) => () => void } {
  const seen: string[] = [];
  const life = new Lifetime((error) => seen.push(`failed: ${String(error)}`));
  return { life, seen, note: (what) => () => seen.push(what) };
}

t.test('clean-ups run once, in order, at the end', async (t) => {
  const { life, seen, note } = recorded();
  life.onEnd(note('first'));
  life.onEnd(note('second'));
  t.strictSame([life.ended, life.pending, seen], [false, 2, []]);
  life.end();
  life.end();
  t.strictSame([life.ended, life.pending, seen], [true, 0, ['first', 'second']]);
});

t.test('a clean-up that is registered after the end runs at once', async (t) => {
  const { life, seen, note } = recorded();
  life.end();
  life.onEnd(note('late'));
  t.strictSame([seen, life.pending], [['late'], 0]);
});

t.test('a clean-up that is registered by a clean-up runs at once', async (t) => {
  const { life, seen, note } = recorded();
  life.onEnd(() => life.onEnd(note('inner')));
  life.onEnd(note('outer'));
  life.end();
  t.strictSame(seen, ['inner', 'outer']);
});

t.test('a clean-up that was taken back does not run, also when that happens at the end', async (t) => {
  const { life, seen, note } = recorded();
  const before = life.onEnd(note('taken back'));
  let during: () => void = () => undefined;
  life.onEnd(() => during());
  during = life.onEnd(note('taken back at the end'));
  life.onEnd(note('kept'));
  before();
  life.end();
  t.strictSame(seen, ['kept']);
});

t.test('the same function registered twice runs twice', async (t) => {
  const { life, seen, note } = recorded();
  const same = note('same');
  const takeBack = life.onEnd(same);
  life.onEnd(same);
  takeBack();
  life.end();
  t.strictSame(seen, ['same']);
});

t.test('a clean-up that throws is reported, and the others run', async (t) => {
  const { life, seen, note } = recorded();
  life.onEnd(() => {
    throw new Error('broken');
  });
  life.onEnd(note('other'));
  life.end();
  life.onEnd(() => {
    throw new Error('late');
  });
  t.strictSame(seen, ['failed: Error: broken', 'other', 'failed: Error: late']);
});
