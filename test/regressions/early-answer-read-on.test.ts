// Upstream answered an upload before it had read it, and the client's next request on that connection was never read: the
// client's socket had been paused for upstream, and nothing began to read it again. Go's HTTP client hung in 1 of 300.
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { startGateway, testCertificate } from '../rest/lane-fixture.ts';
import { shortened } from '../support/generators/runs.ts';
import { holdsWithin, until } from '../support/until.ts';

const certificate = await testCertificate();
const SIZE = 48 << 20;
const PIECE = Buffer.alloc(65_536, 0x20);
const CHUNK = Buffer.concat([Buffer.from('10000\r\n'), PIECE, Buffer.from('\r\n')]);
const ROUNDS = shortened(3, 2);

/** Reads the heads of uploads and nothing behind them; `answer` answers the last one. Everything else is answered at once. */
async function stubborn(test: Test): Promise<{ port: number; waits: () => boolean; answer: () => void }> {
  const sockets = new Set<Socket>();
  let upload: Socket | undefined;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1');
      if (text.startsWith('GET')) reply(socket, '200 OK', '{"result":true}');
      else {
        socket.pause();
        upload = socket;
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  test.teardown(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return {
    port: address.port,
    waits: () => upload !== undefined,
    answer: () => {
      if (upload) reply(upload, '409 Conflict', '{"status":{"error":"early"},"time":0.0}');
      upload = undefined;
    },
  };
}

function reply(socket: Socket, status: string, body: string): void {
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`;
  socket.write(head + body);
}

/** Writes the body at the pace at which it is taken. */
class Upload {
  sent = 0;
  readonly #socket: Socket;
  readonly #chunked: boolean;

  constructor(socket: Socket, chunked: boolean) {
    this.#socket = socket;
    this.#chunked = chunked;
    const framing = chunked ? 'transfer-encoding: chunked' : `content-length: ${SIZE}`;
    socket.write(`PUT /collections/a/points HTTP/1.1\r\nhost: x\r\napi-key: main\r\n${framing}\r\n\r\n`);
    socket.on('drain', () => this.#go());
    this.#go();
  }

  #go(): void {
    while (this.sent < SIZE) {
      this.sent += PIECE.length;
      if (!this.#socket.write(this.#chunked ? CHUNK : PIECE)) return;
    }
  }

  /** Whether it is stuck, and the whole of it is not out. */
  async stands(): Promise<boolean> {
    const before = this.sent;
    return !(await holdsWithin(() => this.sent !== before, 200)) && this.sent < SIZE;
  }

  end(): void {
    if (this.#chunked) this.#socket.write('0\r\n\r\n');
  }
}

for (const relayed of [true, false]) {
  for (const tls of [false, true]) {
    for (const chunked of [false, true]) {
      const lane = `${relayed ? 'relay' : 'no relay'}, ${tls ? 'TLS' : 'plain'}, ${chunked ? 'chunks' : 'a length'}`;
      t.test(`the rest of an upload that upstream did not take is read, and the next request (${lane})`, async (t) => {
        const upstream = await stubborn(t);
        const gateway = await startGateway(upstream.port, { relayed, ...(tls ? { tls: certificate } : {}) });
        t.teardown(() => gateway.close());
        const socket: Socket = tls
          ? connectTls({ port: gateway.port, host: '127.0.0.1', rejectUnauthorized: false })
          : connect(gateway.port, '127.0.0.1');
        t.teardown(() => void socket.destroy());
        let text = '';
        socket
          .on('error', () => undefined)
          .on('data', (chunk: Buffer) => {
            text += chunk.toString('latin1');
          });
        for (let round = 1; round <= ROUNDS; round++) {
          text = '';
          const upload = new Upload(socket, chunked);
          await until(upstream.waits, 'the upload has reached upstream');
          await until(() => upload.stands(), 'the client is held back');
          upstream.answer();
          await until(() => text.includes('early'), 'upstream’s answer has come');
          await until(() => upload.sent === SIZE, 'the rest is read');
          socket.removeAllListeners('drain');
          upload.end();
          socket.write('GET /collections/a HTTP/1.1\r\nhost: x\r\napi-key: main\r\n\r\n');
          await until(() => text.includes('"result":true'), 'the next request is answered');
          t.match(text, /^HTTP\/1\.1 409 [\s\S]*HTTP\/1\.1 200 /, `round ${round}`);
        }
        t.strictSame(gateway.faults, []);
      });
    }
  }
}
