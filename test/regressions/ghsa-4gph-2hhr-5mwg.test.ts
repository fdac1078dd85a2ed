// The gateway read JSON by other rules (names in any case, the last of two) than the server behind, so that the verdict
// was about another request. Here names are compared exactly and after unescaping, as upstream does, a name that matters
// twice is refused, and the bytes go on as they came.
import t from 'tap';
import { attack, CLOSE, SCOPED, withBody } from './attack.ts';

const gateway = await attack(t);
const QUERY = 'POST /collections/docs/points/query';
const PRIVATE = '{"collection":"private"}';
const DOCS = '{"collection":"docs"}';

async function judge(body: string): Promise<number | undefined> {
  const bytes = withBody(Buffer.from(body).toString('latin1'), QUERY, SCOPED, CLOSE);
  return (await gateway.send(bytes)).statuses[0];
}

const REFUSED: readonly (readonly [status: number, body: string])[] = [
  [403, `{"lookup_from":${PRIVATE}}`],
  [403, `{"lookup\\u005ffrom":${PRIVATE}}`],
  [403, `{"\\u006cookup_from":{"\\u0063ollection":"\\u0070rivate"}}`],
  [400, `{"lookup_from":${DOCS},"lookup_from":${PRIVATE}}`],
  [400, `{"lookup_from":${PRIVATE},"lookup_from":${DOCS}}`],
  [400, `{"lookup_from":${DOCS},"lookup\\u005ffrom":${PRIVATE}}`],
  [400, `{"lookup_from":{"collection":"docs","collection":"private"}}`],
  [403, `{"Lookup_From":${DOCS},"lookup_from":${PRIVATE}}`],
  [403, `{"prefetch":[{"lookup_from":${PRIVATE}}]}`],
  [403, `{"prefetch":{"prefetch":{"lookup_from":${PRIVATE}}}}`],
  [400, `{"prefetch":[],"prefetch":[{"lookup_from":${PRIVATE}}]}`],
  [400, `{"lookup_from":["private",null]}`],
  [400, `[null,null,null,null,null,null,null,null,null,null,null,["private"]]`],
  [400, `{"lookup_from":${DOCS}} {"lookup_from":${PRIVATE}}`],
  [400, `{"lookup_from":${DOCS}/* */}`],
  [400, `{'lookup_from':${PRIVATE}}`],
  [400, `{"lookup_from":${DOCS},}`],
  [400, `\ufeff{"lookup_from":${DOCS}}`],
  [400, `{"lookup_from":{"collection":"docs\u0000"}}`],
];

for (const [status, body] of REFUSED) {
  t.test(`${JSON.stringify(body)} is ${status}`, async (t) => {
    t.equal(await judge(body), status);
    t.equal(gateway.bytes(), 0);
  });
}

for (const body of [
  `{"lookup_from":${DOCS}}`,
  ` {\t"lookup_from" :\r\n${DOCS} } `,
  `{"Lookup_From":${PRIVATE},"LOOKUP_FROM":${PRIVATE}}`,
  `{"lookup_from":{"collection":"docs","Collection":"private"}}`,
  `{"lookup_from":null}`,
  `{"query":{"lookup_from":"x"},"limit":1,"limit":2}`,
]) {
  t.test(`${JSON.stringify(body)} names nothing else by upstream's rules, and arrives as it is`, async (t) => {
    t.equal(await judge(body), 200);
    t.equal(gateway.upstream.recorder.rest[0]?.body.toString(), body);
    t.strictSame(gateway.seen(), [QUERY]);
  });
}
