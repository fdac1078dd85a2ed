import t from 'tap';
import { type Lifecycle, stopOnSignal } from '../../src/cli/lifecycle.ts';

function stage(stop: (graceMs: number) => Promise<void>) {
  const seen: string[] = [];
  const listeners = new Map<string, () => void>();
  let now = 1000;
  const { promise: exited, resolve } = Promise.withResolvers<number>();
  const lifecycle: Lifecycle = {
    on: (signal, listener) => listeners.set(signal, listener),
    exit: (code) => {
      seen.push(`exit ${code}`);
      resolve(code);
    },
    now: () => now,
  };
  stopOnSignal(stop, 30_000, { out: () => {}, err: (text) => seen.push(text) }, lifecycle);
  return { seen, exited, send: (signal: string) => listeners.get(signal)?.(), pass: (ms: number) => (now += ms) };
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
