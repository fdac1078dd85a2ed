import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t from 'tap';
import { until } from '../../support/until.ts';
import { startGateway } from '../lane-fixture.ts';

/** An upstream at socket level. `play` answers what comes; `id` numbers its connections from 1. */
type Play = (socket: Socket, text: string, id: number) => void;

const sockets = new Map<Socket, number>();
let opened = 0;
let play: Play = () => undefined;
const server = createServer((socket) => {
  const id = ++opened;
  sockets.set(socket, id);
  socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  socket.on('data', (chunk) => play(socket, chunk.toString('latin1'), id));
});
await once(server.listen(0, '127.0.0.1'), 'listening');
const gateway = await startGateway((server.address() as AddressInfo).port, { relayed: true });
t.teardown(async () => {
  await gateway.close();
  server.close();
  for (const socket of sockets.keys()) socket.destroy();
});

/** Begins with no connection to upstream; they are numbered from 1 then. */
async function begin(next: Play): Promise<void> {
  for (const socket of sockets.keys()) socket.destroy();
  await until(() => sockets.size === 0, 'the connections of the case before are gone');
  opened = 0;
  play = next;
}

const get = (name: string): string => `GET /collections/${name} HTTP/1.1\r\nhost: x\r\napi-key: main\r\n\r\n`;
const upload = (name: string, length: number): string =>
  `PUT /collections/${name}/points HTTP/1.1\r\nhost: x\r\napi-key: main\r\ncontent-length: ${length}\r\n\r\n`;
const answer = (text: string): string => `HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`;
/** What was asked, and the number of the connection it came on. */
const asked = (text: string, id: number): string => answer(`${/\/collections\/(\w+)/.exec(text)?.[1]}@${id}`);

class Client {
  readonly #others = gateway.listener.figures().sockets;
  readonly socket = connect(gateway.port, '127.0.0.1');
  text = '';

  constructor() {
    this.socket
      .on('error', () => undefined)
      .on('data', (chunk) => {
        this.text += chunk.toString('latin1');
      });
  }

  /** Waits for the first answer and gives its body. */
  async ask(bytes: string): Promise<string> {
    this.text = '';
    this.socket.write(bytes);
    await until(() => /@\d+$/.test(this.text), 'an answer');
    return this.text.slice(this.text.indexOf('\r\n\r\n') + 4);
  }

  /** Ends its connection, and waits until the gateway has noticed. @param reset at once, whatever is under way */
  async leave(reset = false): Promise<void> {
    if (reset) this.socket.resetAndDestroy();
    else this.socket.destroy();
    await until(() => gateway.listener.figures().sockets <= this.#others, 'the client has left');
  }
}

/** The answer to a client of its own. */
async function askOnce(bytes: string): Promise<string> {
  const client = new Client();
  const body = await client.ask(bytes);
  await client.leave();
  return body;
}

t.test('the next client has the connection of the one that left', async (t) => {
  await begin((socket, text, id) => socket.write(asked(text, id)));
  for (const name of ['a', 'b', 'c']) {
    const client = new Client();
    t.equal(await client.ask(get(name)), `${name}@1`);
    t.equal(await client.ask(`${upload(name, 3)}123`), `${name}@1`, 'as before on the same client connection');
    await client.leave();
  }
  t.equal(await askOnce(get('d').replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n')), 'd@1');
  t.equal(await askOnce(get('e')), 'e@1', 'after a client that said it was its last request, too');
});

t.test('an idle client leaves its connection to others, and goes on all the same', async (t) => {
  await begin((socket, text, id) => socket.write(asked(text, id)));
  const idle = new Client();
  t.equal(await idle.ask(get('a')), 'a@1');
  // More at once each time: the connection that was given back last is the first that is taken, and a new one comes after all.
  let most = 1;
  const askAtOnce = () => Promise.all(Array.from({ length: Math.min(++most, 30) }, () => askOnce(get('b'))));
  await until(async () => (await askAtOnce()).includes('b@1'), 'another client has its connection');
  t.match(await idle.ask(get('a')), /^a@\d+$/);
  await idle.leave();
});

/** A case in which the connection must not reach another client. */
interface Spoilt {
  /** What upstream does on it. */
  readonly play: Play;
  /** What the client does on it; it leaves then. */
  readonly first: (client: Client) => Promise<unknown>;
}

const silent: Play = () => undefined;
const isAsked = (): Promise<void> => until(() => opened === 1, 'upstream is asked');

const SPOILT: Readonly<Record<string, Spoilt>> = {
  'a client that leaves before its answer': {
    play: silent,
    first: async ({ socket }) => {
      socket.write(get('a'));
      await isAsked();
    },
  },
  'a client that leaves within its answer': {
    play: (socket) => socket.write(answer('0123456789').slice(0, -5)),
    first: async (client) => {
      client.socket.write(get('a'));
      await until(() => client.text.endsWith('01234'), 'a part of it');
    },
  },
  'a client that leaves within its body': {
    play: silent,
    first: async ({ socket }) => {
      socket.write(`${upload('a', 10)}01234`);
      await isAsked();
    },
  },
  'an answer that is whole before the body': {
    play: (socket, text, id) => socket.write(asked(text, id)),
    first: (client) => client.ask(`${upload('a', 10)}01234`),
  },
  'an answer that begins before the body is whole, and ends after it': {
    play: (socket, text) => socket.write(text.startsWith('PUT') ? answer('01234@1').slice(0, -2) : '@1'),
    first: async (client) => {
      client.socket.write(`${upload('a', 10)}01234`);
      await until(() => client.text.endsWith('01234'), 'a part of it');
      await client.ask('56789');
    },
  },
  'bytes behind the answer': {
    play: (socket, text, id) => socket.write(`${asked(text, id)}HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray`),
    first: (client) => client.ask(get('a')),
  },
  'an answer that is the last on its connection': {
    play: (socket, text, id) => socket.write(asked(text, id).replace('\r\n', '\r\nconnection: close\r\n')),
    first: (client) => client.ask(get('a')),
  },
  'an answer that is none': {
    play: (socket) => socket.write('nonsense\r\n\r\n'),
    first: async (client) => {
      client.socket.write(get('a'));
      await until(() => client.text.startsWith('HTTP/1.1 502'), 'a refusal');
    },
  },
};

for (const [name, { play: spoil, first }] of Object.entries(SPOILT)) {
  t.test(`not passed on to another client: ${name}`, async (t) => {
    await begin((socket, text, id) => {
      if (id === 1) spoil(socket, text, id);
      else socket.write(asked(text, id));
    });
    const client = new Client();
    await first(client);
    await client.leave(true);
    t.equal(await askOnce(get('own')), 'own@2');
    await until(() => [...sockets.values()].join() === '2', 'the connection has ended');
    t.strictSame(gateway.faults, []);
  });
}
