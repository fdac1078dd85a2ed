// Uploads of one HTTP/2 connection to a node that takes nothing used up the window of the connection: four of them stopped every
// upload to the other nodes.
import { type ClientHttp2Stream, connect } from 'node:http2';
import t from 'tap';
import { KEYS } from '../support/gateway.ts';
import { LANES, startNodes } from '../support/nodes.ts';
import { until } from '../support/until.ts';

const STUCK = 30;
/** More than what sockets and windows hold. */
const LARGE = Buffer.alloc(8_388_608, ' ');
const POINT = '{"points":[{"id":1,"vector":[0.1,0.2]}]}';
const BODY = Buffer.from(`${' '.repeat(1_000_000)}${POINT}`);

for (const lane of LANES.filter(({ http2 }) => http2)) {
  t.test(`${lane.name}: uploads to other nodes go on`, async (t) => {
    const scene = await startNodes({ lane, count: 2 });
    t.teardown(scene.close);
    const [one, two] = scene.nodes;
    if (!one || !two) throw new Error('two nodes');
    await fetch(`${two.fake.restUrl}/collections/docs`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"vectors":{"size":2,"distance":"Dot"}}',
    });
    one.mode = 'frozen';
    const session = connect(`https://127.0.0.1:${scene.port}`, { rejectUnauthorized: false, maxSessionMemory: 1024 });
    t.teardown(() => session.destroy());
    const upload = (node: string, body: Buffer): ClientHttp2Stream => {
      const stream = session.request({
        ...{ ':method': 'PUT', ':path': '/collections/docs/points', 'api-key': KEYS.admin },
        ...{ 'content-type': 'application/json', 'content-length': body.length, 'x-qdrant-gateway-node': node },
      });
      stream.on('error', () => undefined).end(body);
      return stream;
    };
    for (let at = 0; at < STUCK; at += 1) upload(one.name, LARGE);
    await until(() => one.seen.length === STUCK, 'all uploads are under way');
    const taken = (): number => one.fake.recorder.rest.reduce((sum, { received }) => sum + received.length, 0);
    let last = -1;
    let still = 0;
    await until(() => {
      still = taken() === last ? still + 1 : 0;
      last = taken();
      return still === 20;
    }, 'they stand still');
    for (let at = 0; at < 3; at += 1) {
      const stream = upload(two.name, BODY);
      const { promise, resolve } = Promise.withResolvers<number>();
      stream.on('response', (head) => resolve(head[':status'] ?? 0)).resume();
      t.equal(await promise, 200, 'another node is not held up');
    }
    t.equal(one.seen.length, STUCK);
  });
}
