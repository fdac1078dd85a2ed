import t from 'tap';
import type { ExchangeFields } from '../../src/observability/exchange-fields.ts';
import { FoldedRefusals } from '../../src/observability/folded-refusals.ts';

type Line = Readonly<Record<string, unknown>>;

/** A log whose minute ends when the test says so. */
function scene() {
  const lines: Line[] = [];
  const waiting: (() => void)[] = [];
  const folded = new FoldedRefusals({
    write: (fields, msg) => lines.push({ ...fields, msg }),
    later: (ms, work) => {
      t.equal(ms, 60_000);
      waiting.push(work);
    },
  });
  const refuse = (more: Partial<ExchangeFields> = {}, network = String(more.remote ?? '10.0.0.1'), isGrave = false) =>
    folded.add(
      'refused',
      {
        ...{
          protocol: 'rest',
          operation: 'points.upsert',
          collection: 'docs',
          code: 'write_required',
          rule: undefined,
        },
        ...{
          key: undefined,
          key_name: undefined,
          subject: undefined,
          remote: '10.0.0.1',
          status: 403,
          tracing_id: 'id',
        },
        ...more,
      },
      network,
      isGrave,
    );
  const take = () => lines.splice(0);
  const minute = () => {
    waiting.shift()?.();
    return take();
  };
  return { refuse, take, minute, waiting };
}

t.test('a refusal is told at once, and its repetitions with their count', async (t) => {
  const { refuse, take, minute, waiting } = scene();
  refuse({ tracing_id: 'first' });
  t.match(take(), [{ msg: 'refused', code: 'write_required', collection: 'docs', tracing_id: 'first' }]);
  for (let i = 0; i < 5; i += 1) refuse();
  t.same(take(), []);
  const [again, ...more] = minute();
  t.match(again, { msg: 'refused again', count: 5, remote: '10.0.0.1' });
  t.notOk('tracing_id' in Object(again), 'it stands for several requests');
  t.same(more, []);
  t.equal(waiting.length, 0, 'without refusals there is no timer');
  refuse();
  t.match(take(), [{ msg: 'refused' }], 'told again in the next minute');
  t.same(minute(), []);
});

t.test('refusals that differ are told apart', async (t) => {
  const { refuse, take } = scene();
  const kinds: readonly Partial<ExchangeFields>[] = [
    {},
    { collection: 'other' },
    { operation: 'points.delete' },
    { code: 'manage_required' },
    { rule: 'no-writes' },
    { remote: '10.0.0.2' },
    { key: 'team' },
    { key: 'team', subject: 'alice' },
  ];
  for (const kind of [...kinds, ...kinds]) refuse(kind);
  t.equal(take().length, kinds.length);
});

t.test('a caller that varies its requests cannot flood the log', async (t) => {
  const { refuse, take, minute } = scene();
  for (let i = 0; i < 10_000; i += 1) refuse({ collection: `docs-${i}` });
  t.equal(take().length, 8);
  t.match(minute(), [{ msg: 'further refusals of this caller', remote: '10.0.0.1', count: 9_992 }]);
});

t.test('many callers without a credential take no line from those with one', async (t) => {
  const { refuse, take, minute } = scene();
  for (let i = 0; i < 10_000; i += 1) refuse({ remote: `10.1.${i >> 8}.${i & 255}`, code: 'invalid_credential' });
  t.equal(take().length, 128);
  refuse({ key: 'team', subject: 'alice', remote: '10.1.0.1' });
  t.match(take(), [{ msg: 'refused', key: 'team', subject: 'alice' }]);
  t.same(minute(), [{ msg: 'refusals of further callers', code: 'invalid_credential', count: 9_872 }]);
});

t.test('one key cannot take the lines of another', async (t) => {
  const { refuse, take } = scene();
  for (let i = 0; i < 1_000; i += 1) refuse({ key: 'a', collection: `docs-${i}` });
  t.equal(take().length, 16);
  refuse({ key: 'b' });
  t.match(take(), [{ key: 'b' }]);
});

t.test('addresses of one network count as one caller', async (t) => {
  const { refuse, take } = scene();
  for (let i = 0; i < 1_000; i += 1) refuse({ remote: `2001:db8::${i.toString(16)}` }, '2001:db8:0:0');
  t.equal(take().length, 8);
});

t.test('the subjects of one key leave lines to other keys, and share those of one', async (t) => {
  const { refuse, take, minute } = scene();
  for (let i = 0; i < 1_000; i += 1) refuse({ key: 'a', subject: `s${i}`, collection: `docs-${i}` });
  t.equal(take().length, 32 + 16);
  refuse({ key: 'b', operation: 'collections.delete' });
  t.match(take(), [{ key: 'b', operation: 'collections.delete' }]);
  t.match(minute(), [{ msg: 'further refusals of this caller', key: 'a', count: 952 }]);
});

t.test('refused reads of a caller hide no refused write of it', async (t) => {
  const { refuse, take } = scene();
  for (let i = 0; i < 1_000; i += 1) refuse({ key: 'a', collection: `docs-${i}` });
  take();
  refuse({ key: 'a', operation: 'collections.delete' }, undefined, true);
  t.match(take(), [{ key: 'a', operation: 'collections.delete' }]);
  for (let i = 0; i < 1_000; i += 1) refuse({ key: 'a', operation: `x${i}` }, undefined, true);
  t.equal(take().length, 15);
});
