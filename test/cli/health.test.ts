import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { runScript } from '../support/process/run-script.ts';

/* The probe of the image, with the variables of the gateway beside it. */

/** A server on loopback whose `/-/ready` answers with this status; asked for anything else, or with a credential, with 500. */
async function answering(status: number): Promise<string> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/-/ready' && !request.headers.authorization ? status : 500).end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => server.close());
  return String((server.address() as AddressInfo).port);
}

/** A port of loopback that nothing listens on. */
async function closed(): Promise<string> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return String(port);
}

const ADMIN = 'QDRANT_GATEWAY__ADMIN__PORT';
const REST = 'QDRANT__SERVICE__HTTP_PORT';

type Case = [name: string, env: () => Promise<Record<string, string>>, code: number, said: RegExp];

const CASES: readonly Case[] = [
  ['a gateway that is ready', async () => ({ [ADMIN]: await answering(200) }), 0, /admin port \d+ answers 200/],
  ['one that is not', async () => ({ [ADMIN]: await answering(503) }), 4, /admin port \d+ answers 503/],
  ['none', async () => ({ [ADMIN]: await closed() }), 4, /does not answer \(ECONNREFUSED\)/],
  ['no admin port, and REST is open', async () => ({ [REST]: await answering(404) }), 0, /takes connections/],
  ['no admin port, and REST is closed', async () => ({ [REST]: await closed() }), 4, /takes no connections/],
  [
    'an admin port on all addresses',
    async () => ({ [ADMIN]: await answering(200), QDRANT_GATEWAY__ADMIN__HOST: '0.0.0.0' }),
    0,
    /answers 200/,
  ],
  ['a configuration that is not valid', async () => ({ [REST]: 'many' }), 2, /QDRANT__SERVICE__HTTP_PORT/],
  [
    'REST on a unix socket alone',
    async () => ({ QDRANT_GATEWAY__LISTEN__REST: 'unix:/run/rest.sock' }),
    2,
    /set `gateway.admin.port`/,
  ],
];

for (const [name, env, code, said] of CASES) {
  t.test(`asked: ${name}`, async (t) => {
    const ended = await runScript(['src/cli/main.ts', 'health'], { env: await env() });
    t.equal(ended.code, code, ended.err);
    t.match(ended.out + ended.err, said);
  });
}
