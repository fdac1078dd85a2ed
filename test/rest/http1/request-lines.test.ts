import t from 'tap';
import { RequestLines } from '../../../src/rest/http1/request-lines.ts';

const GET = 'GET /a HTTP/1.1\r\nhost: x\r\n\r\n';
const put = (lines: string, body: string) => `PUT /a HTTP/1.1\r\nhost: x\r\n${lines}\r\n${body}`;

/** What is asked for each request of the bytes, and what is answered: o = odd. */
const CASES: readonly (readonly [name: string, bytes: string, expected: string])[] = [
  ['one request', GET, '.'],
  ['three requests', GET + GET + GET, '...'],
  ['HTTP/1.0', 'GET /a HTTP/1.0\r\n\r\n', '.'],
  ['empty lines before a request', `\r\n\r\n${GET}\r\n${GET}`, '..'],
  ['a length', put('content-length: 5\r\n', 'GET  ') + GET, '..'],
  ['a length in other letters, and blanks around it', put('CONTENT-LENGTH:\t 5 \r\n', 'GET  ') + GET, '..'],
  ['chunks', put('Transfer-Encoding: Chunked\r\n', '5;x\r\nGET  \r\n0\r\nx: y\r\n\r\n') + GET, '..'],
  ['two blanks before the target', 'GET  /a HTTP/1.1\r\nhost: x\r\n\r\n', 'o'],
  ['two blanks before the version', 'GET /a  HTTP/1.1\r\nhost: x\r\n\r\n', 'o'],
  ['a tab', 'GET\t/a HTTP/1.1\r\nhost: x\r\n\r\n', 'o'],
  ['a blank behind the version', 'GET /a HTTP/1.1 \r\nhost: x\r\n\r\n', 'o'],
  ['another version', 'GET /a HTTP/2.0\r\n\r\n', 'o'],
  ['an odd one between good ones', `${GET}GET /a  HTTP/1.1\r\nhost: x\r\n\r\n${GET}`, '.oo'],
  ['an odd one behind a length', `${put('content-length: 2\r\n', '{}')}GET /a  HTTP/1.1\r\n\r\n`, '.o'],
  [
    'an odd one behind chunks',
    `${put('transfer-encoding: chunked\r\n', '2\r\n{}\r\n0\r\n\r\n')}GET  /a HTTP/1.1\r\n\r\n`,
    '.o',
  ],
  ['two lengths', put('content-length: 2\r\ncontent-length: 2\r\n', '{}') + GET, 'oo'],
  ['a length beside chunks', put('content-length: 2\r\ntransfer-encoding: chunked\r\n', '0\r\n\r\n') + GET, 'oo'],
  ['a length that is none', put('content-length: +2\r\n', '{}') + GET, 'oo'],
  ['another coding', put('transfer-encoding: gzip, chunked\r\n', '0\r\n\r\n') + GET, 'oo'],
  ['a bare line feed', 'GET /a HTTP/1.1\nhost: x\n\n', 'o'],
  ['a folded line', 'GET /a HTTP/1.1\r\nhost: x\r\n y\r\n\r\n', 'o'],
  ['a line without colon', 'GET /a HTTP/1.1\r\nhost\r\n\r\n', 'o'],
  ['chunks that are broken', put('transfer-encoding: chunked\r\n', 'zz\r\n') + GET, '.o'],
  ['a head over the limit', `GET /a HTTP/1.1\r\nx: ${'y'.repeat(600)}\r\n\r\n${GET}`, 'oo'],
  ['a request without a seen line', '', 'o'],
];

t.test('only requests whose line has one reading are not odd, in any pieces', async (t) => {
  for (const [name, text, expected] of CASES) {
    const bytes = Buffer.from(text, 'latin1');
    for (const size of [bytes.length || 1, 1, 2, 7]) {
      const lines = new RequestLines(512);
      for (let at = 0; at < bytes.length; at += size) push(lines, bytes.subarray(at, at + size));
      const seen = [...expected].map(() => (lines.takeOdd() ? 'o' : '.')).join('');
      t.equal(seen, expected, `${name}, ${size} bytes at a time`);
    }
  }
});

/** All of it, request by request. */
function push(lines: RequestLines, bytes: Buffer): void {
  for (let at = 0; at < bytes.length && !lines.lost; ) at += lines.push(bytes.subarray(at));
}
