/** The ways in, each with TLS and without where it can be had. */
export const LANES = [
  ...(['relay', 'relay TLS', 'fastify', 'fastify TLS'] as const),
  // The server transport over HTTP/2, and plain requests over HTTP/2.
  ...(['http2 TLS', 'http2 plain TLS'] as const),
  ...(['grpc', 'grpc TLS'] as const),
] as const;
export type Lane = (typeof LANES)[number];

/** What shows that a rule holds in a lane: a check of `rest.ts`, a test elsewhere by file and name, or why there is none. */
export type Cell =
  | { readonly check: string }
  | { readonly file: string; readonly test: string }
  | { readonly none: string };

export interface Row {
  /** The rule in words. */
  readonly rule: string;
  /** Options of `gateway.limits` that set it. */
  readonly options: readonly string[];
  readonly cells: Readonly<Record<Lane, Cell>>;
}

const at = (file: string, test: string): Cell => ({ file, test });
const none = (reason: string): Cell => ({ none: reason });
const check = (name: string): Cell => ({ check: name });

/** One cell for the relay and Fastify on HTTP/1, one for HTTP/2, one for gRPC; TLS makes no difference to what is shown. */
function row(
  rule: string,
  options: readonly string[],
  http1: Cell | readonly [relay: Cell, fastify: Cell],
  http2: Cell,
  grpc: Cell,
): Row {
  const [relay, fastify] = 'length' in http1 ? http1 : [http1, http1];
  const cells = {
    relay,
    'relay TLS': relay,
    fastify,
    'fastify TLS': fastify,
    'http2 TLS': http2,
    'http2 plain TLS': http2,
    grpc,
    'grpc TLS': grpc,
  };
  return { rule, options, cells };
}

const CHAINS = 'test/hardening/certificate-chains.test.ts';
const PLAIN = 'without TLS there is no handshake';
const FAIRNESS = 'test/hardening/fairness.test.ts';
const PACED = 'test/e2e/limits-paced.test.ts';
const HTTP2 = 'test/hardening/http2.test.ts';
const PIPELINES = 'test/regressions/pipelines-in-one-lane.test.ts';
const TAKES = 'test/regressions/answers-not-taken.test.ts';
const HEADS_TOGETHER = 'test/regressions/http2-heads-together.test.ts';
const CUT_SHORT = 'test/regressions/http2-frames-cut-short.test.ts';
const LISTENER = 'test/rest/listener.test.ts';
const GRPC_OWN = 'gRPC passes this time on: the caller sets it with grpc-timeout, upstream keeps it';

