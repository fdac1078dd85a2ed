import t from 'tap';
import { exitCode } from '../../src/cli/exit-code.ts';
import { explainFailure } from '../../src/cli/output.ts';
import { namingPort } from '../../src/cli/port-failure.ts';
import { loadConfig } from '../../src/config/load.ts';

const { config } = loadConfig({
  env: {},
  defaults: {
    'service.http_port': 7001,
    'service.grpc_port': 7002,
    'service.api_key': 'admin-key-0123456789',
    'gateway.admin.port': 7003,
    'gateway.upstream.rest_url': 'http://127.0.0.1:6333',
    'gateway.upstream.grpc_url': 'http://127.0.0.1:6334',
  },
});

const OPTIONS = [
  [7001, '`service.http_port` (`--http-port`)'],
  [7002, '`service.grpc_port` (`--grpc-port`)'],
  [7003, '`gateway.admin.port` (`QDRANT_GATEWAY__ADMIN__PORT`)'],
] as const;

function told(error: unknown): string {
  let text = '';
  const output = { out: () => undefined, err: (more: string) => (text += more) };
  t.equal(explainFailure(output, namingPort(error, config)), exitCode.failure);
  return text;
}

const failure = (code: string, port?: number): Error =>
  Object.assign(new Error('listen failed'), { code }, port === undefined ? {} : { port });

t.test('each port that cannot be had names the option it is set by', async (t) => {
  for (const [port, option] of OPTIONS) {
    const inUse = `error: port ${port} is in use: stop what listens there, or choose another with ${option}\n`;
    t.equal(told(failure('EADDRINUSE', port)), inUse);
    const denied = `error: not allowed to listen on port ${port}: choose another with ${option}\n`;
    t.equal(told(failure('EACCES', port)), denied);
  }
});

t.test('any other failure is told as it is', async (t) => {
  for (const error of [failure('EACCES'), failure('EADDRINUSE', 7004), failure('ECONNREFUSED', 7001)]) {
    t.equal(namingPort(error, config), error);
    t.equal(told(error), 'error: listen failed\n');
  }
});
