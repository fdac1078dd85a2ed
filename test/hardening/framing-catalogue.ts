import { KEYS } from '../support/gateway.ts';

/** A request as bytes (latin1), and what must come of it. */
export interface FramingCase {
  readonly name: string;
  readonly bytes: string;
  /** `refused`: at most error answers, nothing upstream, the connection ended. Else what is answered and asked upstream. */
  readonly expected: 'refused' | { readonly statuses: readonly number[]; readonly asked: readonly string[] };
}

const KEY = `api-key: ${KEYS.admin}\r\n`;
const HOST = 'host: localhost\r\n';
const CLOSE = 'connection: close\r\n';
const GET = `GET /collections HTTP/1.1\r\n${HOST}${KEY}`;
const POST = `PUT /collections/a/points HTTP/1.1\r\n${HOST}${KEY}`;
const SMUGGLED = `GET /collections/smuggled HTTP/1.1\r\n${HOST}${KEY}${CLOSE}\r\n`;
const LISTED = { statuses: [200], asked: ['GET /collections'] } as const;

/** Request lines. */
const LINES: Readonly<Record<string, string>> = {
  'no version': `GET /collections\r\n${HOST}${KEY}${CLOSE}\r\n`,
  'version 0.9': `GET /collections HTTP/0.9\r\n${HOST}${KEY}${CLOSE}\r\n`,
  'version 1.2': `GET /collections HTTP/1.2\r\n${HOST}${KEY}\r\n`,
  'version 2.0': `GET /collections HTTP/2.0\r\n${HOST}${KEY}${CLOSE}\r\n`,
  'version 2.0 without a host': `GET /collections HTTP/2.0\r\n${KEY}${CLOSE}\r\n`,
  'version 2.0 with two hosts': `GET /collections HTTP/2.0\r\n${HOST}${HOST}${KEY}${CLOSE}\r\n`,
  'version 2.0 with gzip before chunked': `PUT /collections/a/points HTTP/2.0\r\n${HOST}${KEY}${CLOSE}transfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  'version 3.0': `GET /collections HTTP/3.0\r\n${HOST}${KEY}\r\n`,
  'version 11.1': `GET /collections HTTP/11.1\r\n${HOST}${KEY}\r\n`,
  'version 1.11': `GET /collections HTTP/1.11\r\n${HOST}${KEY}\r\n`,
  'version 1,1': `GET /collections HTTP/1,1\r\n${HOST}${KEY}\r\n`,
  'version in small letters': `GET /collections http/1.1\r\n${HOST}${KEY}\r\n`,
  'another protocol': `GET /collections ICY/1.1\r\n${HOST}${KEY}\r\n`,
  'a blank behind the version': `GET /collections HTTP/1.1 \r\n${HOST}${KEY}\r\n`,
  'a word behind the version': `GET /collections HTTP/1.1 x\r\n${HOST}${KEY}\r\n`,
  'a blank before the method': ` GET /collections HTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'a tab between method and target': `GET\t/collections HTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'a tab before the version': `GET /collections\tHTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'two blanks before the target': `GET  /collections HTTP/1.1\r\n${HOST}${KEY}${CLOSE}\r\n`,
  'two blanks before the version': `GET /collections  HTTP/1.1\r\n${HOST}${KEY}${CLOSE}\r\n`,
  'no target': `GET HTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'an empty target': `GET  HTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'a blank in the target': `GET /coll ections HTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'a colon in the method': `G:ET /collections HTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'a NUL in the method': `GE\0T /collections HTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'an empty method': ` /collections HTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'a method of 4 KiB': `${'A'.repeat(4096)} /collections HTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'a NUL in the target': `GET /coll\0ections HTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'a carriage return in the target': `GET /coll\rections HTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'a raw byte in the target': `GET /coll\xe9ctions HTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'a bare line feed behind the request line': `GET /collections HTTP/1.1\n${HOST}${KEY}\r\n`,
  'a bare carriage return behind the request line': `GET /collections HTTP/1.1\r${HOST}${KEY}\r\n`,
  'a folded request line': `GET /collections\r\n HTTP/1.1\r\n${HOST}${KEY}\r\n`,
  'a header behind the request line begins with a blank': `GET /collections HTTP/1.1\r\n ${HOST}${KEY}\r\n`,
  'the HTTP/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'a TLS record': '\x16\x03\x01\x00\x05hello\r\n\r\n',
};