export const ROWS: readonly Row[] = [
  {
    rule: 'a handshake has a size where client certificates are asked for',
    options: ['tls_handshake_bytes'],
    cells: {
      ...row(
        '',
        [],
        none(PLAIN),
        at(CHAINS, 'larger ones end the handshake'),
        at(CHAINS, 'larger ones end the handshake'),
      ).cells,
      'relay TLS': at(CHAINS, 'larger ones end the handshake'),
      'fastify TLS': at(CHAINS, 'larger ones end the handshake'),
      grpc: none(PLAIN),
    },
  },
  // Sizes.
  row(
    'a head over the limit',
    ['header_bytes'],
    check('head bytes'),
    check('head bytes'),
    at('test/http2/hpack.test.ts', 'a block over the limits is reported'),
  ),
  row(
    'too many header fields',
    ['header_count'],
    check('head fields'),
    check('head fields'),
    at('test/http2/hpack.test.ts', 'a block over the limits is reported'),
  ),
  row(
    'a body too large to be inspected',
    ['inspected_body_bytes'],
    check('inspected'),
    check('inspected'),
    at('test/grpc/message/message.test.ts', 'sizes are bounded before memory is spent'),
  ),
  row(
    'a body that nests too deeply',
    ['json_depth', 'nesting_guard'],
    check('depth'),
    check('depth'),
    at('test/grpc/relay.test.ts', 'nesting deeper than upstream can bear never reaches it'),
  ),
  // Times.
  row(
    'a head that does not come',
    ['header_timeout_ms'],
    check('head time'),
    at('test/rest/http2/http2.test.ts', 'a connection on which nothing happens is told to go'),
    at('test/regressions/cve-2026-48854.test.ts', 'gRPC: a message that never ends is given up'),
  ),
  row(
    'a frame that does not come whole',
    ['header_timeout_ms'],
    none('HTTP/1 has no frames: see the head and the body'),
    at(CUT_SHORT, 'a frame has to come whole in time, DATA has the time of a body'),
    at(CUT_SHORT, 'a frame has to come whole in time, DATA has the time of a body'),
  ),
  row(
    'a body that stands still',
    ['body_idle_timeout_ms'],
    check('body time'),
    check('body time'),
    at('test/regressions/cve-2026-48854.test.ts', 'gRPC: a message that never ends is given up'),
  ),
  row('upstream gives no head', [], check('upstream head'), check('upstream head'), none(GRPC_OWN)),
  row(
    'upstream stops within its answer',
    ['stream_idle_timeout_ms'],
    check('upstream body'),
    check('upstream body'),
    none(GRPC_OWN),
  ),
  row(
    'operations of maintenance have a day',
    [],
    at('test/regressions/maintenance-limits.test.ts', "the limits of upstream's answer"),
    at('test/regressions/maintenance-limits.test.ts', 'what makes, recovers, moves or builds'),
    none(GRPC_OWN),
  ),
  row(
    'an idle connection ends',
    ['keep_alive_timeout_ms'],
    [
      at('test/rest/relay/relay.test.ts', 'an idle client connection ends, a busy one does not'),
      at(LISTENER, 'slow and silent clients are cut'),
    ],
    at('test/rest/http2/http2.test.ts', 'a connection on which nothing happens is told to go'),
    none('idle gRPC connections end by stream_idle_timeout_ms'),
  ),
  row(
    'a handshake that does not end',
    ['tls_handshake_timeout_ms'],
    at(LISTENER, 'slow and silent clients are cut'),
    at(LISTENER, 'slow and silent clients are cut'),
    at('test/hardening/tls.test.ts', 'T2: five hundred stalled handshakes'),
  ),
  // A client that takes none of its answer, by kind of answer.
  row(
    'a relayed answer is not taken',
    ['stream_idle_timeout_ms'],
    [
      at('test/rest/relay/relay.test.ts', 'a client that takes none of its answers is not read any further'),
      none('the lane streams'),
    ],
    none('the lane streams'),
    at('test/grpc/relay.test.ts', 'upstream data waits when an answer of our own has used the client window'),
  ),
  row(
    'a streamed answer is not taken',
    [],
    [none('the lane relays'), at(TAKES, 'a client that reads nothing loses its connection')],
    at(TAKES, 'a stream whose client grants nothing ends'),
    none('the lane relays'),
  ),
  row(
    'a whole answer is not taken',
    [],
    [none('filtered answers are the other lane\u2019s'), at(TAKES, 'a client that reads nothing loses its connection')],
    at(TAKES, 'a stream whose client grants nothing ends'),
    at('test/grpc/relay.test.ts', 'an answer of our own keeps the windows of the client'),
  ),
  row(
    'a refusal is not taken',
    [],
    [
      at('test/rest/relay/relay.test.ts', 'a client that takes none of its answers is not read any further'),
      at('test/rest/response/watch.test.ts', 'an answer of which nothing is taken'),
    ],
    at(TAKES, 'a stream whose client grants nothing ends'),
    at('test/grpc/relay.test.ts', 'credit of denied calls comes back'),
  ),
  row(
    'an answer about health is not taken',
    [],
    [
      none('open routes are the other lane\u2019s'),
      at('test/rest/response/watch.test.ts', 'an answer of which nothing is taken'),
    ],
    at(TAKES, 'a stream whose client grants nothing ends'),
    at('test/grpc/relay.test.ts', 'an answer of our own keeps the windows of the client'),
  ),
  // How much at once.
  row(
    'open exchanges of one connection',
    ['http2_max_concurrent_streams'],
    at(PIPELINES, 'open routes are asked one at a time'),
    at(HTTP2, 'one connection at its worst stays within what its limits add up to'),
    at(HTTP2, 'one connection at its worst stays within what its limits add up to'),
  ),
  row(
    'heads of the open streams of one connection',
    [],
    none('a connection of HTTP/1 has one open exchange: its head is the limit'),
    at(HEADS_TOGETHER, 'heads have room for each connection, and what finds none is refused'),
    at(HEADS_TOGETHER, 'heads have room for each connection, and what finds none is refused'),
  ),
  row(
    'connections',
    ['max_connections'],
    at('test/limits/limits.test.ts', 'connections over the limit'),
    at('test/limits/limits.test.ts', 'connections over the limit'),
    at('test/soak/connections.soak.ts', 'U13: 15 000 idle TLS connections'),
  ),
  row(
    'remembered tokens',
    ['token_cache_entries'],
    at('test/identity/authenticate.test.ts', 'remember'),
    at('test/identity/authenticate.test.ts', 'remember'),
    at('test/identity/authenticate.test.ts', 'remember'),
  ),
  // Fairness.
  row(
    'wrong credentials are slowed down',
    [],
    [at(FAIRNESS, 'H8: wrong keys'), at(PIPELINES, 'a guesser waits for each answer')],
    none('requests of several callers run side by side: see limits/credential-guessing.ts'),
    none('requests of several callers run side by side: see limits/credential-guessing.ts'),
  ),
  row(
    'refusals of a caller that goes on asking over its limit wait',
    [],
    at(PACED, 'wait on every lane, and come as they would have'),
    at(PACED, 'wait on every lane, and come as they would have'),
    at(PACED, 'wait on every lane, and come as they would have'),
  ),
  row(
    'refusals that wait leave the streams of a connection to others',
    [],
    none('a connection of HTTP/1.1 has one open exchange'),
    at(PACED, 'what waits holds up no other caller of its connection'),
    at(PACED, 'gRPC: what waits holds up no other caller of its connection'),
  ),
  row(
    'calls given up are counted for their caller',
    [],
    none('a client of HTTP/1 gives up its connection with its one request'),
    at(FAIRNESS, 'G5: what is given up before it is answered'),
    at(FAIRNESS, 'G5: what is given up before it is answered'),
  ),
  row(
    'what one piece holds is begun in turns',
    [],
    [at(FAIRNESS, 'a thousand requests in one piece'), at(PIPELINES, 'open routes are asked one at a time')],
    at(FAIRNESS, 'a thousand requests in one piece'),
    at(FAIRNESS, 'a thousand requests in one piece'),
  ),
];
