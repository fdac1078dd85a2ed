import t from 'tap';
import { addedHeaders, parseTraceParent, requestIdOf, suppliedRequestId } from '../../src/exchange/request-id.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`;

t.test('the id a request came with', async (t) => {
  const cases: readonly (readonly [name: string, headers: readonly string[], id: string | undefined])[] = [
    ['none', ['accept', 'x'], undefined],
    ['x-request-id first', ['traceparent', PARENT, 'X-Tracing-Id', 't', 'X-Request-ID', 'r'], 'r'],
    ['then x-tracing-id', ['traceparent', PARENT, 'x-tracing-id', 't'], 't'],
    ['then the trace of traceparent', ['traceparent', PARENT], TRACE],
    ['one that is not well-formed is passed over', ['x-request-id', 'a b', 'x-tracing-id', 't'], 't'],
    ['quotes are not well-formed', ['x-request-id', 'a"b'], undefined],
    ['a line break neither', ['x-request-id', 'a\nb'], undefined],
    ['bytes above ASCII neither', ['x-request-id', 'a\xe4'], undefined],
    ['nor an empty one', ['x-request-id', ''], undefined],
    ['128 characters are', ['x-request-id', 'a'.repeat(128)], 'a'.repeat(128)],
    ['129 are not', ['x-request-id', 'a'.repeat(129)], undefined],
    ['of two headers the first', ['x-request-id', 'a', 'x-request-id', 'b'], 'a'],
    ['a UUID', ['x-request-id', '9b2d0f0e-6a8e-4d0c-9a60-0d5a1f3f4c11'], '9b2d0f0e-6a8e-4d0c-9a60-0d5a1f3f4c11'],
    ['a trace of zeros is none', ['traceparent', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`], undefined],
  ];
  for (const [name, headers, id] of cases) t.equal(suppliedRequestId(headers), id, name);
});

t.test('traceparent is read as W3C Trace Context asks', async (t) => {
  const span = 'b7ad6b7169203331';
  const cases: readonly (readonly [name: string, text: string, read: object | undefined])[] = [
    ['sampled', PARENT, { traceId: TRACE, spanId: span, flags: 1 }],
    ['not sampled', `00-${TRACE}-${span}-00`, { traceId: TRACE, spanId: span, flags: 0 }],
    ['a later version may say more', `cc-${TRACE}-${span}-01-what`, { traceId: TRACE, spanId: span, flags: 1 }],
    ['this version may not', `00-${TRACE}-${span}-01-what`, undefined],
    ['version ff', `ff-${TRACE}-${span}-01`, undefined],
    ['upper case', `00-${TRACE.toUpperCase()}-${span}-01`, undefined],
    ['a span of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`, undefined],
    ['too short', `00-${TRACE.slice(1)}-${span}-01`, undefined],
    ['nothing', '', undefined],
  ];
  for (const [name, text, read] of cases) t.strictSame(parseTraceParent(text), read, name);
});

t.test('a fresh id is made once, and told upstream only once it has been used', async (t) => {
  const exchange = { headers: [] as readonly string[], requestId: undefined, trace: undefined };
  t.strictSame(addedHeaders(exchange), [], 'it was not used');
  const id = requestIdOf(exchange);
  t.match(id, /^[0-9a-f-]{36}$/);
  t.equal(requestIdOf(exchange), id);
  t.strictSame(addedHeaders(exchange), ['x-request-id', id]);
  const named = { headers: ['x-tracing-id', 't'], requestId: undefined, trace: undefined };
  requestIdOf(named);
  t.strictSame(addedHeaders(named), [], 'upstream hears of it from the client');
  const traced = { ...named, trace: ['traceparent', PARENT] };
  t.strictSame(addedHeaders(traced), ['traceparent', PARENT]);
});
