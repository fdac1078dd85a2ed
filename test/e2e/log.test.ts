import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import t from 'tap';
import { Client } from 'undici';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';
import { cachedModules } from '../support/process/cached-modules.ts';
import { startGatewayProcess } from '../support/process/gateway-process.ts';
import { findProgram } from '../support/process/programs.ts';
import { until } from '../support/until.ts';

const SECRET = 'a-wrong-key-never-to-be-seen';
const upstream = await startFakeQdrant();
t.teardown(() => upstream.close());

async function ask(url: string, method: 'GET' | 'PUT', path: string, key: string, ca?: Buffer) {
  const client = new Client(url, ca ? { connect: { ca } } : {});
  const { statusCode, headers, body } = await client.request({ method, path, headers: { 'api-key': key } });
  await body.dump();
  await client.close();
  return { status: statusCode, id: headers['x-request-id'] };
}

t.test('a refusal is one line with the id of its answer, and no line holds a credential', async (t) => {
  const gateway = await startGatewayProcess(upstream, {
    QDRANT__LOG_LEVEL: 'info',
    QDRANT_GATEWAY__LOG__SLOW_REQUEST_MS: '1',
  });
  t.teardown(() => gateway.close());
  const { ca, rest } = gateway;
  const lines = () =>
    gateway
      .errors()
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const told = (msg: string) => lines().filter((line) => line.msg === msg);
  t.match(lines()[0], {
    level: 'info',
    time: /Z$/,
    mode: 'enforce',
    pid: gateway.child.pid,
    msg: 'qdrant-gateway starts',
  });
  const wrong = await ask(rest.url, 'GET', '/collections', SECRET, ca);
  await ask(rest.url, 'GET', '/collections', SECRET, ca);
  const reader = await ask(rest.url, 'PUT', '/collections/a%0A%1b%E2%80%AE', KEYS.readOnly, ca);
  t.equal((await ask(rest.url, 'GET', '/collections', KEYS.admin, ca)).status, 200);
  await until(() => told('refused').length >= 2, 'both kinds');
  const common = { level: 'info', protocol: 'rest', remote: '127.0.0.1' };
  t.match(told('refused'), [
    { ...common, operation: 'collections.list', code: 'bad_credential', status: 401, tracing_id: wrong.id },
    { ...common, key: 'read_only_api_key', collection: 'a\n\u001b\u202e', status: 403, tracing_id: reader.id },
  ]);
  t.equal(told('refused').length, 2, 'a repetition waits for its minute');
  t.notMatch(gateway.errors(), SECRET);
  t.notMatch(gateway.errors(), KEYS.admin);
  t.notMatch(gateway.errors(), '\u202e');
});

t.test('with an access log every request is a line, and a refusal has no other', async (t) => {
  const gateway = await startGatewayProcess(upstream, {
    QDRANT__LOG_LEVEL: 'info',
    QDRANT_GATEWAY__LOG__ACCESS: 'true',
  });
  t.teardown(() => gateway.close());
  await ask(gateway.rest.url, 'GET', '/collections', KEYS.admin, gateway.ca);
  await ask(gateway.rest.url, 'GET', '/collections', SECRET, gateway.ca);
  const requests = () => gateway.errors().match(/.*"msg":"request"\}/g) ?? [];
  await until(() => requests().length >= 2, 'both');
  t.match(
    requests().map((line) => JSON.parse(line)),
    [
      { key: 'api_key', operation: 'collections.list', status: 200, duration_ms: Number, bytes_out: Number },
      { code: 'bad_credential', status: 401 },
    ],
  );
  t.notMatch(gateway.errors(), '"msg":"refused"');
});

t.test('on a terminal lines are for people', async (t) => {
  const python = findProgram('python3');
  if (python === undefined || !existsSync('/dev/ptmx')) return t.comment('there is no terminal to try');
  const script =
    'import os, pty, sys\npid, end = pty.fork()\nif pid == 0: os.execv(sys.argv[1], sys.argv[1:])\n' +
    'while True:\n  try: piece = os.read(end, 4096)\n  except OSError: break\n  if not piece: break\n  os.write(1, piece)';
  const child = spawn(python, ['-c', script, process.execPath, 'src/cli/main.ts', 'serve'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...{ PATH: process.env.PATH, ...cachedModules(), TERM: 'xterm-256color' },
      ...{ QDRANT__SERVICE__HOST: '127.0.0.1', QDRANT__SERVICE__HTTP_PORT: '0', QDRANT__SERVICE__GRPC_PORT: '0' },
      QDRANT__SERVICE__API_KEY: KEYS.admin,
      QDRANT_GATEWAY__UPSTREAM__REST_URL: upstream.restUrl,
      QDRANT_GATEWAY__UPSTREAM__GRPC_URL: upstream.grpcUrl,
    },
  });
  let said = '';
  child.stdout.on('data', (piece: Buffer) => {
    said += piece.toString();
  });
  await until(() => said.includes('grpc listens on'), 'it serves');
  const pid = Number(/pid=\S*?(\d+)/.exec(said.replaceAll('\u001b[0m', ''))?.[1]);
  t.teardown(async () => {
    process.kill(pid, 'SIGKILL');
    await once(child, 'close');
  });
  const url = /rest listens on (http:\S+?),/.exec(said)?.[1] ?? '';
  await ask(url, 'GET', '/collections', SECRET);
  await until(() => /refused.*code=/.test(said), 'the refusal');
  t.match(said.replaceAll('\u001b', 'ESC'), /ESC\[2m\d\d:\d\d:\d\d\.\d{3}ESC\[0m ESC\[32mINFO ESC\[0m refused {26}/);
  t.notMatch(said, SECRET);
});
