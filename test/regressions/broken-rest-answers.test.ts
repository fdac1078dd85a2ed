// Answers of an upstream that is broken or says unusual things: large ones side by side broke each other (one parser entered
// from another's stack), and a `Connection` header that names `content-length` took the framing off a relayed answer.
import { createServer, type Socket } from 'node:net';
import t from 'tap';
import { exchangeRaw, readAnswer, startGateway } from '../rest/lane-fixture.ts';

const NAMES = 300_000;
const LIST = Buffer.from(
  `{"result":{"collections":[{"name":"a"},${Array.from({ length: NAMES }, (_, i) => `{"name":"collection-${i}"}`).join()}]},"status":"ok","time":0}`,
);
const HOP =
  'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: x-api, content-length\r\nx-api: 1\r\ncontent-length: 5\r\n\r\nhello';

/** An upstream on raw sockets: answers each request head by its path. */
async function rawUpstream(teardown: (work: () => void) => void): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      if (chunk.includes('GET /collections/a ')) socket.write(HOP);
      else if (chunk.includes('GET /collections ')) {
        socket.write(`HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${LIST.length}\r\n\r\n`);
        socket.write(LIST);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return address.port;
}

t.test('large filtered answers side by side are all given: none is resumed in the stack of another', async (t) => {
  const port = await rawUpstream((work) => t.teardown(work));
  const gateway = await startGateway(port, { maxFilteredBytes: 64 << 20 });
  t.teardown(() => gateway.close());
  const callers = Array.from({ length: 8 }, async () => {
    const response = await fetch(`http://127.0.0.1:${gateway.port}/collections`, { headers: { 'api-key': 'listA' } });
    return [response.status, await response.text()];
  });
  for (const [status, body] of await Promise.all(callers)) {
    t.strictSame(status, 200);
    t.match(body, /^\{"result":\{"collections":\[\{"name":"a"\}\]\}/);
  }
  t.strictSame(gateway.faults, []);
});

for (const relayed of [true, false]) {
  t.test(
    `a Connection header of upstream's does not take the framing off an answer (${relayed ? 'relay' : 'server'})`,
    async (t) => {
      const port = await rawUpstream((work) => t.teardown(work));
      const gateway = await startGateway(port, { relayed });
      t.teardown(() => gateway.close());
      const one = 'GET /collections/a HTTP/1.1\r\nhost: x\r\napi-key: main\r\n';
      const { text: answers } = await exchangeRaw(gateway.port, `${one}\r\n${one}connection: close\r\n\r\n`);
      const first = readAnswer(answers);
      t.equal(first.status, 200);
      t.match(first.head.toLowerCase(), /content-length: 5\r\n/);
      t.notMatch(first.head.toLowerCase(), /x-api/);
      t.equal(answers.split('hello').length, 3, 'both answers are whole');
    },
  );
}
