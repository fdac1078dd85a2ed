import t from 'tap';
import { encodeGrpcMessage, rejectHeaders } from '../../src/grpc/reject.ts';
import {
  GrpcCode,
  MISSING_CREDENTIAL,
  notListed,
  UNKNOWN_OPERATION,
  upstreamRefused,
} from '../../src/policy/denial.ts';

t.test('a denial is a trailers-only answer', async (t) => {
  t.same(rejectHeaders(MISSING_CREDENTIAL, 'r-1'), [
    [':status', '200'],
    ['content-type', 'application/grpc'],
    ['grpc-status', '16'],
    ['grpc-message', 'Must%20provide%20an%20API%20key%20or%20an%20Authorization%20bearer%20token'],
    ['x-request-id', 'r-1'],
  ]);
});

t.test('a refusal of upstream’s says after how many seconds to try again', async (t) => {
  const refused = (after?: string) =>
    rejectHeaders(upstreamRefused(429, GrpcCode.resourceExhausted, 'x', after), 'r-1');
  const bare = [
    [':status', '200'],
    ['content-type', 'application/grpc'],
    ['grpc-status', '8'],
    ['grpc-message', 'x'],
  ];
  t.same(refused('20'), [...bare, ['retry-after', '20'], ['x-request-id', 'r-1']]);
  for (const odd of [undefined, '', '-1', '1.5', 'soon', '20\r\nx: y']) {
    t.same(refused(odd), [...bare, ['x-request-id', 'r-1']], `${odd}`);
  }
});

t.test('an unknown method has no message', async (t) => {
  const date = 'Mon, 23 Nov 2026 20:40:00 GMT';
  t.same(rejectHeaders(UNKNOWN_OPERATION, 'r-2', date), [
    [':status', '200'],
    ['content-type', 'application/grpc'],
    ['grpc-status', '12'],
    ['x-request-id', 'r-2'],
    ['date', date],
  ]);
});

t.test('a name can neither break the header nor be lost', async (t) => {
  for (const name of ['päth', 'a b', 'x\r\ngrpc-status: 0', 'a%b', '日本', '\0', '"#<>`?{}~\x7f', '\ufeffa']) {
    const value = rejectHeaders(notListed(name), 'r-3')[3]?.[1] ?? '';
    t.match(value, /^[\x21-\x7e]+$/, 'visible ASCII only');
    t.equal(decodeURIComponent(value), `Forbidden: Access to collection ${name} is required`);
  }
});

t.test('the encoded bytes are those of tonic', async (t) => {
  t.equal(encodeGrpcMessage(' "#%<>`?{}'), '%20%22%23%25%3C%3E%60%3F%7B%7D');
  const kept = "!$&'()*+,-./0123456789:;=@ABCZ[\\]^_abcz|~";
  t.equal(encodeGrpcMessage(kept), kept);
  t.equal(encodeGrpcMessage('ä\x7f\n'), '%C3%A4%7F%0A');
});