/** Header sections behind a good request line and host. */
const HEADERS: Readonly<Record<string, string>> = {
  'a name with a blank inside': `${GET}x a: b\r\n\r\n`,
  'a name with a bracket': `${GET}x[a]: b\r\n\r\n`,
  'a name with a raw byte': `${GET}x\xe9: b\r\n\r\n`,
  'a name with a slash': `${GET}x/a: b\r\n\r\n`,
  'a name with a comma': `${GET}x,a: b\r\n\r\n`,
  'a name in quotes': `${GET}"x": b\r\n\r\n`,
  'a blank before the colon': `${GET}x : b\r\n\r\n`,
  'a blank before the colon of host': `GET /collections HTTP/1.1\r\nhost : localhost\r\n${KEY}\r\n`,
  'a folded value': `${GET}x: a\r\n b\r\n\r\n`,
  'a value folded by a tab': `${GET}x: a\r\n\tb\r\n\r\n`,
  'a folded host': `GET /collections HTTP/1.1\r\nhost:\r\n localhost\r\n${KEY}\r\n`,
  'a value with a bare line feed': `${GET}x: a\nb: c\r\n\r\n`,
  'a value with a bare carriage return': `${GET}x: a\rb: c\r\n\r\n`,
  'a line end of two carriage returns': `${GET}x: a\r\r\nb: c\r\n\r\n`,
  'a line end of LF CR': `${GET}x: a\n\rb: c\r\n\r\n`,
  'a value with ESC': `${GET}x: \x1b[2J\r\n\r\n`,
  'a value with a vertical tab': `${GET}x: a\vb\r\n\r\n`,
  'only a colon': `${GET}:\r\n\r\n`,
  'a line without colon': `${GET}nonsense\r\n\r\n`,
  '101 headers': `${GET}${'x: y\r\n'.repeat(99)}\r\n`,
  '2 000 headers': `${GET}${'x: y\r\n'.repeat(2000)}\r\n`,
  'a header of 70 KiB': `${GET}x: ${'y'.repeat(70 << 10)}\r\n\r\n`,
  'a header name of 70 KiB': `${GET}${'y'.repeat(70 << 10)}: x\r\n\r\n`,
  'an empty host': `GET /collections HTTP/1.1\r\nhost:\r\n${KEY}${CLOSE}\r\n`,
  'a host with a path': `GET /collections HTTP/1.1\r\nhost: localhost/x\r\n${KEY}${CLOSE}\r\n`,
  'two hosts in a line': `GET /collections HTTP/1.1\r\nhost: localhost, evil.test\r\n${KEY}${CLOSE}\r\n`,
  'a user in the host': `GET /collections HTTP/1.1\r\nhost: a@localhost\r\n${KEY}${CLOSE}\r\n`,
  'a host with a blank': `GET /collections HTTP/1.1\r\nhost: local host\r\n${KEY}${CLOSE}\r\n`,
  'a host with a query': `GET /collections HTTP/1.1\r\nhost: localhost?x\r\n${KEY}${CLOSE}\r\n`,
  'a host with a bad port': `GET /collections HTTP/1.1\r\nhost: localhost:99x\r\n${KEY}${CLOSE}\r\n`,
  'two hosts, the second empty': `GET /collections HTTP/1.1\r\n${HOST}host:\r\n${KEY}\r\n`,
};

