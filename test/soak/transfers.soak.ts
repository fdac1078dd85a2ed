import { createHash, randomBytes } from 'node:crypto';
import { openTls } from '../support/clients/sockets.ts';
import { KEYS } from '../support/gateway.ts';
import { casesOf, head, only, settles, startArena, usageOf } from '../support/invariants.ts';

const MIB = 1 << 20;
const SIZE = 2048;
const part = randomBytes(MIB);
const arena = await startArena(
  {},
  {
    onRest(incoming, response) {
      if (incoming.url === '/collections/mine/snapshots/upload') {
        const hash = createHash('sha256');
        incoming.on('data', (chunk: Buffer) => hash.update(chunk)).on('end', () => response.end(hash.digest('hex')));
        return true;
      }
      if (incoming.url !== '/collections/mine/snapshots/large') return false;
      response.writeHead(200, { 'content-length': SIZE * MIB });
      let left = SIZE;
      const more = (): void => {
        while (left > 0) {
          left -= 1;
          if (!response.write(part)) {
            response.once('drain', more);
            return;
          }
        }
        response.end();
      };
      more();
      return true;
    },
  },
);

casesOf(arena)('B9: 2 GiB up and 2 GiB down pass with the same hash in little memory', async (t) => {
  const before = usageOf(arena);
  const expected = createHash('sha256');
  let highest = 0;
  const sampling = setInterval(() => (highest = Math.max(highest, usageOf(arena).megabytes)), 50);
  const up = await openTls(arena.gateway.rest.port, { ca: arena.gateway.ca });
  const answered = new Promise<string>((resolve) => {
    let text = '';
    up.on('data', (chunk: Buffer) => (text += chunk.toString())).once('close', () => resolve(text));
  });
  up.write(
    `${head('POST', '/collections/mine/snapshots/upload', KEYS.admin, ['connection: close', `content-length: ${SIZE * MIB}`])}\r\n`,
  );
  const began = performance.now();
  for (let sent = 0; sent < SIZE; sent += 1) {
    expected.update(part);
    if (!up.write(part)) await new Promise((resolve) => up.once('drain', resolve));
  }
  const digest = expected.digest('hex');
  t.match(await answered, new RegExp(digest), 'up');
  const seconds = (performance.now() - began) / 1000;
  const down = await openTls(arena.gateway.rest.port, { ca: arena.gateway.ca });
  down.write(only('GET', '/collections/mine/snapshots/large', KEYS.admin));
  const hash = createHash('sha256');
  let top: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of down as AsyncIterable<Buffer>) {
    if (top === undefined) hash.update(chunk);
    else {
      top = Buffer.concat([top, chunk]);
      const end: number = top.indexOf('\r\n\r\n');
      if (end === -1) continue;
      hash.update(top.subarray(end + 4));
      top = undefined;
    }
  }
  clearInterval(sampling);
  t.equal(hash.digest('hex'), digest, 'down');
  t.comment(`B9: highest memory +${highest - before.megabytes} MB; up ${(SIZE / seconds).toFixed(0)} MiB/s`);
  t.ok(highest - before.megabytes < 80, `+${highest - before.megabytes} MB`);
  await settles(t, arena, before);
});
