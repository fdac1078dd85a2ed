import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { openResettable, openTls } from '../support/clients/sockets.ts';
import { message, rawClient, unary } from '../support/clients/unary.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';
import { CREDENTIALS, head, legitimate, only, percentile, say } from '../support/invariants.ts';
import { FILE_MS } from '../support/patience.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/process/gateway-process.ts';
import { inPatience, timesLonger } from '../support/reference.ts';
import { until } from '../support/until.ts';

/** What a raw upstream says to `GET /collections/<name>`, and then does with its connection. */
const SAYS: Readonly<Record<string, (socket: Socket) => void>> = {
  garbage: (socket) => socket.write('\x00\x01nonsense\r\n\r\n'.repeat(20)),
  nothing: (socket) => socket.destroy(),
  both: (socket) =>
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n'),
  lengths: (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\n{}'),
  twice: (socket) => socket.write(`${answer('{"n":1}')}${answer('{"n":2,"of":"another"}')}`),
  early: (socket) => socket.write('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'.repeat(1000) + answer('{"n":3}')),
  header: (socket) => socket.write(`HTTP/1.1 200 OK\r\nx-a: ${'b'.repeat(200 << 10)}\r\ncontent-length: 2\r\n\r\n{}`),
  reset: (socket) => socket.write(`HTTP/1.1 205 Reset Content\r\ncontent-length: 5\r\n\r\nhello`),
  switching: (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
  folded: (socket) => socket.write('HTTP/1.1 200 OK\r\nx-a: b\r\n c\r\ncontent-length: 2\r\n\r\n{}'),
  version: (socket) => socket.write('HTTP/3.1 200 OK\r\ncontent-length: 2\r\n\r\n{}'),
  status: (socket) => socket.write('HTTP/1.1 99 no\r\ncontent-length: 2\r\n\r\n{}'),
  cutlength: (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"half":'),
  cutchunk: (socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{"half":\r\n'),
  held: (socket) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n${'x'.repeat(100_000)}`),
  silent: () => undefined,
};

function answer(body: string): string {
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
}

/** Requests the raw upstream has read, and its connections. */
const heard: string[] = [];
const sockets = new Set<Socket>();
const upstream = createServer((socket) => {
  sockets.add(socket);
  let read = '';
  socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  socket.on('data', (chunk) => {
    read += chunk.toString('latin1');
    const end = read.indexOf('\r\n\r\n');
    const [, method = '', path = ''] = /^(\w+) (\S+) /.exec(read) ?? [];
    if (end === -1 || (method !== 'GET' && !/\r\n\r\n[\s\S]*\}|0\r\n\r\n$/.test(read.slice(end)))) return;
    read = '';
    // The gateway asks for a release by itself when a request failed.
    if (path !== '/') heard.push(`${method} ${path}`);
    const name = path.split('/')[2] ?? '';
    if (method !== 'GET') socket.resetAndDestroy();
    else if (path === '/collections') {
      const cut = gzipSync(
        JSON.stringify({ result: { collections: [{ name: 'mine' }] }, status: 'ok', time: 0 }),
      ).subarray(0, 40);
      socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${cut.length}\r\n\r\n`);
      socket.write(cut);
    } else (SAYS[name] ?? ((open: Socket) => open.write(answer(`{"tag":"${name}"}`))))(socket);
  });
});
await once(upstream.listen(0, '127.0.0.1'), 'listening');
const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
const limits = {
  QDRANT_GATEWAY__UPSTREAM__RESPONSE_HEADER_TIMEOUT_MS: '1500',
  QDRANT_GATEWAY__LIMITS__HEADER_TIMEOUT_MS: '1000',
  QDRANT_GATEWAY__LIMITS__BODY_IDLE_TIMEOUT_MS: '1000',
  QDRANT_GATEWAY__LIMITS__STREAM_IDLE_TIMEOUT_MS: '2000',
};
const relayed = await startGatewayProcess({ restUrl: url, grpcUrl: url }, limits);
const unrelayed = await startGatewayProcess(
  { restUrl: url, grpcUrl: url },
  { ...limits, QDRANT_GATEWAY__REST__RELAY: 'false' },
);
const places = await startFakeQdrant();
const placed = await startGatewayProcess(places);
t.teardown(async () => {
  for (const socket of sockets) socket.destroy();
  upstream.close();
  await Promise.all([relayed.close(), unrelayed.close(), placed.close()]);
});
t.beforeEach(() => {
  heard.length = 0;
});

