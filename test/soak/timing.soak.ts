import { once } from 'node:events';
import { openTls } from '../support/clients/sockets.ts';
import { KEYS } from '../support/gateway.ts';
import { casesOf, head, startArena } from '../support/invariants.ts';
import { STANDS_OUT, separations } from '../support/load/separable.ts';

/** `npm run soak -- timing [samples of each kind]`: some ten seconds. Tells on stderr how far it is. */
const [SAMPLES = 20_000] = process.argv.slice(2).map(Number);
const WARM_UP = 200;
/** Connections that are used in turn: each is slow enough not to be slowed down for its wrong keys. */
const SOCKETS = 400;
/** What the control adds to one kind: it has to be found, or finding nothing in the others means little. */
const CONTROL_US = 2;
/** What each series of a kind fills its guesses with. */
const FILLERS = ['x', 'y', 'z', '0', '1', '7', 'K', 'Q'] as const;
const PER_SERIES = Math.floor(SAMPLES / FILLERS.length);
// A log that is read in this process would be noise of its own.
const arena = await startArena({ QDRANT__LOG_LEVEL: 'info' });

const { admin, readOnly } = KEYS;
type Guess = (filler: string) => string;
/** What differs is how much of a key is right: nothing of that may show. */
const NEAR: Readonly<Record<string, Guess>> = {
  'first byte wrong': (filler) => filler + admin.slice(1),
  'last byte wrong': (filler) => admin.slice(0, -1) + filler,
  'all bytes wrong': (filler) => filler.repeat(admin.length),
  'the read-only key but its last byte': (filler) => readOnly.slice(0, -1) + filler,
  'a byte too few': (filler) => admin.slice(0, -2) + filler,
  'a byte too many': (filler) => admin + filler,
};
/** What differs is above all the length of the guess. What that costs says nothing of a key: it may show, a little. */
const FAR: Readonly<Record<string, Guess>> = {
  empty: () => '',
  'one byte': (filler) => filler,
  'twice as long': (filler) => admin + filler.repeat(admin.length),
};
const FAR_US = 2;
const GUESSES = { ...NEAR, ...FAR };
const LONGEST = 2 * admin.length + 1;

/** One series: a request of its own, as long as all others, and equal to none: the gateway knows the last head again. */
function seriesOf(guess: string, filler: string): { readonly request: Buffer; readonly took: Float64Array } {
  const lines = [`x-pad: ${filler.repeat(LONGEST - guess.length)}`];
  const request = Buffer.from(`${head('GET', '/collections/x', guess, lines)}\r\n`);
  return { request, took: new Float64Array(PER_SERIES) };
}

casesOf(arena)(`H6: ${SAMPLES} refusals of each kind of wrong key take the same time`, async (t) => {
  const { ca, rest } = arena.gateway;
  const open = () => openTls(rest.port, { ca, ALPNProtocols: ['http/1.1'] });
  const sockets: Awaited<ReturnType<typeof open>>[] = [];
  while (sockets.length < SOCKETS) sockets.push(await open());
  const kinds = Object.values(GUESSES).map((guess) => FILLERS.map((filler) => seriesOf(guess(filler), filler)));
  const order = mixing(kinds);
  for (let round = -WARM_UP; round < PER_SERIES; round += 1) {
    for (const { request, took } of order()) {
      const socket = sockets.shift() ?? (await open());
      sockets.push(socket);
      const began = performance.now();
      socket.write(request);
      const [chunk] = await once(socket, 'data');
      const microseconds = (performance.now() - began) * 1000;
      if ((chunk as Buffer).toString('latin1', 9, 12) !== '401') t.fail('a wrong key was accepted');
      if (round >= 0) took[round] = microseconds;
    }
    const done = (round + 1) * FILLERS.length;
    if (done >= 0 && done % 2000 === 0) process.stderr.write(`H6: ${done} of ${SAMPLES} of each kind\n`);
  }
  for (const socket of sockets) socket.destroy();
  const samples = kinds.map((series) => series.map(({ took }) => took));
  const near = samples.slice(0, Object.keys(NEAR).length);
  const control = separations(near.map((series, kind) => (kind === 0 ? series.map(later) : series)));
  const all = separations(samples);
  for (const [at, { share, apart, floor }] of separations(near).entries()) {
    const { values = [], apart: widest = Number.NaN } = all[at] ?? {};
    const figures = `${apart.toFixed(2)} us apart, floor ${floor.toFixed(2)} us`;
    const named = Object.keys(GUESSES).map((name, kind) => `${name} ${values[kind]?.toFixed(2)}`);
    t.comment(`H6: at ${share}: ${figures}; with all lengths ${widest.toFixed(2)} us; ${named.join(', ')} us`);
    t.ok(apart < STANDS_OUT * floor, `at ${share}: ${figures}`);
    t.ok(widest < FAR_US, `at ${share}: ${widest.toFixed(2)} us apart with other lengths`);
    const seen = control[at];
    t.ok(seen && seen.apart > STANDS_OUT * seen.floor, `at ${share}: ${CONTROL_US} us more of one kind would be seen`);
  }
});

function later(series: Float64Array): Float64Array {
  return series.map((microseconds) => microseconds + CONTROL_US);
}

/**
 * All series in a new order each time, as what a request leaves behind must not always meet the same one; but never one
 * kind twice in a row: the digest of a guess is made once while a connection presents the same, and some kinds have one
 * guess only.
 */
function mixing<T>(kinds: readonly (readonly T[])[]): () => readonly T[] {
  let last = -1;
  return () =>
    shuffled(FILLERS.map((_, series) => series)).flatMap((series) => {
      let order = shuffled(kinds.map((_, kind) => kind));
      while (order[0] === last) order = shuffled(order);
      last = order.at(-1) ?? -1;
      return order.flatMap((kind) => kinds[kind]?.[series] ?? []);
    });
}

function shuffled<T>(values: readonly T[]): readonly T[] {
  const mixed = [...values];
  for (let last = mixed.length - 1; last > 0; last -= 1) {
    const other = Math.floor(Math.random() * (last + 1));
    [mixed[last], mixed[other]] = [mixed[other] as T, mixed[last] as T];
  }
  return mixed;
}
