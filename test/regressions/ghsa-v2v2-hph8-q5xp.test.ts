// A body was parsed because a loose match took its content type for JSON, and written anew before it went on, so that
// upstream got another body than the one that had been looked at. Here no body is ever written anew.
import t from 'tap';
import { ADMIN, attack, CLOSE, SCOPED, withBody } from './attack.ts';

const gateway = await attack(t);
const BODY = '{ "limit" : 1.0 ,\t"filter":{"must":[{"has_id":[18446744073709551615,1]}]},"limit2":1e2, "limit2":\n2 }';
const TYPES = [
  'application/json',
  'application/json ',
  'application/json;charset=utf-16',
  'application/jsonp',
  'text/plain',
  'application/x-www-form-urlencoded',
  'multipart/form-data; boundary=x',
  'application/octet-stream',
];

for (const [who, key] of [
  ['admin key', ADMIN],
  ['token for one collection', SCOPED],
] as const) {
  t.test(`with the ${who} every content type carries the body byte for byte`, async (t) => {
    for (const type of [...TYPES, undefined]) {
      const lines = type === undefined ? [] : [`Content-Type: ${type}`];
      const bytes = withBody(BODY, 'POST /collections/docs/points/query', key, CLOSE, ...lines);
      t.strictSame((await gateway.send(bytes)).statuses, [200], type ?? 'none');
      const [record] = gateway.upstream.recorder.rest;
      t.equal(record?.body.toString(), BODY, 'the same bytes');
      t.strictSame(gateway.seen(), ['POST /collections/docs/points/query']);
    }
  });
}

t.test('what has the shape of a form is not read as one', async (t) => {
  const form = 'lookup_from[collection]=docs&limit=1';
  const type = 'Content-Type: application/x-www-form-urlencoded';
  const { statuses } = await gateway.send(withBody(form, 'POST /collections/docs/points/query', SCOPED, CLOSE, type));
  t.strictSame(statuses, [400], 'no JSON, so it cannot be judged');
  t.equal(gateway.bytes(), 0);
});
