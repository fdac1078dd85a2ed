import { once } from 'node:events';
import { connect } from 'node:http2';
import { Agent, request } from 'node:https';
import type { Socket } from 'node:net';
import t from 'tap';
import { startGateway } from '../support/gateway.ts';
import { until } from '../support/until.ts';

// Time limits of REST ran on the clock of the machine: when that was set forward, all idle connections ended at once.

const HOUR_MS = 3_600_000;
const gateway = await startGateway();

let ahead = 0;
const MachineDate = Date;
const machine = Date.now;
Date.now = () => machine() + ahead;
globalThis.Date = new Proxy(MachineDate, {
  construct: (made, args, target) => Reflect.construct(made, args.length === 0 ? [made.now()] : args, target),
});
t.teardown(async () => {
  MachineDate.now = machine;
  globalThis.Date = MachineDate;
  await gateway.close();
});

/** A client that keeps its connection. Without a credential, so that the gateway answers by itself. */
interface Client {
  /** Sends a request; gives the `Date` of the answer. */
  readonly ask: () => Promise<string>;
  /** Is everything on the first connection? */
  readonly isKept: () => boolean;
  readonly close: () => void;
}

function overHttp1(): Client {
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: gateway.ca });
  const sockets = new Set<Socket>();
  return {
    async ask() {
      const asked = request(`${gateway.rest.url}/collections`, { agent });
      asked.on('socket', (socket) => sockets.add(socket)).end();
      const [answer] = await once(asked, 'response');
      await once(answer.resume(), 'end');
      return answer.headers.date;
    },
    isKept: () => sockets.size === 1,
    close: () => agent.destroy(),
  };
}

function overHttp2(): Client {
  const session = connect(gateway.rest.url, { ca: gateway.ca });
  let left = false;
  session.on('error', () => undefined).on('goaway', () => (left = true));
  return {
    async ask() {
      const stream = session.request({ ':path': '/collections' });
      const [headers] = await once(stream, 'response');
      await once(stream.resume(), 'end');
      return headers.date;
    },
    isKept: () => !left && !session.closed,
    close: () => session.destroy(),
  };
}

for (const [name, open] of Object.entries({ 'HTTP/1.1': overHttp1, 'HTTP/2': overHttp2 })) {
  t.test(`an idle connection over ${name} stays when the clock of the machine is set forward`, async (t) => {
    const client = open();
    t.teardown(client.close);
    await client.ask();
    ahead += HOUR_MS;
    const due = MachineDate.now() - HOUR_MS / 2;
    // Only an idle connection is ended: the gateway looks at it between two requests.
    await until(async () => MachineDate.parse(await client.ask()) > due, 'the gateway has seen the new time');
    t.ok(client.isKept());
  });
}
