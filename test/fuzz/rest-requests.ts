import { gzipSync } from 'node:zlib';
import { Flag } from '../../src/http2/frames.ts';
import { encodeHeaders, type HeaderField } from '../../src/http2/hpack.ts';
import { bodyFrames, frame, headFrames, type Step } from './frame-scripts.ts';
import type { Choices } from './harness.ts';
import { HTTP1_ANSWERS } from './kept-http1-upstream.ts';

/** A kind of request, and what becomes of it. */
interface Kind {
  readonly method: string;
  readonly path: string;
  readonly key: string;
  readonly body?: string;
  /** Added headers. */
  readonly more?: readonly HeaderField[];
  /** May it be seen upstream? `part`: its head and a part of its body. */
  readonly sent: 'yes' | 'no' | 'part';
  /** Status of the gateway's own answer to the whole of it. */
  readonly status?: number;
  /** Its body may be as long as one likes. */
  readonly grows?: true;
}

const POINTS = '/collections/a/points';
const QUERY = `${POINTS}/query`;
const IN_A = '{"query":[1],"lookup_from":{"collection":"a"}}';
/** A query that names a collection which its caller may not read. */
export const IN_OTHER = '{"query":[1],"lookup_from":{"collection":"other"}}';
const DEEP = `${'['.repeat(100)}${']'.repeat(100)}`;

const KINDS: readonly (readonly [weight: number, kind: Kind])[] = [
  [6, { method: 'GET', path: '/collections/a', key: 'main', sent: 'yes' }],
  [2, { method: 'GET', path: '/collections/a?x=y', key: 'listA', sent: 'yes' }],
  [2, { method: 'GET', path: '/collections/a', key: 'slow', sent: 'yes' }],
  [2, { method: 'HEAD', path: '/collections/a', key: 'main', sent: 'yes' }],
  [1, { method: 'DELETE', path: '/collections/a', key: 'main', sent: 'yes' }],
  [2, { method: 'GET', path: '/collections//a', key: 'main', sent: 'yes' }],
  [1, { method: 'GET', path: '/nowhere', key: 'main', sent: 'yes' }],
  [6, { method: 'PUT', path: POINTS, key: 'main', body: '{"points":[]}', sent: 'yes', grows: true }],
  [3, { method: 'PUT', path: POINTS, key: 'slow', body: '{"points":[]}', sent: 'yes', grows: true }],
  [5, { method: 'PUT', path: POINTS, key: 'writeA', body: '{"points":[]}', sent: 'yes', grows: true }],
  [2, { method: 'PUT', path: POINTS, key: 'writeA', body: DEEP, sent: 'part', status: 400, grows: true }],
  [3, { method: 'PUT', path: POINTS, key: 'listA', body: '{"points":[]}', sent: 'no', status: 403, grows: true }],
  [2, { method: 'PUT', path: POINTS, key: 'wrong', body: '{"points":[]}', sent: 'no', status: 401, grows: true }],
  [2, { method: 'PUT', path: POINTS, key: '', body: '{"points":[]}', sent: 'no', status: 401, grows: true }],
  [2, { method: 'GET', path: '/collections/a', key: '', sent: 'no', status: 401 }],
  [2, { method: 'GET', path: '/collections/other', key: 'listA', sent: 'no', status: 403 }],
  [5, { method: 'POST', path: QUERY, key: 'listA', body: IN_A, sent: 'yes', grows: true }],
  [3, { method: 'POST', path: QUERY, key: 'listA', body: IN_OTHER, sent: 'no', status: 403, grows: true }],
  // Upstream cannot read it either, and refuses it.
  [2, { method: 'POST', path: QUERY, key: 'listA', body: '{"query":', sent: 'yes', grows: true }],
  [3, { method: 'POST', path: `${POINTS}/scroll`, key: 'read', body: '{}', sent: 'yes', grows: true }],
  [4, { method: 'GET', path: '/collections', key: 'listA', sent: 'yes' }],
  [2, { method: 'GET', path: '/collections', key: 'main', sent: 'yes' }],
  [2, { method: 'GET', path: '/healthz', key: '', sent: 'yes' }],
  [1, { method: 'GET', path: '/readyz', key: 'wrong', sent: 'yes' }],
  [
    2,
    {
      ...{ method: 'PUT', path: POINTS, key: 'main', body: '{"points":[]}', sent: 'yes', grows: true },
      more: [['expect', '100-continue']],
    },
  ],
  [
    1,
    {
      ...{ method: 'OPTIONS', path: POINTS, key: '', sent: 'no' },
      more: [
        ['origin', 'http://a'],
        ['access-control-request-method', 'PUT'],
      ],
    },
  ],
  [1, { method: 'GET', path: '/collections/a', key: 'main', sent: 'no', more: [['connection', 'close']] }],
  [1, { method: 'GET', path: '/collections/a', key: 'main', sent: 'no', more: [['X-Upper', 'a']] }],
  [1, { method: 'GET', path: '/collections/a', key: 'main', sent: 'no', more: [['x-line', 'a\r\nb']] }],
];

