import t from 'tap';
import { type Lifecycle, stopOnSignal } from '../../src/cli/lifecycle.ts';

function stage(stop: (graceMs: number) => Promise<void>, delayMs = 0) {
  const seen: string[] = [];
  const listeners = new Map<string, () => void>();
  const timers: { readonly ms: number; readonly work: () => void }[] = [];
  let now = 1000;
  const { promise: exited, resolve } = Promise.withResolvers<number>();
  const lifecycle: Lifecycle = {
    on: (signal, listener) => listeners.set(signal, listener),
    exit: (code) => {
      seen.push(`exit ${code}`);
      resolve(code);
    },
    now: () => now,
    after: (ms, work) => {
      timers.push({ ms, work });
      return () => void timers.splice(0);
    },
  };
  const depart = async () => void seen.push('depart');
  stopOnSignal(
    { depart, stop },
    { delayMs, graceMs: 30_000 },
    { out: () => {}, err: (text) => seen.push(text) },
    lifecycle,
  );
  return {
    seen,
    exited,
    timers,
    send: (signal: string) => listeners.get(signal)?.(),
    pass: (ms: number) => (now += ms),
  };
}

const TOLD = 'stopping, open exchanges have 30 s to finish; a second signal ends at once\n';

t.test('a signal stops with 30 s of grace, then exits with 0', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT']) {
    const graces: number[] = [];
    const { seen, exited, send } = stage(async (graceMs) => {
      graces.push(graceMs);
    });
    send(signal);
    await exited;
    t.strictSame({ seen, graces }, { seen: [TOLD, 'exit 0'], graces: [30_000] }, signal);
  }
});

t.test('a second signal exits at once, the echo of the first does not', async (t) => {
  const { seen, send, pass } = stage(() => new Promise<void>(() => {}));
  send('SIGINT');
  pass(100);
  send('SIGINT');
  t.strictSame(seen, [TOLD]);
  pass(1000);
  send('SIGTERM');
  t.strictSame(seen, [TOLD, 'exit 1']);
});

t.test('a stop that fails says so and exits with 1', async (t) => {
  const { seen, exited, send } = stage(() => Promise.reject(new Error('stuck')));
  send('SIGTERM');
  await exited;
  t.strictSame(seen, [TOLD, 'error: stuck\n', 'exit 1']);
});

const LEAVING = 'leaving, connections are accepted for 5 s; a second signal ends this time\n';

t.test('with a delay a signal departs first, and stops when the delay is over', async (t) => {
  const { seen, exited, timers, send } = stage(async () => {}, 5000);
  send('SIGTERM');
  t.strictSame(seen, [LEAVING, 'depart']);
  const [timer] = timers;
  t.equal(timer?.ms, 5000);
  timer?.work();
  await exited;
  t.strictSame(seen, [LEAVING, 'depart', TOLD, 'exit 0']);
});

t.test('a second signal ends the delay, a third one everything', async (t) => {
  const { seen, timers, send, pass } = stage(() => new Promise<void>(() => {}), 5000);
  send('SIGTERM');
  pass(100);
  send('SIGTERM');
  t.strictSame(seen, [LEAVING, 'depart'], 'an echo is none');
  pass(1000);
  send('SIGTERM');
  t.strictSame(seen, [LEAVING, 'depart', TOLD]);
  t.equal(timers.length, 0, 'the delay is over');
  pass(1000);
  send('SIGTERM');
  t.strictSame(seen, [LEAVING, 'depart', TOLD, 'exit 1']);
});
