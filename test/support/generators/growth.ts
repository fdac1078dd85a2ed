import { createInspector } from '../../../src/grpc/message/inspect.ts';
import { resolveGrpc } from '../../../src/grpc/resolve.ts';
import { inspectBody } from '../../../src/rest/body/inspect.ts';
import { createResolver } from '../../../src/rest/resolve.ts';
import { framed } from '../clients/h2-client.ts';

/** An input that an attacker would choose to keep a reader busy, at any size. */
export interface Growing {
  readonly what: string;
  /** Makes the input of about `bytes` bytes and gives the step to be timed. */
  readonly prepare: (bytes: number) => () => unknown;
}

const resolve = createResolver({ staticContent: true });

function path(what: string, unit: string, before = '/collections/'): Growing {
  return {
    what: `resolve: ${what}`,
    prepare: (bytes) => {
      const target = before + unit.repeat(Math.ceil(bytes / unit.length));
      return () => resolve('GET', target);
    },
  };
}

function body(what: string, before: string, unit: string, behind: string): Growing {
  return {
    what: `json: ${what}`,
    prepare: (bytes) => {
      const text = Buffer.from(before + unit.repeat(Math.ceil(bytes / unit.length)) + behind);
      return () => inspectBody(before.includes('"searches"') ? 'query-batch' : 'query-groups', text, { maxDepth: 64 });
    },
  };
}

const GROUPS = resolveGrpc('/qdrant.Points/QueryGroups').operation;

function message(what: string, unitAt: (index: number) => Buffer, piece = Number.POSITIVE_INFINITY): Growing {
  return {
    what: `protobuf: ${what}`,
    prepare: (bytes) => {
      const units: Buffer[] = [Buffer.from('0a0161', 'hex')];
      for (let size = 0; size < bytes; size += units.at(-1)?.length ?? bytes) units.push(unitAt(units.length));
      const stream = framed(Buffer.concat(units));
      return () => {
        const inspector = createInspector(GROUPS, { encoding: undefined });
        if (piece > stream.length) inspector.push(stream);
        else for (let at = 0; at < stream.length; at += piece) inspector.push(stream.subarray(at, at + piece));
        inspector.end();
        return inspector.found({ kind: 'list', modes: new Map() });
      };
    },
  };
}

function delimited(number: number, content: Buffer): Buffer {
  const bytes: number[] = [];
  for (const value of [number * 8 + 2, content.length]) {
    let rest = value;
    for (; rest > 127; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
    bytes.push(rest);
  }
  return Buffer.concat([Buffer.from(bytes), content]);
}

/** A prefetch with a lookup, around another prefetch with one of its own. */
function prefetch(outer: string, inner: string): Buffer {
  const lookup = (name: string): Buffer => delimited(8, delimited(1, Buffer.from(name)));
  return delimited(2, Buffer.concat([delimited(1, lookup(inner)), lookup(outer)]));
}

function nested(depth: number): Buffer {
  let bytes: Buffer = Buffer.alloc(0);
  for (let level = 0; level < depth; level += 1) bytes = delimited(1, bytes);
  return delimited(2, bytes);
}

/** Every family of inputs; the time of each has to grow with its size and no faster. */
export const GROWING: readonly Growing[] = [
  path('slashes', '/'),
  path('segments', 'a/'),
  path('escapes', '%C3%A9'),
  path('escaped slashes', '%2F'),
  path('one long name', 'a'),
  path('a long name of pairs', '%F0%9F%98%80'),
  path('a long query', '&a=?', '/collections?'),
  path('a deep file of the web interface', 'a/', '/dashboard/'),
  path('an absolute target', 'a:', 'http://'),
  body('white space', '{"limit":', ' \n\t', '1}'),
  body('a long string', '{"limit":"', 'a', '"}'),
  body('escapes', '{"limit":"', '\\u00e9\\n', '"}'),
  body('a long name of escapes', '{"with_lookup":"', '\\u00e9', '"}'),
  body('a long number', '{"limit":', '1', '}'),
  body('unknown keys', '{', '"a":[{}],', '"b":1}'),
  body('escaped keys', '{', '"\\u0061bcdefgh":1,', '"b":1}'),
  body('prefetches', '{"prefetch":[', '{"lookup_from":{"collection":"a"}},', '{}]}'),
  body('deep prefetches', '{"prefetch":[', `${'{"prefetch":'.repeat(20)}{}${'}'.repeat(20)},`, '{}]}'),
  body('searches', '{"searches":[', '{"lookup_from":{"collection":"a"}},', '{}]}'),
  body('lines before a fault', '{"limit":', '\n', '?}'),
  body('arrays that never end', '{"limit":', '[', ''),
  message('unknown fields', () => Buffer.from('c23e0161', 'hex')),
  message('unknown varints of ten bytes', () => Buffer.from('c03e80808080808080808001', 'hex')),
  message('groups', () => Buffer.from('c33ec43e', 'hex')),
  message('nested groups', () => Buffer.concat([Buffer.alloc(198, 'c33e', 'hex'), Buffer.alloc(198, 'c43e', 'hex')])),
  message('the same names', () => prefetch('a', 'b')),
  message('names in turn', (index) => prefetch(`o${index % 500}`, `i${index % 500}`)),
  message('names against the order', (index) => prefetch(`n${index % 500}`, `n${(index * 7) % 500}`)),
  message('nested prefetches', () => nested(98)),
  message('the same lookup in parts', () => delimited(10, delimited(1, Buffer.from('a')))),
  message('main names', () => delimited(1, Buffer.alloc(200, 'a'))),
  message('names byte by byte', () => prefetch('a'.repeat(200), 'b'.repeat(200)), 1),
  message('groups byte by byte', () => Buffer.from('c33ec43e', 'hex'), 1),
];
