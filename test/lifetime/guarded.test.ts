import t from 'tap';
import { unguarded } from '../support/guard-scan.ts';
import { readTexts, scan } from '../support/import-scan.ts';

/*
 * Everything that the event loop calls in the data path goes through a guard, or is a no-op by the name of `ignore`: so an
 * exception ends a connection or an exchange and never the process.
 */

const FOLDERS = ['rest/', 'grpc/', 'http2/', 'upstream/', 'limits/', 'net/'];
const FILES = [
  'exchange/steps.ts',
  'exchange/shadow.ts',
  'net/tls-sniff.ts',
  'net/connections.ts',
  'net/close-listener.ts',
  'net/open-listener.ts',
];

/** Entries that go without, and why; one that is not needed any more fails. */
const EXCEPTIONS: Readonly<Record<string, { readonly entries: number; readonly reason: string }>> = {
  'rest/body/thread.ts': { entries: 1, reason: 'a thread of its own: an exception ends the thread, and its jobs fail' },
  'grpc/tenants/thread/rewrite-thread.ts': {
    entries: 1,
    reason: 'a thread of its own: an exception ends the thread, and its jobs fail',
  },
};

const TRIED: readonly (readonly [name: string, text: string, found: readonly string[]])[] = [
  ['an event', `socket.on('data', (chunk) => take(chunk));`, ["a.ts: .on('', (chunk) => take(chunk))"]],
  ['an event under a guard', `socket.on('data', guard.entry((chunk) => take(chunk)));`, []],
  ['a guard by another name', `socket.once('end', this.#guard.at('body').entry(() => end()));`, []],
  ['a no-op', `socket.on('error', ignore);`, []],
  ['a no-op by another name', `socket.on('error', () => undefined);`, ["a.ts: .on('', () => undefined)"]],
  ['several in a row', `a.on('x', guard.entry(f)).once('y', go);`, ["a.ts: .once('', go)"]],
  [
    'a field that is an entry',
    `class A { readonly #onEnd = this.#guard.entry(() => 1); x() { s.on('end', this.#onEnd); } }`,
    [],
  ],
  [
    'a field that is none',
    `class A { readonly #onEnd = () => 1; x() { s.on('end', this.#onEnd); } }`,
    ["a.ts: .on('', this.#onEnd)"],
  ],
  ['a field made by the constructor', `this.#onEnd = guard.entry(() => 1); s.on('end', this.#onEnd);`, []],
  [
    'a field made when it is first needed',
    `class A { #go: (() => void) | undefined; x() { this.#go ??= this.#guard.entry(() => 1); scheduler.wait(this.#go); } }`,
    [],
  ],
  [
    'a field made so without a guard',
    `class A { #go: (() => void) | undefined; x() { this.#go ??= () => f(); scheduler.wait(this.#go); } }`,
    ['a.ts: scheduler.wait(this.#go)'],
  ],
  ['a constant that is an entry', `const go = guard.entry(() => 1); s.once('a', go);`, []],
  ['a constant that is none', `const go = (): void => f(); s.once('a', go);`, ["a.ts: .once('', go)"]],
  ['a timer', `setTimeout(() => end(), 5);`, ['a.ts: setTimeout(() => end(), 5)']],
  ['a timer under a guard', `guard.after(5, () => end()); setInterval(guard.entry(look), 5);`, []],
  ['an immediate', `setImmediate(reset, 1);`, ['a.ts: setImmediate(reset, 1)']],
  ['a microtask', `queueMicrotask(() => go());`, ['a.ts: queueMicrotask(() => go())']],
  ['a promise', `asked.then(done, failed);`, ['a.ts: .then(done, failed)', 'a.ts: .then(done, failed)']],
  ['a promise under a guard', `guard.settled(asked, done);`, []],
  ['a turn', `this.#scheduler.wait(this.#resume);`, ['a.ts: scheduler.wait(this.#resume)']],
  [
    'a server',
    `createTcpServer({}, (socket) => take(socket));`,
    ['a.ts: createTcpServer({}, (socket) => take(socket))'],
  ],
  ['a callback of a call', `server.close(() => resolve());`, ['a.ts: .close(() => resolve())']],
  ['a call without one', `pool.close(); socket.end(text);`, []],
  [
    'a stream method',
    `override _read(): void { this.#source.resume(); }`,
    ['a.ts: override _read() { this.#source.resume(); }'],
  ],
  [
    'a stream method under a guard',
    `override _destroy(e: Error, done: (e: Error) => void): void { this.#guard.run(() => this.#leave()); done(e); }`,
    [],
  ],
  ['an option of a stream', `new Readable({ read() { go(); } });`, ['a.ts: new Readable({ read() { go(); } })']],
  ['a method for undici', `class A { onResponseEnd(): void { end(); } }`, ['a.ts: onResponseEnd(']],
  [
    'a member for undici',
    `const a = { onResponseEnd: () => end(), onResponseError: guard.entry(failed) };`,
    ['a.ts: onResponseEnd: () => end()'],
  ],
  ['comments and strings', `// socket.on('a', b)\nconst a = ".on('x', y)";`, []],
];

for (const [name, text, found] of TRIED) {
  t.test(`the rule, tried on ${name}`, async (t) => {
    t.strictSame(unguarded(scan({ 'a.ts': text })), found);
  });
}

t.test('everything that the event loop calls goes through a guard', async (t) => {
  const source = scan(readTexts(new URL('../../src', import.meta.url).pathname)).filter(
    ({ path }) => FILES.includes(path) || FOLDERS.some((folder) => path.startsWith(folder)),
  );
  t.ok(source.length > 80, 'the source is there');
  const found = unguarded(source);
  const counts: Record<string, number> = {};
  for (const line of found) {
    const [path = ''] = line.split(':', 1);
    counts[path] = (counts[path] ?? 0) + 1;
  }
  const expected = Object.fromEntries(Object.entries(EXCEPTIONS).map(([path, { entries }]) => [path, entries]));
  for (const line of found) if (!EXCEPTIONS[line.split(':', 1)[0] ?? '']) t.fail(line);
  t.strictSame(counts, expected, 'every exception is needed');
});
