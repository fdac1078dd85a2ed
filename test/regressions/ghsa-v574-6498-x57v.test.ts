// A cache of parsed targets was keyed by base and path glued together, so that two requests shared one entry and the
// second went where the first had been sent. Here no target is cached: every request is resolved from its own bytes.
import t from 'tap';
import { collectionToken } from '../support/tokens.ts';
import { attack, CLOSE, requestOf } from './attack.ts';

const gateway = await attack(t);
/** Each pair is the same text once its parts are glued together. */
const PAIRS = [
  { collection: 'docs', own: '/collections/docs/points/1', other: '/collections/doc/spoints/1' },
  { collection: 'docs', own: '/collections/docs/exists', other: '/collections/do/csexists' },
  { collection: 'ab', own: '/collections/ab/points/c', other: '/collections/a/bpoints/c' },
  { collection: 'a', own: '/collections/a/points/bc', other: '/collections/ab/points/c' },
] as const;

for (const { collection, own, other } of PAIRS) {
  t.test(`${own} and ${other} never stand for each other`, async (t) => {
    const key = `api-key: ${collectionToken('r', collection)}`;
    for (const order of [
      [own, other],
      [other, own],
      [own, own, other],
    ]) {
      const statuses: number[] = [];
      for (const target of order) {
        const answer = await gateway.send(requestOf(`GET ${target}`, key, CLOSE));
        statuses.push(...answer.statuses);
      }
      const expected = order.map((target) => target === own);
      t.strictSame(
        statuses.map((status) => status === 200),
        expected,
      );
      t.strictSame(
        gateway.seen(),
        order.filter((target) => target === own).map((target) => `GET ${target}`),
      );
    }
  });
}

t.test('the same target under another host is the same upstream and the same verdict', async (t) => {
  const key = `api-key: ${collectionToken('r', 'docs')}`;
  for (const host of ['localhost', 'localhost/collections', 'docs.localhost', 'localhost:1']) {
    await gateway.send(requestOf('GET /collections/docs', key, CLOSE, `Host: ${host}`));
    await gateway.send(requestOf('GET /collections/private', key, CLOSE, `Host: ${host}`));
    const reached = gateway.seen();
    t.ok(reached.every((line) => line === 'GET /collections/docs') && reached.length <= 1, host);
  }
});
