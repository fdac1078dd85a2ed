import type { FakeQdrantOptions } from '../fake-qdrant/main.ts';
import { loadCaseFile } from './cells.ts';

interface Surface {
  readonly missing: readonly string[];
  readonly unrecorded: readonly string[];
  readonly served: Readonly<Record<string, readonly string[]>>;
  /** The release that brought the route, for those that came before the recorded one. */
  readonly since: Readonly<Record<string, string>>;
}

/** What was recorded of an old release. */
export interface OldRelease {
  readonly release: string;
  /** Routes as `METHOD /pattern`. */
  readonly rest: Surface;
  /** Methods as `/package.Service/Method`. */
  readonly grpc: Surface;
  /** Status by raw target of a GET. */
  readonly targets: Readonly<Record<string, number>>;
  readonly locks: object;
  /** `result` by details level; 2 = 2 and above. */
  readonly telemetry: Readonly<Record<'0' | '1' | '2', object>>;
}

/** Qdrant v1.8.4 as upstream. */
export const OLD_RELEASE: OldRelease = loadCaseFile<OldRelease>('upstream-1.8.json');

/** The routes (or methods) an old release does not have. */
export function lackingIn(release: string, { missing, unrecorded, since }: Surface): ReadonlySet<string> {
  const later = Object.entries(since).filter(([, first]) => isBefore(release, first));
  return new Set([...missing, ...unrecorded, ...later.map(([route]) => route)]);
}

function isBefore(release: string, other: string): boolean {
  const numbers = other.split('.').map(Number);
  const own = release.split('.').map(Number);
  const at = numbers.findIndex((number, i) => number !== own[i]);
  return at >= 0 && (own[at] ?? 0) < (numbers[at] ?? 0);
}

/**
 * The stand-in as an old release: routes that came later answer 404 with an empty body (UNIMPLEMENTED on gRPC), paths are
 * not normalised, telemetry has its old shape and `/locks` is there.
 */
export function oldQdrant(release: string = OLD_RELEASE.release): FakeQdrantOptions {
  const routes = lackingIn(release, OLD_RELEASE.rest);
  const lacking = [...routes].map(toPattern);
  const having = Object.values(OLD_RELEASE.rest.served)
    .flat()
    .filter((route) => isLiteral(route) && !routes.has(route));
  const unknown = lackingIn(release, OLD_RELEASE.grpc);
  return {
    version: release,
    onRest(request, response) {
      const { method = '', url = '' } = request;
      const [path = '', query = ''] = url.split('?', 2);
      const json = (body: object) => response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
      const route = `${method} ${path}`;
      const gone = !having.includes(route) && lacking.some((pattern) => pattern.test(route));
      if (gone || path.includes('//') || (path.endsWith('/') && path !== '/')) response.writeHead(404).end();
      else if (path === '/locks') json(OLD_RELEASE.locks);
      else if (path === '/telemetry') json({ result: telemetryAt(query), status: 'ok', time: 0.5 });
      else return false;
      request.resume();
      return true;
    },
    onGrpc(stream, { ':path': path = '' }) {
      if (!unknown.has(path)) return false;
      stream.resume();
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' }, { endStream: true });
      return true;
    },
  };
}

function telemetryAt(query: string): object {
  const level = Number(new URLSearchParams(query).get('details_level') ?? '0');
  const { telemetry } = OLD_RELEASE;
  return level >= 2 ? telemetry[2] : level === 1 ? telemetry[1] : telemetry[0];
}

/** A route with a literal goes before one with a parameter. */
function isLiteral(route: string): boolean {
  return !route.includes('{');
}

function toPattern(route: string): RegExp {
  const text = route.replaceAll(/\{tail\}|\{\w+\}/g, (name) => (name === '{tail}' ? '.+' : '[^/]+'));
  return new RegExp(`^${text}$`);
}
