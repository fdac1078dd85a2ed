import t from 'tap';
import type { HeaderField } from '../../../src/http2/hpack.ts';
import { type Http2Head, readHttp2Head, trailerFault } from '../../../src/rest/http2/request-head.ts';

const GOOD: readonly HeaderField[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/collections'],
  [':authority', 'localhost'],
];
const without = (name: string): HeaderField[] => GOOD.filter(([one]) => one !== name);

/** Fields behind the good ones; a string is the fault, an object what is read. */
const FIELDS: readonly (readonly [name: string, fields: readonly HeaderField[], read: string | Partial<Http2Head>])[] =
  [
    ['no fields', [], { method: 'GET', target: '/collections', host: 'localhost', announced: -1, coded: false }],
    ['a plain field', [['x-a', 'b']], { headers: ['x-a', 'b'] }],
    ['an empty value', [['x-a', '']], { headers: ['x-a', ''] }],
    ['a tab inside a value', [['x-a', 'a\tb']], { headers: ['x-a', 'a\tb'] }],
    ['a raw byte in a value', [['x-a', 'caf\xe9']], { headers: ['x-a', 'caf\xe9'] }],
    ['a line end in a value', [['x-a', 'b\r\nc']], 'malformed header value'],
    ['a bare line feed in a value', [['x-a', 'b\nc']], 'malformed header value'],
    ['a NUL in a value', [['x-a', '\0']], 'malformed header value'],
    ['a control byte in a value', [['x-a', '\x1b[2J']], 'malformed header value'],
    ['a blank before a value', [['x-a', ' b']], 'blank around a header value'],
    ['a tab behind a value', [['x-a', 'b\t']], 'blank around a header value'],
    ['an empty name', [['', 'b']], 'empty header name'],
    ['a colon in a name', [['x:a', 'b']], 'malformed header name'],
    ['a blank in a name', [['x a', 'b']], 'malformed header name'],
    ['a capital in a name', [['X-A', 'b']], 'malformed header name'],
    ['a raw byte in a name', [['x\xe9', 'b']], 'malformed header name'],
    ['connection', [['connection', 'close']], 'connection header'],
    ['keep-alive', [['keep-alive', '1']], 'connection header'],
    ['proxy-connection', [['proxy-connection', 'close']], 'connection header'],
    ['transfer-encoding', [['transfer-encoding', 'chunked']], 'connection header'],
    ['upgrade', [['upgrade', 'websocket']], 'connection header'],
    ['te: trailers', [['te', 'trailers']], { headers: ['te', 'trailers'] }],
    ['te: gzip', [['te', 'gzip']], 'te other than trailers'],
    ['an unknown pseudo-header', [[':protocol', 'websocket']], 'unknown pseudo-header'],
    ['a pseudo-header of an answer', [[':status', '200']], 'unknown pseudo-header'],
    ['a pseudo-header twice', [[':path', '/']], 'pseudo-header given twice'],
    [
      'a pseudo-header behind a field',
      [
        ['x-a', 'b'],
        [':path', '/'],
      ],
      'pseudo-header after a regular header',
    ],
    ['the same host', [['host', 'LocalHost']], { host: 'localhost' }],
    ['another host', [['host', 'evil.test']], 'host other than the authority'],
    ['a length', [['content-length', '7']], { announced: 7, contentLength: 7 }],
    ['a length with a sign', [['content-length', '+7']], 'malformed content-length'],
    ['a length in hexadecimal', [['content-length', '0x7']], 'malformed content-length'],
    ['two lengths in one', [['content-length', '7, 7']], 'malformed content-length'],
    [
      'the same length twice',
      [
        ['content-length', '7'],
        ['content-length', '7'],
      ],
      'content-length given twice',
    ],
    ['a coded body', [['content-encoding', 'gzip']], { coded: true }],
    ['an expectation', [['expect', '100-continue']], { expects: '100-continue' }],
    [
      'cookies, which become one field (RFC 9113 section 8.2.3)',
      [
        ['cookie', 'a=1'],
        ['x-a', 'b'],
        ['cookie', 'b=2'],
      ],
      { headers: ['x-a', 'b', 'cookie', 'a=1; b=2'] },
    ],
  ];

t.test('each field is read or makes its request malformed', async (t) => {
  for (const [name, fields, read] of FIELDS) {
    const head = readHttp2Head([...GOOD, ...fields]);
    if (typeof read === 'string') t.equal(head, read, name);
    else t.match(head, read, name);
  }
});

t.test('a head needs a method, a scheme and a path', async (t) => {
  t.equal(readHttp2Head(without(':method')), 'method missing or not allowed');
  t.equal(readHttp2Head([[':method', 'CONNECT'], ...without(':method')]), 'method missing or not allowed');
  t.equal(readHttp2Head(without(':scheme')), 'scheme missing');
  t.equal(readHttp2Head(without(':path')), 'path missing');
  t.equal(readHttp2Head([...without(':path'), [':path', '']]), 'path missing');
  t.match(readHttp2Head(without(':authority')), { host: '' });
  t.match(readHttp2Head([...without(':authority'), ['host', 'a.test']]), { host: 'a.test' }, 'host stands in');
  t.equal(readHttp2Head([...without(':authority'), ['host', 'a.test'], ['host', 'b.test']]), 'host given twice');
});

t.test('trailers are checked as the fields of a head', async (t) => {
  t.equal(trailerFault([['x-a', 'b']]), undefined);
  t.equal(trailerFault([[':path', '/']]), 'pseudo-header in trailers');
  t.equal(trailerFault([['x-a', ' b']]), 'blank around a header value');
  t.equal(trailerFault([['transfer-encoding', 'chunked']]), 'connection header');
});