/** Bodies that are held to be inspected may have so many bytes. */
export const MOST_INSPECTED = 200_000;
/** Bytes of bodies: beyond what is measured whole, beyond what is inspected in place, and too many to be inspected. */
const LARGE_BYTES = [70_000, 140_000, 220_000] as const;

/** The body of a request: what stands in DATA frames of the script, and what is sent behind it as the windows allow. */
interface Body {
  readonly bytes: Buffer;
  readonly behind: number;
  readonly coded: boolean;
}

function bodyOf(choices: Choices, { body = '', grows }: Kind): Body {
  const text = Buffer.from(body);
  if (!grows) return { bytes: text, behind: 0, coded: false };
  if (choices.chance(0.15)) return { bytes: gzipSync(text), behind: 0, coded: true };
  const behind = choices.weighted([
    [6, 0],
    [2, choices.between(1, 20_000)],
    [1, choices.of(LARGE_BYTES)],
  ]);
  if (behind > 0) return { bytes: text, behind, coded: false };
  const blanks = choices.chance(0.3) ? choices.below(2000) : 0;
  return { bytes: Buffer.concat([text, Buffer.alloc(blanks, ' ')]), behind: 0, coded: false };
}

/** One request as steps, from its head to its end; some stop in the middle. */
export function requestFrames(choices: Choices, id: number): Step[] {
  const kind = choices.weighted(KINDS);
  const body = bodyOf(choices, kind);
  const size = body.bytes.length + body.behind;
  const length = choices.weighted([
    [8, 'right'],
    [2, 'none'],
    [1, 'wrong'],
  ] as const);
  const announced = length === 'wrong' ? Math.max(0, size + choices.of([-1, 1, 100])) : size;
  // What does not end as announced is never whole upstream.
  const sent = announced !== size && kind.sent === 'yes' ? 'part' : kind.sent;
  const isTooLarge = kind.path === QUERY && size > MOST_INSPECTED;
  const status = isTooLarge ? 413 : kind.status;
  const fields: HeaderField[] = [
    [':method', kind.method],
    [':scheme', 'http'],
    [':path', kind.path],
    [':authority', 'a'],
    ['x-id', `${choices.below(1_000_000_000)}-${id}`],
    ['x-n', sent],
    ['x-e', `${announced === size ? (status ?? '') : 'broken'}`],
    ['x-u', answerOf(choices)],
    ...(kind.key === '' ? [] : [['api-key', kind.key] as const]),
    ...(kind.more ?? []),
  ];
  const given = kind.body !== undefined || announced > 0;
  if (given && length !== 'none') fields.push(['content-length', String(announced)]);
  if (body.coded) fields.push(['content-encoding', 'gzip']);
  const bare = size === 0 && choices.chance(0.8);
  const steps = headFrames(choices, id, encodeHeaders(fields), bare);
  if (!bare) steps.push(...restOf(choices, id, body));
  return steps.slice(0, choices.chance(0.1) ? choices.between(1, steps.length) : steps.length);
}

function restOf(choices: Choices, id: number, { bytes, behind }: Body): Step[] {
  if (bytes.length === 0) return [{ what: `data ${id}`, frame: frame(0, Flag.END_STREAM, id, bytes).toString('hex') }];
  if (behind === 0) return bodyFrames(choices, id, bytes);
  const first = frame(0, 0, id, bytes).toString('hex');
  return [
    { what: `data ${id}`, frame: first },
    { upload: id, bytes: behind, frame: choices.of([100, 1000, 4096, 16_384]) },
  ];
}

function answerOf(choices: Choices): string {
  const bytes = choices.weighted([
    [6, choices.below(200)],
    [3, choices.below(70_000)],
    [1, 200_000],
  ]);
  return `${choices.of(HTTP1_ANSWERS)}-${bytes}`;
}
