import t from 'tap';
import { LANES, listOf, type NodesScene, startNodes } from '../../support/nodes.ts';
import { FILE_MS } from '../../support/patience.ts';
import { until } from '../../support/until.ts';

/* Three stand-ins behind each lane of REST: where requests go, and what becomes of them when a node fails. */

const COUNT = '/collections/docs/points/count';
const POINTS = '/collections/docs/points';

async function withCollection(scene: NodesScene): Promise<void> {
  for (const { fake } of scene.nodes) {
    const made = await fetch(`${fake.restUrl}/collections/docs`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: '{"vectors":{"size":2,"distance":"Dot"}}',
    });
    if (!made.ok) throw new Error(await made.text());
    fake.recorder.clear();
  }
}

/** Requests with these spread over all nodes that are there, also over one that takes few for now. */
const SHELVES = Array.from({ length: 20 }, (_, at) => ({ 'x-qdrant-route-affinity': `shelf ${at}` }));

const clear = ({ nodes }: NodesScene): void => {
  for (const { fake } of nodes) fake.recorder.clear();
};

const upsert = (id: number): { body: string } => ({ body: `{"points":[{"id":${id},"vector":[0.1,0.2]}]}` });

/** Names of the nodes that saw a request since `clear`. */
const seenBy = ({ nodes }: NodesScene): string[] => nodes.filter(({ seen }) => seen.length > 0).map(({ name }) => name);

