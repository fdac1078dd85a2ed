// A request whose `User-Agent` was that of a health check was answered as one, whatever its path. Here the agent is not
// looked at: probes are open because their rows in the table are.
import t from 'tap';
import { H2Client, naming } from '../support/clients/h2-client.ts';
import { attack, CLOSE, requestOf } from './attack.ts';

const gateway = await attack(t);
const AGENTS = ['GoogleHC/1.0', 'kube-probe/1.33', 'ELB-HealthChecker/2.0', 'Prometheus/3.0', 'grpc-health-probe', ''];

for (const agent of AGENTS) {
  t.test(`the agent "${agent}" opens nothing that is not open`, async (t) => {
    const line = `User-Agent: ${agent}`;
    for (const target of ['/collections', '/telemetry', '/metrics', '/collections/docs']) {
      t.strictSame((await gateway.send(requestOf(`GET ${target}`, CLOSE, line))).statuses, [401], target);
    }
    const client = await H2Client.connect(gateway.grpc.port);
    t.teardown(() => client.close());
    client.call(1, '/qdrant.Collections/Get', naming('docs'), [['user-agent', agent]]);
    t.match(await client.status(1), /^16 /);
    t.equal(gateway.bytes(), 0);
    for (const target of ['/healthz', '/livez', '/readyz']) {
      t.strictSame((await gateway.send(requestOf(`GET ${target}`, CLOSE, line))).statuses, [200], target);
    }
    t.strictSame(gateway.seen(), ['GET /healthz', 'GET /livez', 'GET /readyz']);
  });
}