/** Bodies and their lengths, with a request behind that must never be seen. */
const BODIES: Readonly<Record<string, string>> = {
  'a length of letters': `${POST}content-length: two\r\n\r\n{}${SMUGGLED}`,
  'a length with a comment': `${POST}content-length: 2 (two)\r\n\r\n{}${SMUGGLED}`,
  'a length with a semicolon': `${POST}content-length: 2;x\r\n\r\n{}${SMUGGLED}`,
  'a length in quotes': `${POST}content-length: "2"\r\n\r\n{}${SMUGGLED}`,
  'a list of lengths': `${POST}content-length: 2,3\r\n\r\n{}${SMUGGLED}`,
  'a list with an empty member': `${POST}content-length: 2,\r\n\r\n{}${SMUGGLED}`,
  'a length with a NUL': `${POST}content-length: 2\0\r\n\r\n{}${SMUGGLED}`,
  'a length with a vertical tab': `${POST}content-length: \v2\r\n\r\n{}${SMUGGLED}`,
  'a length with a form feed': `${POST}content-length: 2\f\r\n\r\n{}${SMUGGLED}`,
  'a length of 2^63': `${POST}content-length: 9223372036854775808\r\n\r\n{}`,
  'a folded length': `${POST}content-length: 1\r\n 2\r\n\r\n{}${SMUGGLED}`,
  'a length with a blank before the colon': `${POST}content-length : 2\r\n\r\n{}${SMUGGLED}`,
  'a length and an unknown coding': `${POST}content-length: 2\r\ntransfer-encoding: x\r\n\r\n{}${SMUGGLED}`,
  'a length and identity': `${POST}content-length: 2\r\ntransfer-encoding: identity\r\n\r\n{}${SMUGGLED}`,
  'a length and an empty coding': `${POST}content-length: 2\r\ntransfer-encoding:\r\n\r\n{}${SMUGGLED}`,
  'chunked before gzip': `${POST}transfer-encoding: chunked, gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  'deflate only': `${POST}transfer-encoding: deflate\r\n\r\n{}${SMUGGLED}`,
  'chunked with a raw byte': `${POST}transfer-encoding: chunked\xff\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'chunked with a backspace': `${POST}transfer-encoding: chunked\b\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'chunk in the singular': `${POST}transfer-encoding: chunk\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'two names of letter case': `${POST}Transfer-Encoding: chunked\r\nTRANSFER-ENCODING: cow\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'a line feed before the coding': `${POST}x: y\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'chunked on HTTP/1.0': `PUT /collections/a/points HTTP/1.0\r\n${HOST}${KEY}transfer-encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  'both on HTTP/1.0': `PUT /collections/a/points HTTP/1.0\r\n${HOST}${KEY}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  'chunked on GET beside a length': `${GET}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
};

/** What is odd but has one reading only, or is refused by a status of its own. */
const READ: Readonly<Record<string, readonly [bytes: string, statuses: readonly number[], asked: readonly string[]]>> =
  {
    'the plain request': [`${GET}${CLOSE}\r\n`, LISTED.statuses, LISTED.asked],
    'tabs around a value': [`${GET}${CLOSE}x:\ty\t\r\n\r\n`, LISTED.statuses, LISTED.asked],
    'no blank behind the colon': [
      `GET /collections HTTP/1.1\r\nhost:localhost\r\n${KEY}${CLOSE}\r\n`,
      [200],
      LISTED.asked,
    ],
    'names in capitals': [
      `GET /collections HTTP/1.1\r\nHOST: localhost\r\nAPI-KEY: ${KEYS.admin}\r\nCONNECTION: CLOSE\r\n\r\n`,
      [200],
      LISTED.asked,
    ],
    'an empty value': [`${GET}${CLOSE}x:\r\n\r\n`, LISTED.statuses, LISTED.asked],
    'every mark a name may have': [`${GET}${CLOSE}!#$%&'*+-.^_\`|~9a: b\r\n\r\n`, LISTED.statuses, LISTED.asked],
    'a raw byte in a value': [`${GET}${CLOSE}x: \xe9\r\n\r\n`, LISTED.statuses, LISTED.asked],
    'the prototype as a name': [`${GET}${CLOSE}__proto__: x\r\nconstructor: y\r\n\r\n`, LISTED.statuses, LISTED.asked],
    '100 headers': [`${GET}${CLOSE}${'x: y\r\n'.repeat(97)}\r\n`, LISTED.statuses, LISTED.asked],
    'one request behind the other': [
      `${GET}\r\n${GET}${CLOSE}\r\n`,
      [200, 200],
      ['GET /collections', 'GET /collections'],
    ],
    'an empty line before the request': [`\r\n${GET}${CLOSE}\r\n`, LISTED.statuses, LISTED.asked],
    'version 1.0': [`GET /collections HTTP/1.0\r\n${HOST}${KEY}\r\n`, LISTED.statuses, LISTED.asked],
    'a wrong key': [`GET /collections HTTP/1.1\r\n${HOST}api-key: x\r\n${CLOSE}\r\n`, [401], []],
    'no key': [`GET /collections HTTP/1.1\r\n${HOST}${CLOSE}\r\n`, [401], []],
    'nothing behind close': [`${GET}${CLOSE}\r\n${SMUGGLED}`, LISTED.statuses, LISTED.asked],
  };

const refuse = (group: Readonly<Record<string, string>>): FramingCase[] =>
  Object.entries(group).map(([name, bytes]) => ({ name, bytes, expected: 'refused' }));

/** Requests as the public HTTP/1.1 conformance and smuggling catalogues have them, written anew (RFC 9112). */
export const CATALOGUE: readonly FramingCase[] = [
  ...refuse(LINES),
  ...refuse(HEADERS),
  ...refuse(BODIES),
  ...Object.entries(READ).map(([name, [bytes, statuses, asked]]) => ({ name, bytes, expected: { statuses, asked } })),
];