t.setTimeout(FILE_MS);

const get = (name: string) => only('GET', `/collections/${name}`, KEYS.admin);

/** Invariants I4 and I7: the same process, and each of ten answers belongs to its request. */
async function sound(test: Tap, gateway: GatewayProcess): Promise<void> {
  const answers = await Promise.all(Array.from({ length: 10 }, (_, index) => say({ gateway }, get(`tag-${index}`))));
  const tags = answers.map(({ text }) => /"(tag-\d+)"/.exec(text)?.[1]);
  test.same(
    tags,
    Array.from({ length: 10 }, (_, index) => `tag-${index}`),
    'I7',
  );
  test.same([gateway.child.exitCode, gateway.child.signalCode], [null, null], 'I4');
  test.notMatch(gateway.errors(), /unhandled|uncaught/i, 'I4');
  for (const secret of Object.values(CREDENTIALS)) test.notOk(gateway.errors().includes(secret), 'I3');
}

type Tap = Pick<typeof t, 'same' | 'notMatch' | 'notOk'>;

for (const [lane, gateway] of Object.entries({ relay: relayed, lane: unrelayed })) {
  t.test(
    `U5: answers that are no answers come out as 502, and none reaches another request (${lane})`,
    async (test) => {
      const broken = ['garbage', 'nothing', 'both', 'lengths', 'header', 'switching', 'folded', 'version', 'status'];
      for (const name of broken) {
        const { statuses, text } = await say({ gateway }, get(name));
        test.same(statuses, [502], name);
        test.notMatch(text, /nonsense|x-a|ECONN|HPE_|undici|at \//i, `${name}: nothing internal is told`);
      }
      const two = `${head('GET', '/collections/twice', KEYS.admin)}\r\n${get('tag-after')}`;
      const { text } = await say({ gateway }, two);
      test.match(text, /"n":1[\s\S]*"tag":"tag-after"/, 'each its own');
      test.notMatch(text, /another/, 'I7');
      const early = await say({ gateway }, get('early'));
      test.ok(
        early.statuses.at(-1) === 200 || early.statuses.at(-1) === 502,
        `1 000 early hints: ${early.statuses.at(-1)}`,
      );
      const reset = await say({ gateway }, get('reset'));
      test.ok([205, 502].includes(reset.statuses[0] ?? 0), '205 with a body');
      await sound(test, gateway);
    },
  );

  t.test(
    `U3: a write that upstream took and then broke off is answered 502 and never sent again (${lane})`,
    async (test) => {
      const lines = [
        ['content-length: 13', '{"points":[]}'],
        ['transfer-encoding: chunked', 'd\r\n{"points":[]}\r\n0\r\n\r\n'],
      ];
      for (const [framing = '', body = ''] of lines) {
        for (const credential of [KEYS.admin, CREDENTIALS.writer]) {
          heard.length = 0;
          const bytes = `${head('PUT', '/collections/mine/points', credential, ['connection: close', framing])}\r\n${body}`;
          test.match(await say({ gateway }, bytes), { statuses: [502] }, framing);
          test.same(heard, ['PUT /collections/mine/points'], `I2: ${framing}`);
        }
      }
      await sound(test, gateway);
    },
  );

  t.test(`U8: a cut answer is broken for the client, too (${lane})`, async (test) => {
    for (const name of ['cutlength', 'cutchunk']) {
      const { text, closed, statuses } = await say({ gateway }, get(name));
      const [top = '', body = ''] = text.split('\r\n\r\n');
      const whole = /content-length: 100/i.test(top) ? body.length >= 100 : /(^|\r\n)0\r\n/.test(body);
      test.ok(closed && (statuses[0] === 502 || !whole), `${name}: ${statuses}`);
    }
    const cut = await say({ gateway }, only('GET', '/collections', CREDENTIALS.reader));
    test.match(cut, { statuses: [502] }, 'a filtered answer whose gzip is cut');
    await sound(test, gateway);
  });

  t.test(`U2: fifty answers under way when upstream dies all end as errors (${lane})`, async (test) => {
    const running = Array.from({ length: 50 }, () => say({ gateway }, get('held')));
    await until(() => heard.filter((line) => line.endsWith('/held')).length === 50, 'all are under way');
    for (const socket of sockets) socket.resetAndDestroy();
    const short = (await Promise.all(running)).filter(({ closed, text }) => !closed || text.length > 1_000_000);
    test.same(short.length, 0, 'none ends as a short success');
    await sound(test, gateway);
  });

  t.test(`U6: upstream that never answers costs its time limit, 504, and no other request (${lane})`, async (test) => {
    const silent = Promise.all(Array.from({ length: 20 }, () => say({ gateway }, get('silent'))));
    const during = await legitimate({ gateway }, silent);
    const answers = await silent;
    test.same([...new Set(answers.flatMap(({ statuses }) => statuses))], [504]);
    test.equal(during.wrong, 0);
    await sound(test, gateway);
  });

  t.test(`U10: a client that leaves takes its request upstream along (${lane})`, async (test) => {
    const upload = `${head('PUT', '/collections/mine/points', KEYS.admin, ['content-length: 1000000'])}\r\n{${' '.repeat(100_000)}`;
    const leavers = [
      ['in the middle of the answer', get('held')],
      ['before the answer', get('silent')],
      ['in the middle of the upload', upload],
    ] as const;
    for (let round = 0; round < 30; round += 1) {
      for (const socket of sockets) socket.destroy();
      await until(() => sockets.size === 0, 'nothing is open upstream');
      const [when, bytes] = leavers[round % leavers.length] ?? leavers[0];
      const { socket, reset } = await openResettable(gateway.rest.port, { ca: gateway.ca });
      socket
        .on('error', () => undefined)
        .resume()
        .write(bytes);
      await until(() => [...sockets].some(({ bytesRead }) => bytesRead > 0), `it reaches upstream, ${when}`);
      const letGo = Promise.all([...sockets].map((open) => once(open, 'close')));
      reset();
      test.not(await inPatience(letGo), 'late', when);
    }
    await sound(test, gateway);
  });

  t.test(`U12: slow heads, slow bodies and slow readers are cut, others are served (${lane})`, async (test) => {
    const openings = [
      'GET /collections HTTP/1.1\r\nhost: local',
      '',
      `${head('PUT', '/collections/mine/points', KEYS.admin, ['content-length: 100'])}\r\n{`,
      `${head('PUT', '/collections/mine/points', 'wrong', ['content-length: 100000'])}\r\n{`,
    ];
    const quiet = await legitimate({ gateway }, 30);
    const slow = await Promise.all(
      Array.from({ length: 100 }, async (_, index) => {
        const socket = await openTls(gateway.rest.port, { ca: gateway.ca });
        socket.on('error', () => undefined).resume();
        socket.write(openings[index % openings.length] ?? '');
        return socket;
      }),
    );
    const cut = until(() => slow.every((socket) => socket.closed), 'all are cut');
    const during = await legitimate({ gateway }, cut);
    await cut;
    test.equal(during.wrong, 0);
    const longer = timesLonger(during.ms, quiet.ms);
    test.ok(longer < 20, `others wait ${longer.toFixed(1)} times as long as in quiet`);
    test.comment(`U12: p99 of others ${percentile(during.ms, 0.99).toFixed(1)} ms (${lane})`);
    await sound(test, gateway);
  });
}

t.test(
  'U1: upstream that goes and comes back five times: 502 and UNAVAILABLE at once, then served again at once',
  async (test) => {
    const ports = { restPort: Number(places.restUrl.split(':')[2]), grpcPort: Number(places.grpcUrl.split(':')[2]) };
    let running = places;
    const client = rawClient(placed);
    const list = () => unary(client, '/qdrant.Collections/List', message({}), { 'api-key': KEYS.admin });
    for (let round = 0; round < 5; round += 1) {
      test.match(await say({ gateway: placed }, only('GET', '/collections', KEYS.admin)), { statuses: [200] });
      test.match(await list(), { code: 0 });
      await running.close();
      const gone = await say({ gateway: placed }, only('GET', '/collections', KEYS.admin));
      test.match(gone, { statuses: [502] });
      test.equal((await list()).code, 14);
      running = await startFakeQdrant(ports);
      await until(async () => (await list()).code === 0, 'gRPC is back');
      test.match(await say({ gateway: placed }, only('GET', '/collections', KEYS.admin)), { statuses: [200] });
    }
    client.close();
    await running.close();
  },
);
