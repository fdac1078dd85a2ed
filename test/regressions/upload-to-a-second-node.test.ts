// An upload whose node was not there went on at another one over a connection that was open already. The client had been paused
// until the first connection took its body, and nothing let it go on: the upload stood still until the time limit of the answer.
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:http2';
import t from 'tap';
import { KEYS } from '../support/gateway.ts';
import { LANES, type NodesScene, startNodes } from '../support/nodes.ts';
import { until } from '../support/until.ts';

const BODY = '{"points":[{"id":1,"vector":[0.1,0.2]}]}';
const PATH = '/collections/docs/points';

/** An upload whose head is on its way. */
interface Begun {
  readonly finish: () => void;
  readonly status: Promise<number>;
}

function begin({ port }: NodesScene, http2: boolean, affinity: string): Begun {
  const headers = {
    'api-key': KEYS.admin,
    'content-type': 'application/json',
    'content-length': String(BODY.length),
    'x-qdrant-route-affinity': affinity,
  };
  const answered = Promise.withResolvers<number>();
  if (http2) {
    const session = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    const stream = session.request({ ':method': 'PUT', ':path': PATH, ...headers }, { endStream: false });
    stream.on('response', (head) => answered.resolve(head[':status'] ?? 0)).on('error', answered.reject);
    void answered.promise.finally(() => session.destroy());
    return { finish: () => stream.end(BODY), status: answered.promise };
  }
  const request = httpRequest({ host: '127.0.0.1', port, agent: false, method: 'PUT', path: PATH, headers });
  request.on('error', answered.reject).on('response', (response: IncomingMessage) => {
    response.resume();
    answered.resolve(response.statusCode ?? 0);
  });
  request.flushHeaders();
  return { finish: () => request.end(BODY), status: answered.promise };
}

for (const lane of LANES) {
  t.test(`${lane.name}: an upload goes on over a connection that is open already`, async (t) => {
    const settings = { 'gateway.upstream.response_header_timeout_ms': 5000 };
    const scene = await startNodes({ lane, count: 2, settings });
    t.teardown(scene.close);
    const { nodes, ask, gateway } = scene;
    const [one, two] = nodes;
    if (!one || !two) throw new Error('two nodes');
    await fetch(`${two.fake.restUrl}/collections/docs`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"vectors":{"size":2,"distance":"Dot"}}',
    });
    let affinity = '';
    for (let at = 0; one.seen.length === 0; at++) {
      affinity = `shelf ${at}`;
      await ask('GET', '/collections/docs/exists', { headers: { 'x-qdrant-route-affinity': affinity } });
    }
    await ask('GET', '/collections/docs/exists', { headers: { 'x-qdrant-gateway-node': two.name } });
    await one.stop();
    const upload = begin(scene, lane.http2, affinity);
    await until(async () => {
      const { nodes: seen } = await gateway.snapshot([]);
      return seen?.find(({ name }) => name === one.name)?.state === 'ejected';
    }, 'the first node is left out');
    upload.finish();
    t.equal(await upload.status, 200);
  });
}
