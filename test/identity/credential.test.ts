import { createServer } from 'node:http';
import { connect } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { readCredential } from '../../src/identity/credential.ts';

const given = (text: string) => ({ kind: 'given', text });

const CASES: readonly (readonly [sentence: string, headers: readonly string[], credential: object | undefined])[] = [
  ['no header gives nothing', [], undefined],
  ['other headers give nothing', ['x-api-key', 'k', 'api_key', 'k', 'api-key ', 'k', 'cookie', 'api-key=k'], undefined],
  ['a name without value gives nothing', ['api-key'], undefined],
  ['api-key is taken in any case', ['host', 'x', 'aPi-KeY', 'k'], given('k')],
  ['api-key is taken as it is', ['api-key', ' k,\tk '], given(' k,\tk ')],
  ['api-key comes before Authorization', ['authorization', 'Bearer a', 'api-key', 'k'], given('k')],
  ['an empty api-key hides Authorization', ['authorization', 'Bearer a', 'api-key', ''], given('')],
  ['of two api-keys the first counts', ['api-key', 'k', 'API-KEY', 'l'], given('k')],
  ['an api-key with a high byte counts as absent', ['api-key', 'caf\xe9', 'authorization', 'Bearer a'], given('a')],
  ['a second api-key does not step in', ['api-key', '\x80', 'api-key', 'k'], undefined],
  ['a NUL in api-key is malformed', ['api-key', 'k\0', 'authorization', 'Bearer a'], { kind: 'malformed' }],
  ['a DEL in api-key is malformed', ['api-key', '\x7f'], { kind: 'malformed' }],
  ['a control byte beside a high byte is malformed', ['api-key', '\xe9\x01'], { kind: 'malformed' }],
  ['a line feed in Authorization is malformed', ['authorization', 'Bearer a\n'], { kind: 'malformed' }],
  ['Bearer is taken as it is', ['AUTHORIZATION', 'Bearer  a '], given(' a ')],
  ['Bearer with nothing behind it is an empty credential', ['authorization', 'Bearer '], given('')],
  ['Bearer without the blank gives nothing', ['authorization', 'Bearer'], undefined],
  ['bearer in small letters gives nothing', ['authorization', 'bearer a'], undefined],
  ['Bearer and a tab give nothing', ['authorization', 'Bearer\ta'], undefined],
  ['a high byte in Authorization gives nothing', ['authorization', 'Bearer \xe9'], undefined],
  [
    'of two Authorization headers the first counts',
    ['authorization', 'Basic x', 'authorization', 'Bearer a'],
    undefined,
  ],
];

for (const [sentence, headers, credential] of CASES) t.same(readCredential(headers), credential, sentence);

t.test('any header list is read without a throw, and only plain text is given', async (t) => {
  const name = fc.constantFrom('api-key', 'Api-Key', 'authorization', 'host');
  const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
  const value = fc.oneof(
    fc.string({ unit: byte }),
    fc.string({ unit: byte }).map((text) => `Bearer ${text}`),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), (headers) => {
      const credential = readCredential(headers.flat());
      return credential?.kind !== 'given' || /^[\t -~]*$/.test(credential.text);
    }),
  );
  t.pass('it holds');
});

t.test("Node's HTTP/1 parser cuts blanks around a value, so nothing has to be cut here", async (t) => {
  const server = createServer((request, response) => response.end(JSON.stringify(readCredential(request.rawHeaders))));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const ask = (line: string) =>
    new Promise<string>((resolve, reject) => {
      let answer = '';
      const socket = connect(port, '127.0.0.1', () => {
        socket.write(`GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${line}\r\n\r\n`, 'latin1');
      });
      socket.setEncoding('latin1');
      socket.on('data', (piece: string) => {
        answer += piece;
      });
      socket.on('end', () => resolve(answer));
      socket.on('error', reject);
    });
  t.match(await ask('api-key: \t k \t '), '{"kind":"given","text":"k"}');
  t.match(await ask('api-key:   '), '{"kind":"given","text":""}');
  t.notMatch(await ask('Authorization: Bearer '), 'given');
  t.match(await ask('api-key: caf\xe9\r\nAuthorization: Bearer a'), '{"kind":"given","text":"a"}');
  t.match(await ask('api-key: k\0'), 'HTTP/1.1 400 ');
});
