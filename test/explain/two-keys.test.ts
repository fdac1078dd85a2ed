import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { type AskedRequest, judge } from '../../src/explain/judge.ts';
import { frameClient } from '../support/clients/raw-grpc.ts';
import { KEYS, startGateway, type TestGateway } from '../support/gateway.ts';
import { partsOf } from './fixture.ts';

/* A request with two keys is judged by the first of them: offline, and by the running gateway on each lane. */

const TARGET = '/collections/a/nothing';
const WRONG = 'a-key-that-is-none';

/** The status of a request over HTTP/1.1 with its headers as they are. */
async function http1({ rest, ca }: TestGateway, keys: readonly string[]): Promise<number> {
  const socket = connectTls({ host: rest.host, port: rest.port, servername: 'localhost', ca });
  const lines = [
    `GET ${TARGET} HTTP/1.1`,
    'host: localhost',
    ...keys.map((key) => `api-key: ${key}`),
    'connection: close',
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  await once(socket, 'end');
  return Number(text.split(' ')[1]);
}

async function http2({ rest, ca }: TestGateway, keys: readonly string[]): Promise<number> {
  const options = { ca, strictSingleValueFields: false };
  const session = connectHttp2(rest.url, options);
  const head = [':method', 'GET', ':scheme', 'https', ':authority', 'localhost', ':path', TARGET];
  const stream = session.request([...head, ...keys.flatMap((key) => ['api-key', key])]);
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
  session.close();
  return Number(headers[':status']);
}

async function grpc(gateway: TestGateway, keys: readonly string[]): Promise<number> {
  const client = frameClient(gateway);
  const headers = keys.map((key) => ['api-key', key] as const);
  const { code } = await client.call({ method: '/qdrant.Collections/Get', headers, message: Buffer.from('\n\x01a') });
  client.close();
  return code;
}

/** The code of the offline refusal; `undefined` = none. */
async function offline(protocol: 'rest' | 'grpc', keys: readonly string[]): Promise<string | undefined> {
  const headers = keys.flatMap((key) => ['api-key', key]);
  const request: AskedRequest =
    protocol === 'rest'
      ? { protocol, method: 'GET', target: TARGET, headers, body: Buffer.alloc(0) }
      : { protocol, path: '/qdrant.Collections/Get', headers, message: Buffer.from('\n\x01a') };
  const judged = await judge(partsOf(), request, { kind: 'headers' });
  if (judged.kind === 'head') throw new Error(judged.message);
  return judged.ending.kind === 'refused' ? judged.ending.denial.code : undefined;
}

const UNAUTHENTICATED = 16;

t.test('of two keys the first counts, offline and on each lane', async (t) => {
  const gateway = await startGateway({});
  t.teardown(() => gateway.close());
  const wrongFirst = [WRONG, KEYS.admin];
  t.equal(await http1(gateway, wrongFirst), 401, 'HTTP/1.1 refuses the wrong key before the right one');
  t.equal(await http2(gateway, wrongFirst), 401, 'HTTP/2 does');
  t.equal(await grpc(gateway, wrongFirst), UNAUTHENTICATED, 'gRPC does');
  for (const protocol of ['rest', 'grpc'] as const)
    t.equal(await offline(protocol, wrongFirst), 'bad_credential', `${protocol} offline does`);
  const rightFirst = [KEYS.admin, WRONG];
  t.not(await http1(gateway, rightFirst), 401, 'HTTP/1.1 takes the right key before the wrong one');
  t.not(await http2(gateway, rightFirst), 401, 'HTTP/2 does');
  t.not(await grpc(gateway, rightFirst), UNAUTHENTICATED, 'gRPC does');
  for (const protocol of ['rest', 'grpc'] as const)
    t.not(await offline(protocol, rightFirst), 'bad_credential', `${protocol} offline does`);
});