t.setTimeout(FILE_MS);
t.jobs = LANES.length;
for (const lane of LANES) {
  t.test(lane.name, { buffered: true, timeout: FILE_MS }, async (t) => {
    const scene = await startNodes({ lane });
    t.teardown(scene.close);
    await withCollection(scene);
    const { nodes, ask, gateway, stateWith } = scene;
    const [one, two, three] = nodes;
    if (!one || !two || !three) throw new Error('three nodes');

    t.test('requests for points spread over all nodes, and each arrives once', async (t) => {
      const answers = await Promise.all(Array.from({ length: 240 }, (_, id) => ask('PUT', POINTS, upsert(id + 1))));
      t.ok(answers.every(({ status }) => status === 200));
      for (const { seen, name } of nodes)
        t.ok(seen.length > 64 && seen.length < 96, `${name}: ${seen.length} of 240, within a fifth of even`);
      t.equal(
        nodes.reduce((sum, { seen }) => sum + seen.length, 0),
        240,
      );
    });

    t.test('operations about a node go to one node for a caller, or to the one it names', async (t) => {
      clear(scene);
      for (let i = 0; i < 12; i++) t.equal((await ask('GET', '/logger')).status, 200);
      t.equal(seenBy(scene).length, 1);
      for (const { name } of nodes) {
        clear(scene);
        const headers = { 'x-qdrant-gateway-node': name };
        t.equal((await ask('GET', '/metrics', { headers })).status, 200);
        t.equal((await ask('POST', COUNT, { headers, body: '{}' })).status, 200);
        t.strictSame(seenBy(scene), [name]);
      }
      const sent = nodes.flatMap(({ fake }) => fake.recorder.rest.flatMap(({ rawHeaders }) => rawHeaders));
      t.notOk(sent.includes('x-qdrant-gateway-node'), 'the name is not sent upstream');
    });

    t.test('a name that is no node of the gateway is refused, and nothing is sent', async (t) => {
      clear(scene);
      const refused = await ask('GET', '/metrics', { headers: { 'x-qdrant-gateway-node': 'nobody:1' } });
      t.match(refused, { status: 400, text: new RegExp(one.name) });
      t.strictSame(seenBy(scene), []);
      const open = await ask('GET', '/healthz', { headers: { 'x-qdrant-gateway-node': 'nobody:1' } });
      t.equal(open.status, 200, 'open operations tell strangers no names');
    });

    t.test('affinity keeps requests on one node, and passes unchanged', async (t) => {
      clear(scene);
      const headers = { 'x-qdrant-route-affinity': 'shelf 7' };
      for (let i = 0; i < 12; i++) t.equal((await ask('POST', COUNT, { headers, body: '{}' })).status, 200);
      t.equal(seenBy(scene).length, 1);
      const asked = nodes.flatMap(({ fake }) => fake.recorder.rest.filter(({ target }) => target === COUNT));
      const sent = asked.map(({ rawHeaders }) => rawHeaders);
      t.equal(sent.length, 12);
      t.ok(sent.every((raw) => raw[raw.indexOf('x-qdrant-route-affinity') + 1] === 'shelf 7'));
    });

    t.test('reads go on at another node when their node closes the connection', async (t) => {
      clear(scene);
      one.mode = 'reset';
      const reads = await Promise.all(Array.from({ length: 24 }, () => ask('POST', COUNT, { body: '{}' })));
      t.ok(reads.every(({ status }) => status === 200));
      t.ok(one.seen.length > 0, 'the node had some of them');
      one.mode = 'normal';
    });

    t.test('writes are sent once, and are 502 where their node closes the connection', async (t) => {
      clear(scene);
      three.mode = 'reset';
      const ids = Array.from({ length: 24 }, (_, at) => 500 + at);
      const writes = await Promise.all(ids.map((id) => ask('PUT', POINTS, upsert(id))));
      t.equal(nodes.flatMap(({ seen }) => seen).length, 24);
      t.ok(three.seen.length > 0, 'the node had some of them');
      t.equal(writes.filter(({ status }) => status === 502).length, three.seen.length);
      t.equal(writes.filter(({ status }) => status === 200).length, 24 - three.seen.length);
      three.mode = 'normal';
    });

    t.test('a stopped node takes no requests, and takes them again once it is back', async (t) => {
      await two.stop();
      const ids = Array.from({ length: 60 }, (_, at) => 1000 + at);
      clear(scene);
      const reads = await Promise.all(ids.map(() => ask('POST', COUNT, { body: '{}' })));
      t.strictSame(
        reads.filter(({ status }) => status !== 200),
        [],
        'reads',
      );
      const writes = await Promise.all(ids.map((id) => ask('PUT', POINTS, upsert(id))));
      t.ok(
        writes.every(({ status }) => status === 200),
        'writes',
      );
      const arrived = nodes.flatMap(({ seen }) => seen.filter((line) => line.startsWith('PUT')));
      t.equal(arrived.length, 60, 'each write once');
      await two.again();
      await until(async () => {
        await Promise.all(SHELVES.map((headers) => ask('GET', '/collections', { headers })));
        return two.seen.length > 0;
      }, 'the node takes requests again');
    });

    t.test('a node that is not ready is left out', async (t) => {
      one.mode = 'not-ready';
      await until(async () => {
        clear(scene);
        await Promise.all(SHELVES.map((headers) => ask('GET', '/collections', { headers })));
        return one.seen.length === 0;
      }, 'the node is left out');
      one.mode = 'normal';
      t.pass();
    });

    t.test('reads that wait at a node which answers nothing go on at another one, writes wait', async (t) => {
      await until(async () => {
        clear(scene);
        await Promise.all(SHELVES.map((headers) => ask('GET', '/collections', { headers })));
        return two.seen.length > 0;
      }, 'the node takes requests');
      clear(scene);
      two.mode = 'frozen';
      const reads = await Promise.all(SHELVES.map((headers) => ask('POST', COUNT, { body: '{}', headers })));
      t.ok(reads.every(({ status }) => status === 200));
      t.ok(two.seen.length > 0, 'the node had some of them');
      t.equal(
        nodes.reduce((sum, { seen }) => sum + seen.length, 0),
        SHELVES.length + two.seen.length,
        'and each of those came once more',
      );
      two.mode = 'normal';
    });

    t.test('a node that leaves the list gets no more requests', async (t) => {
      gateway.apply(stateWith({ 'gateway.upstream.nodes': listOf([one]) }));
      clear(scene);
      for (let i = 0; i < 12; i++) t.equal((await ask('GET', '/collections')).status, 200);
      t.strictSame(seenBy(scene), [one.name]);
    });
  });
}
