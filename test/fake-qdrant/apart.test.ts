import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { startFakeQdrantApart } from '../support/fake-qdrant/apart.ts';

async function put(url: string, body: unknown): Promise<number> {
  const answer = await fetch(url, { method: 'PUT', body: JSON.stringify(body) });
  await answer.arrayBuffer();
  return answer.status;
}

const points = (count: number, from = 0) =>
  Array.from({ length: count }, (_, at) => ({ id: from + at, vector: [at % 7, at % 11, at % 13, 1], payload: {} }));

t.test('a heavy query holds up nothing else in the process', async (t) => {
  const fake = await startFakeQdrantApart(() => t.fail('it ended by itself'));
  t.teardown(() => fake.close());
  const docs = `${fake.restUrl}/collections/docs`;
  t.equal(await put(docs, { vectors: { size: 4, distance: 'Dot' } }), 200);
  t.equal(await put(`${docs}/points`, { points: points(900) }), 200);
  const server = createServer((_, response) => response.end('here'));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const order: string[] = [];
  const body = JSON.stringify({ sample: 900, limit: 900 });
  const heavy = fetch(`${docs}/points/search/matrix/pairs`, { method: 'POST', body })
    .then((answer) => answer.arrayBuffer())
    .then(() => order.push('heavy'));
  for (let asked = 0; asked < 20; asked += 1) {
    await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).text();
    order.push('light');
  }
  await heavy;
  t.equal(order.at(-1), 'heavy', 'twenty requests to this process are answered while the stand-in works on one');
});

t.test('its end reaches the process it belongs to', async (t) => {
  const ended = Promise.withResolvers<Error>();
  const fake = await startFakeQdrantApart(ended.resolve, 24);
  const docs = `${fake.restUrl}/collections/docs`;
  await put(docs, { vectors: { size: 4, distance: 'Dot' } });
  let alive = true;
  for (let round = 0; alive && round < 400; round += 1) {
    const body = { points: points(2000, round * 2000) };
    alive = await put(`${docs}/points`, body).then(
      (status) => status === 200,
      () => false,
    );
  }
  t.match(await ended.promise, { message: /memory/ });
  await fake.close();
});

t.test('to close it is no failure', async (t) => {
  const fake = await startFakeQdrantApart(() => t.fail('closing is told as an end'));
  await fake.close();
  await t.rejects(fetch(fake.restUrl), 'nothing listens any more');
});
