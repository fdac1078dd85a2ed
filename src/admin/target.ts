import type { IncomingMessage } from 'node:http';

/** The beginning of a target in absolute form (RFC 9112, 3.2.2), with its authority; path and query follow. */
const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;

/**
 * The target as the routes read it: in origin-form, and readable. The path of one whose escapes cannot be read is taken letter by letter, so that
 * it is the path of no page, and is checked and answered as any other.
 */
export function routedTarget({ url = '/' }: Pick<IncomingMessage, 'url'>): string {
  const [before] = ABSOLUTE.exec(url) ?? [];
  const rest = url.slice(before?.length ?? 0);
  const target = before === undefined || rest.startsWith('/') ? rest : `/${rest}`;
  const at = target.indexOf('?');
  const path = at < 0 ? target : target.slice(0, at);
  return isReadable(path) ? target : path.replaceAll('%', '%25') + target.slice(path.length);
}

function isReadable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

/** False = the target is in absolute-form, and names another authority than `Host`. @param target as it was received */
export function isOfHost(target: string, host: string | undefined): boolean {
  const authority = ABSOLUTE.exec(target)?.[1];
  return authority === undefined || authority.toLowerCase() === host?.toLowerCase();
}
