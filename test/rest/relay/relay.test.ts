import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { PLAIN_PARTS } from '../../support/exchange-parts.ts';
import { PATIENCE_MS } from '../../support/patience.ts';
import {
  authenticate,
  exchangeRaw,
  recordingUpstream,
  startGateway,
  type TestGateway,
  testCertificate,
} from '../lane-fixture.ts';

const GET = 'GET /collections/a HTTP/1.1\r\nhost: x\r\napi-key: main\r\n';
const LAST = `${GET}connection: close\r\n\r\n`;

/** An upstream at socket level; `play` gets each connection, numbered from 1, and each chunk that comes on it. */
async function socketUpstream(play: (socket: Socket, chunk: string, id: number) => void) {
  const sockets = new Set<Socket>();
  const seen = { connections: 0, open: 0, text: '' };
  const server = createServer((socket) => {
    const id = ++seen.connections;
    seen.open += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => {
      seen.open -= 1;
    });
    socket.on('data', (chunk) => {
      seen.text += chunk.toString('latin1');
      play(socket, chunk.toString('latin1'), id);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address ? address.port : 0,
    seen,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

const answer = (body: string): string => `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`;

/** One connection on which answers are waited for one after the other. */
class Client {
  readonly socket: Socket;
  text = '';
  closed = false;

  constructor(port: number, tls = false) {
    this.socket = tls
      ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
      : connect({ port, host: '127.0.0.1' });
    this.socket.setNoDelay(true);
    this.socket.on('error', () => undefined);
    this.socket.on('data', (chunk) => {
      this.text += chunk.toString('latin1');
    });
    this.socket.on('close', () => {
      this.closed = true;
    });
  }

  /** Sends and waits until what has come matches; gives what came and forgets it. */
  async ask(bytes: string, until: (text: string) => boolean = (text) => text.includes('\r\n\r\n')): Promise<string> {
    this.socket.write(bytes, 'latin1');
    await eventually(() => until(this.text) || this.closed);
    const { text } = this;
    this.text = '';
    return text;
  }
}

async function eventually(holds: () => boolean): Promise<boolean> {
  const end = performance.now() + PATIENCE_MS;
  while (!holds() && performance.now() < end) await new Promise(setImmediate);
  return holds();
}

async function start(
  t: { teardown: (end: () => Promise<void>) => void },
  play: Parameters<typeof socketUpstream>[0],
  overrides: Parameters<typeof startGateway>[1] = {},
): Promise<{ gateway: TestGateway; upstream: Awaited<ReturnType<typeof socketUpstream>> }> {
  const upstream = await socketUpstream(play);
  const gateway = await startGateway(upstream.port, { relayed: true, ...overrides });
  t.teardown(async () => {
    await gateway.close();
    upstream.close();
  });
  return { gateway, upstream };
}

t.test('a busy client connection has one upstream connection, opened with its first permitted request', async (t) => {
  const { gateway, upstream } = await start(t, (socket) => socket.write(answer('ok')));
  const client = new Client(gateway.port);
  t.match(await client.ask('GET /collections/a HTTP/1.1\r\nhost: x\r\n\r\n'), /^HTTP\/1.1 401/);
  t.equal(upstream.seen.connections, 0, 'a denial opens none');
  for (let i = 0; i < 5; i++) t.match(await client.ask(`${GET}\r\n`), /^HTTP\/1.1 200 OK/);
  t.match(await client.ask(`${GET.replace('main', 'wrong')}\r\n`), /^HTTP\/1.1 401/, 'a denial on the same connection');
  t.match(await client.ask(`${GET}\r\n`), /^HTTP\/1.1 200 OK/, 'which goes on');
  t.strictSame([upstream.seen.connections, upstream.seen.open], [1, 1]);
  client.socket.destroy();
  t.ok(await eventually(() => upstream.seen.open === 0), 'which ends when it is not used any more');
  t.equal(gateway.outcomes.length, 8, 'every exchange is recorded once');
  t.notMatch(upstream.seen.text, /main|api-key/i);
});

t.test('the credential is judged with every request, however alike their heads are', async (t) => {
  let valid = true;
  const { gateway } = await start(t, (socket) => socket.write(answer('ok')), {
    parts: {
      ...PLAIN_PARTS,
      authenticate: (headers) => authenticate(valid ? headers : []),
      record: () => undefined,
      fault: () => undefined,
    },
  });
  const client = new Client(gateway.port);
  t.match(await client.ask(`${GET}\r\n`), /^HTTP\/1.1 200/);
  valid = false;
  t.match(await client.ask(`${GET}\r\n`), /^HTTP\/1.1 401/);
  valid = true;
  t.match(await client.ask(`${GET}\r\n`), /^HTTP\/1.1 200/);
  client.socket.destroy();
});

t.test('a credential that has to be looked up is waited for, and nothing overtakes it', async (t) => {
  const waiting: (() => void)[] = [];
  const { gateway, upstream } = await start(t, (socket, chunk) => socket.write(answer(chunk.slice(0, 20).trim())), {
    parts: {
      ...PLAIN_PARTS,
      authenticate: (headers) => new Promise((resolve) => waiting.push(() => resolve(authenticate(headers) as never))),
      record: () => undefined,
      fault: () => undefined,
    },
  });
  const client = new Client(gateway.port);
  const second = GET.replace('/collections/a', '/collections/b');
  client.socket.write(`${GET}\r\n${second}\r\n`);
  t.ok(await eventually(() => waiting.length === 1));
  t.equal(upstream.seen.connections, 0, 'no byte upstream before');
  waiting[0]?.();
  t.ok(await eventually(() => waiting.length === 2));
  waiting[1]?.();
  t.match(await client.ask('', (text) => text.includes('/collections/b')), /collections\/a[\s\S]*collections\/b/);
  client.socket.write(`${GET}\r\n`);
  t.ok(await eventually(() => waiting.length === 3));
  client.socket.resetAndDestroy();
  await eventually(() => upstream.seen.open === 0);
  const before = upstream.seen.text;
  waiting[2]?.();
  await delay(20);
  t.equal(upstream.seen.text, before, 'a client that has left starts nothing');
});

t.test('requests and answers that come byte by byte', async (t) => {
  const upstream = await socketUpstream((socket, chunk) => {
    if (!chunk.includes('}')) return;
    void (async () => {
      for (const byte of 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nt: 1\r\n\r\n') {
        await new Promise((resolve) => socket.write(byte, resolve));
      }
    })();
  });
  const gateway = await startGateway(upstream.port, { relayed: true, bodyRules: { nestingGuard: 'all' } });
  t.teardown(async () => {
    await gateway.close();
    upstream.close();
  });
  const client = new Client(gateway.port);
  const body = '{"points":[1]}';
  const head = `PUT /collections/a/points HTTP/1.1\r\nhost: x\r\napi-key: main\r\ncontent-length: ${body.length}\r\n\r\n`;
  for (let round = 0; round < 2; round++) {
    upstream.seen.text = '';
    for (const byte of head + body) {
      client.socket.write(byte);
      await new Promise(setImmediate);
    }
    const text = await client.ask('', (seen) => seen.endsWith('0\r\n\r\n'));
    t.match(text, /^HTTP\/1.1 200 OK\r\n/);
    t.ok(text.endsWith('\r\n\r\n3\r\nabc\r\n0\r\n\r\n'), 'the chunks, without what is dropped');
    t.ok(upstream.seen.text.endsWith(`\r\n\r\n${body}`));
  }
  t.equal(upstream.seen.connections, 1);
  client.socket.destroy();
});

t.test('a head has its time as a whole, however slowly it drips', async (t) => {
  const { gateway } = await start(t, () => undefined, { limits: { header_timeout_ms: 400 } });
  const client = new Client(gateway.port);
  // It never ends, and never stands still for as long as its time.
  const bytes = [...GET, ...'x-a: '];
  while (!client.closed) {
    client.socket.write(bytes.shift() ?? 'a');
    await delay(10);
  }
  t.ok(client.closed);
  t.match(client.text, /^HTTP\/1.1 408 /);
});

t.test('an idle client connection ends, a busy one does not', async (t) => {
  const { gateway } = await start(
    t,
    async (socket) => {
      await delay(900);
      socket.write(answer('late'));
    },
    { limits: { keep_alive_timeout_ms: 300 } },
  );
  const client = new Client(gateway.port);
  t.match(await client.ask(`${GET}\r\n`), /late/);
  t.ok(await eventually(() => client.closed));
});

t.test(
  'an upstream that ends idle connections costs nothing; one that ends with a request costs that one',
  async (t) => {
    let died = 0;
    const { gateway, upstream } = await start(t, (socket, chunk, id) => {
      if (chunk.includes('/collections/b')) {
        died += 1;
        socket.resetAndDestroy();
      } else if (id % 2 === 1) {
        socket.end(answer('last'));
      } else {
        socket.write(answer('kept'));
      }
    });
    const client = new Client(gateway.port);
    t.match(await client.ask(`${GET}\r\n`), /last/);
    t.ok(await eventually(() => upstream.seen.open === 0));
    t.match(await client.ask(`${GET}\r\n`), /kept/);
    t.equal(upstream.seen.connections, 2);
    t.match(await client.ask(`${GET.replace('/a', '/b')}\r\n`), /^HTTP\/1.1 502 [\s\S]*upstream gave no valid answer/);
    t.equal(died, 1, 'it is not sent again');
    t.match(await client.ask(`${GET}\r\n`), /last/, 'the client connection goes on');
    client.socket.destroy();
  },
);

t.test('what upstream says unasked is never an answer', async (t) => {
  const { gateway, upstream } = await start(t, (socket, _chunk, id) => {
    if (id > 1) socket.write(answer(`own ${id}`));
    else socket.write(answer('mine'), () => setImmediate(() => socket.write(answer('stray'))));
  });
  const client = new Client(gateway.port);
  t.match(await client.ask(`${GET}\r\n`, (text) => text.endsWith('mine')), /mine$/);
  t.ok(await eventually(() => upstream.seen.open === 0), 'the connection is given up');
  t.match(await client.ask(`${GET}\r\n`, (text) => text.includes('own')), /own 2$/);
  t.notMatch(client.text, /stray/);
  client.socket.destroy();
  upstream.close();
});

t.test('a transfer coding that would leave the body mislabelled is a broken answer', async (t) => {
  const { gateway } = await start(t, (socket) =>
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n'),
  );
  t.match((await exchangeRaw(gateway.port, LAST)).text, /^HTTP\/1.1 502 /);
});

t.test('answers never cross, with many clients at once and pipelining', async (t) => {
  const upstream = await recordingUpstream((request, response, { body }) => {
    // Longer for every other one, so that the answers come in another order than the requests.
    const text = `${request.url}|${body.toString()}|`;
    const reply = () => response.end(text.padEnd(500 + (Number(request.headers['x-n']) % 3) * 9_000, '.'));
    if (Number(request.headers['x-n']) % 2) setImmediate(reply);
    else reply();
  });
  const gateway = await startGateway(upstream.port, { relayed: true, tls: await testCertificate() });
  t.teardown(async () => {
    await gateway.close();
    await upstream.close();
  });
  const rounds = 60;
  const wrong: string[] = [];
  await Promise.all(
    Array.from({ length: 8 }, async (_, who) => {
      const client = new Client(gateway.port, true);
      const tags = Array.from({ length: rounds }, (_, n) => `c${who}n${n}`);
      const requests = tags.map((tag, n) => {
        const key = n % 5 === 4 ? 'wrong' : 'main';
        const head = `PUT /collections/${tag}/points?tag=${tag} HTTP/1.1\r\nhost: x\r\napi-key: ${key}\r\nx-n: ${n}\r\n`;
        const odd =
          n === 50 ? `transfer-encoding: chunked\r\n\r\n${tag.length.toString(16)}\r\n${tag}\r\n0\r\n\r\n` : '';
        return head + (odd || `content-length: ${tag.length}\r\n\r\n${tag}`);
      });
      const text = await client.ask(
        requests.join(''),
        (seen) => seen.split('HTTP/1.1 ').length > rounds && seen.includes(`tag=c${who}n${rounds - 2}|`),
      );
      const got = [...text.matchAll(/HTTP\/1\.1 (\d+)|\/collections\/(\w+)\/points\?tag=(\w+)\|(\w+)\|/g)].map((m) =>
        m[1] ? m[1] : new Set(m.slice(2)).size === 1 ? m[2] : m[0],
      );
      const expected = tags.flatMap((tag, n) => (n % 5 === 4 ? ['401'] : ['200', tag]));
      if (JSON.stringify(got) !== JSON.stringify(expected)) wrong.push(`${who}: ${got.join(' ')}`);
      client.socket.destroy();
    }),
  );
  t.strictSame(wrong, []);
  t.strictSame(gateway.faults, []);
});

t.test('an upload that nests too deeply never ends upstream', async (t) => {
  const upstream = await socketUpstream(() => undefined);
  const gateway = await startGateway(upstream.port, { relayed: true, bodyRules: { nestingGuard: 'all' } });
  t.teardown(async () => {
    await gateway.close();
    upstream.close();
  });
  const body = `{"pad":"${'x'.repeat(300_000)}","filter":${'['.repeat(100)}${']'.repeat(100)}}`;
  const head = `PUT /collections/a/points HTTP/1.1\r\nhost: x\r\napi-key: main\r\ncontent-length: ${body.length}\r\n\r\n`;
  const client = new Client(gateway.port);
  client.socket.write(head + body.slice(0, 200_000));
  t.ok(await eventually(() => upstream.seen.text.length > 100_000), 'it streams');
  t.match(await client.ask(body.slice(200_000)), /^HTTP\/1.1 400 [\s\S]*nests too deeply/);
  t.ok(await eventually(() => upstream.seen.open === 0), 'the upstream connection is cut');
  t.notMatch(upstream.seen.text, /\[\[\[\[/);
  t.strictSame(
    gateway.outcomes.map(({ outcome }) => outcome.status),
    [400],
  );
});

t.test('each of several small bodies is measured where it lies, however they come', async (t) => {
  const { gateway, upstream } = await start(t, (socket, chunk) => answerEach(socket, chunk), {
    bodyRules: { nestingGuard: 'all' },
  });
  const request = (body: string): string =>
    `POST /collections/a/points/scroll HTTP/1.1\r\nhost: x\r\napi-key: main\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
  const shallow = (tag: string): string => request(`{"tag":"${tag}","filter":{}}`);
  const deep = request(`{"tag":"no","filter":${'['.repeat(70)}${']'.repeat(70)}}`);
  const wide = request(`{"tag":"wide","filter":[${'{},'.repeat(200)}{}]}`);
  const bytes = shallow('a') + deep + wide + shallow('b') + deep + shallow('c');
  const expected = ['200', '400', '200', '200', '400', '200'];
  for (const size of [bytes.length, 400, 97]) {
    upstream.seen.text = '';
    const client = new Client(gateway.port);
    const statuses = (): string[] => [...client.text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status ?? '');
    for (let at = 0; at < bytes.length; at += size) {
      client.socket.write(bytes.slice(at, at + size), 'latin1');
      await new Promise(setImmediate);
    }
    t.ok(await eventually(() => statuses().length === expected.length), `in pieces of ${size} bytes`);
    t.strictSame(statuses(), expected);
    t.strictSame(upstream.seen.text.match(/"tag":"\w+"/g), ['"tag":"a"', '"tag":"wide"', '"tag":"b"', '"tag":"c"']);
    t.notMatch(upstream.seen.text, /\[\[/, 'nothing of a refused one went upstream');
    client.socket.destroy();
  }
});

/** Answers as many requests as end in a chunk; small ones are sent in one piece. */
function answerEach(socket: Socket, chunk: string): void {
  for (const _ of chunk.matchAll(/\}$/g)) socket.write(answer('ok'));
}

t.test('draining ends idle connections at once and the others with their answer', async (t) => {
  let held: Promise<void> | undefined;
  const upstream = await recordingUpstream(async (_request, response) => {
    await held;
    response.end('whole');
  });
  t.teardown(() => upstream.close());
  const gateway = await startGateway(upstream.port, { relayed: true });
  const [idle, busy] = [new Client(gateway.port), new Client(gateway.port)];
  t.match(await idle.ask(`${GET}\r\n`, (text) => text.endsWith('whole')), /whole/);
  const answered = Promise.withResolvers<void>();
  held = answered.promise;
  busy.socket.write(`${GET}\r\n${GET}\r\n`);
  t.ok(await eventually(() => upstream.received.length === 2));
  const closed = gateway.listener.close(PATIENCE_MS);
  t.ok(await eventually(() => idle.closed));
  t.notOk(busy.closed, 'the answer is still to come');
  answered.resolve();
  t.ok(await eventually(() => busy.closed));
  t.match(busy.text, /connection: close[\s\S]*whole/i);
  t.equal(upstream.received.length, 2, 'what was pipelined behind it is not begun');
  await closed;
});

t.test('a client that takes none of its answers is not read any further', async (t) => {
  const body = 'y'.repeat(200_000);
  const { gateway, upstream } = await start(t, (socket) => socket.write(answer(body)), {
    limits: { stream_idle_timeout_ms: 500 },
  });
  const client = new Client(gateway.port);
  client.socket.pause();
  client.socket.write(`${GET}\r\n`.repeat(2_000));
  const sent = () => upstream.seen.text.split('GET ').length - 1;
  await eventually(() => sent() > 3);
  t.ok(await eventually(() => gateway.outcomes.length > 0 && upstream.seen.open === 0), 'it is given up');
  t.ok(sent() < 200, `${sent()} of 2 000 requests were begun`);
});
