import { once } from 'node:events';
import { openTls } from '../support/clients-sockets.ts';
import { KEYS } from '../support/gateway.ts';
import { casesOf, head, percentile, startArena } from '../support/invariants.ts';

const [SAMPLES = 20_000] = process.argv.slice(2).map(Number);
const arena = await startArena();

casesOf(arena)(`H6: ${SAMPLES} refusals of each kind of wrong key take the same time`, async (t) => {
  const guesses: Readonly<Record<string, string>> = {
    'first byte wrong': `x${KEYS.admin.slice(1)}`,
    'last byte wrong': `${KEYS.admin.slice(0, -1)}x`,
    'all bytes wrong': 'x'.repeat(KEYS.admin.length),
    'one byte': 'x',
    'the read-only key but its last byte': `${KEYS.readOnly.slice(0, -1)}x`,
  };
  const socket = await openTls(arena.gateway.rest.port, { ca: arena.gateway.ca, ALPNProtocols: ['http/1.1'] });
  // Padded, so that every request has the same length.
  const requests = Object.values(guesses).map((guess) =>
    Buffer.from(`${head('GET', '/collections/x', guess, [`x-pad: ${'p'.repeat(40 - guess.length)}`])}\r\n`),
  );
  const times = requests.map(() => new Float64Array(SAMPLES));
  for (let round = 0; round < SAMPLES; round += 1) {
    for (let step = 0; step < requests.length; step += 1) {
      const kind = (round + step) % requests.length;
      const began = performance.now();
      socket.write(requests[kind] ?? '');
      const [chunk] = await once(socket, 'data');
      const took = performance.now() - began;
      if ((chunk as Buffer).toString('latin1', 9, 12) !== '401') t.fail('a wrong key was accepted');
      const series = times[kind];
      if (series) series[round] = took;
    }
  }
  socket.destroy();
  const at = (share: number) => times.map((series) => percentile([...series], share) * 1000);
  for (const share of [0.1, 0.5]) {
    const values = at(share);
    const spread = Math.max(...values) - Math.min(...values);
    t.comment(`H6: at ${share}: ${values.map((value) => value.toFixed(1)).join(', ')} us`);
    // The quickest tenth is what a patient guesser would compare; the middle is the machine's.
    if (share < 0.5) t.ok(spread < 10, `within ${spread.toFixed(1)} us at ${share}`);
  }
});
