import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import t from 'tap';
import { answerCodingFor } from '../../../src/rest/response/coding.ts';
import { errorForList } from '../../../src/rest/response/error-answer.ts';

const envelope = (text: string) => `{"status":{"error":${JSON.stringify(text)}},"time":0.00001}`;

/** What upstream says, and whether a list token gets to see it; it names `mine` itself. */
const ERRORS: readonly (readonly [body: string, shown: boolean])[] = [
  ['', true],
  [envelope('Service internal error: Could not get telemetry from cluster'), true],
  [envelope("Not found: Collection `mine` doesn't exist!"), true],
  [envelope("Not found: Collection `secret` doesn't exist!"), false],
  [envelope('Query deserialize error: invalid digit found in string'), true],
  [envelope('Service internal error: shard 0 of secret is dead'), false],
  [envelope('Query deserialize error: secret.collection'), false],
  [`${envelope('Query deserialize error: x').slice(0, -1)},"collections":["secret"]}`, false],
  ['{"result":{"collections":[{"name":"secret"}]}}', false],
  ['secret', false],
  ['<html>secret</html>', false],
];

t.test('an error of upstream is shown to a list token only where it can name nothing', async (t) => {
  for (const [body, shown] of ERRORS) {
    const given = errorForList(500, Buffer.from(body), 'mine').toString();
    if (shown) t.equal(given, body, body);
    else t.strictSame(JSON.parse(given), { status: { error: 'upstream answered 500' }, time: 0 }, body);
    t.notMatch(given, /secret/);
  }
});

/** `accept-encoding`, and what a secured Qdrant sends (actix-web 4). */
const NEGOTIATED: readonly (readonly [accepted: string, coding: string | undefined])[] = [
  ['gzip', 'gzip'],
  ['gzip, deflate, br', 'br'],
  ['gzip, deflate, br, zstd', 'br'],
  ['gzip, zstd', 'zstd'],
  ['GZIP;q=0.5, deflate', 'deflate'],
  ['gzip;q=0', undefined],
  ['identity, gzip;q=0.5', undefined],
  ['*', undefined],
  ['compress', undefined],
];

t.test('the coding of an answer that is made here', async (t) => {
  const decode = { gzip: gunzipSync, br: brotliDecompressSync, deflate: inflateSync, zstd: zstdDecompressSync };
  const body = Buffer.from('telemetry'.repeat(1_000));
  for (const [accepted, expected] of NEGOTIATED) {
    const coding = answerCodingFor(['Accept-Encoding', accepted]);
    t.equal(coding?.name, expected, accepted);
    if (!coding) continue;
    const coded = await coding.encode(body);
    t.ok(coded.length < body.length / 10);
    t.ok(decode[coding.name as keyof typeof decode](coded).equals(body));
  }
  t.equal(answerCodingFor([]), undefined, 'no header, no coding');
});
