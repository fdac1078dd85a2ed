import { authorityOf } from '../request-target.ts';

/** A request head that is refused before anything is made of it. The connection ends with the answer. */
export interface HeadFault {
  readonly status: number;
  /** Bare text; empty where upstream says nothing either. */
  readonly message: string;
}

/** The parts of a head that are looked at here. */
export interface RequestHead {
  readonly httpVersionMajor: number;
  readonly httpVersionMinor: number;
  readonly target: string;
  /** HTTP/2: `:authority`, or `host` without one; empty = none. */
  readonly host: string;
  /** Without pseudo-headers. */
  readonly headers: readonly string[];
}

/** Upstream: everything else in the target is answered 400 without a body (Qdrant v1.18.3); `^` and a backtick too. */
const TARGET = /^[!-;=?-\]_a-~]+$/;
/** A name or an address, and a port (RFC 9110 section 7.2). */
const HOST = /^(?:[0-9A-Za-z._~-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?$/;
/** A name or an address, and a port, without user information. */
export function isHost(host: string): boolean {
  return HOST.test(host);
}

/** Is this target in origin form, of characters that upstream takes? */
export function isPlainTarget(target: string): boolean {
  return target.startsWith('/') && TARGET.test(target);
}

const LENGTH = /^[0-9]{1,15}$/;

/**
 * Checks what HTTP/1's parser lets through although two readers could disagree on it: transfer codings, lengths, hosts,
 * an absolute target, the number of headers. `undefined` = the head is sound.
 */
export function checkHead(head: RequestHead, maxHeaders: number): HeadFault | undefined {
  if (head.headers.length > maxHeaders * 2) return { status: 431, message: '' };
  if (!TARGET.test(head.target)) return { status: 400, message: '' };
  if (head.httpVersionMajor === 2) {
    if (!/^[/*]/.test(head.target)) return { status: 400, message: 'the path has to begin with a slash' };
    return head.host === '' || isHost(head.host) ? undefined : { status: 400, message: 'invalid host header' };
  }
  const seen = readFraming(head.headers);
  return checkFraming(seen, head) ?? checkHost(seen.hosts, head);
}

interface Framing {
  readonly hosts: string[];
  readonly lengths: string[];
  readonly codings: string[];
}

function readFraming(headers: readonly string[]): Framing {
  const framing: Framing = { hosts: [], lengths: [], codings: [] };
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (name.length !== 4 && name.length !== 14 && name.length !== 17) continue;
    const value = headers[i + 1] ?? '';
    switch (name.toLowerCase()) {
      case 'host':
        framing.hosts.push(value);
        break;
      case 'content-length':
        framing.lengths.push(value);
        break;
      case 'transfer-encoding':
        framing.codings.push(value);
        break;
    }
  }
  return framing;
}

function checkFraming({ lengths, codings }: Framing, head: RequestHead): HeadFault | undefined {
  const [length] = lengths;
  if (lengths.length > 1) return { status: 400, message: 'more than one content-length' };
  if (length !== undefined && !LENGTH.test(length)) return { status: 400, message: 'content-length is not a length' };
  const [coding] = codings;
  if (coding === undefined) return undefined;
  if (length !== undefined) return { status: 400, message: 'content-length beside transfer-encoding' };
  if (codings.length > 1 || coding.toLowerCase() !== 'chunked') {
    return { status: 400, message: 'transfer-encoding is not `chunked`' };
  }
  return head.httpVersionMinor === 1 ? undefined : { status: 400, message: 'transfer-encoding needs http/1.1' };
}

function checkHost(hosts: readonly string[], head: RequestHead): HeadFault | undefined {
  const [host] = hosts;
  if (hosts.length > 1) return { status: 400, message: 'more than one host' };
  // RFC 9112 section 3.2
  if (host === undefined && head.httpVersionMinor === 1) return { status: 400, message: '' };
  if (host !== undefined && !isHost(host)) return { status: 400, message: 'invalid host header' };
  const authority = authorityOf(head.target);
  if (authority === undefined || authority.toLowerCase() === hosts[0]?.toLowerCase()) return undefined;
  return { status: 400, message: 'the target names another host than the host header' };
}
