import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { rawClient, unary } from '../support/clients/unary.ts';
import { startFakeQdrant } from '../support/fake-qdrant/main.ts';
import { KEYS } from '../support/gateway.ts';
import { startGatewayProcess } from '../support/process/gateway-process.ts';
import { until } from '../support/until.ts';

/* Upstream goes down and comes back while requests come in: a line each in the log, and no line for each request. */

const ADMIN = { 'api-key': KEYS.admin };
const portOf = (url: string): number => Number(url.split(':')[2]);

function ask(port: number, path: string): Promise<readonly [status: number, body: string]> {
  return new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, headers: ADMIN, agent: false }, (answer) => {
      text(answer).then((body) => resolve([answer.statusCode ?? 0, body]), reject);
    })
      .on('error', reject)
      .end();
  });
}

for (const [workers, outages] of [
  ['1', 2],
  ['2', 1],
] as const) {
  t.test(`an outage is one line and its end another, per protocol (workers ${workers})`, async (t) => {
    let upstream = await startFakeQdrant();
    const ports = { restPort: portOf(upstream.restUrl), grpcPort: portOf(upstream.grpcUrl) };
    const gateway = await startGatewayProcess(upstream, {
      QDRANT__LOG_LEVEL: 'info',
      QDRANT__SERVICE__ENABLE_TLS: 'false',
      QDRANT_GATEWAY__WORKERS: workers,
      QDRANT_GATEWAY__ADMIN__PORT: '0',
    });
    const client = rawClient({ ...gateway, grpc: { ...gateway.grpc, url: 'http://' } });
    t.teardown(async () => {
      client.close();
      await gateway.close();
      await upstream.close();
    });
    const lines = () => {
      const all = `${gateway.errors()}${gateway.output()}`.split('\n').filter((line) => line.startsWith('{'));
      return all.map((line) => JSON.parse(line)).filter(({ msg }) => /^upstream is (down|back)/.test(msg));
    };
    const requests = async (): Promise<void> => {
      await Promise.all(
        Array.from({ length: 10 }, () => [
          ask(gateway.rest.port, '/collections'),
          unary(client, '/qdrant.Collections/List', Buffer.alloc(0), ADMIN),
        ]).flat(),
      );
    };
    const told = (word: string) => lines().filter(({ msg }) => msg.includes(word));
    await requests();
    for (let times = 1; times <= outages; times += 1) {
      await upstream.close();
      await until(async () => {
        await requests();
        return told('down').length === 2 * times;
      }, 'both are down');
      await requests();
      upstream = await startFakeQdrant(ports);
      await until(() => told('back').length === 2 * times, 'both are back');
      t.equal((await ask(gateway.rest.port, '/collections'))[0], 200);
    }
    const perProtocol = (level: string) =>
      ['grpc', 'rest'].flatMap((protocol) => Array<string>(outages).fill(`${level} ${protocol}`));
    const found = (word: string) => told(word).map(({ level, protocol }) => `${level} ${protocol}`);
    t.strictSame(found('down').sort(), perProtocol('warn'), 'at level warn');
    t.strictSame(found('back').sort(), perProtocol('info'), 'at level info');
    const admin = Number(/admin listens on \S+?:(\d+)"/.exec(gateway.errors())?.[1]);
    const [, page] = await ask(admin, '/metrics');
    t.match(page, `upstream_outages_total{protocol="rest"} ${outages}\n`);
    t.match(page, `upstream_outages_total{protocol="grpc"} ${outages}\n`);
    t.match(page, /upstream_up\{protocol="rest"\} 1\n/);
  });
}
