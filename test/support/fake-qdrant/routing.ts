import { Fault } from './fault.ts';
import type { Json } from './json.ts';
import type { Store } from './store.ts';

/** How a route treats the request body: leaves it, reads JSON of any content type, insists on the type, or drains it. */
export type BodyMode = 'none' | 'json' | 'json-strict' | 'drain';

/** What a REST handler gets: decoded path parameters in order, query parameters, parsed body (null when there is none). */
export type RestCall = {
  store: Store;
  version: string;
  params: string[];
  query: Map<string, string>;
  body: Json;
  method: string;
  headers: NodeJS.Dict<string | string[]>;
};

/** What a REST handler gives: a result for the usual envelope, or a complete answer. */
export type RestAnswer =
  | { result: Json; status?: number }
  | { status: number; type?: string; body: string | Buffer; headers?: Record<string, string> };

/** One REST route. `{}` in the path stands for one parameter. */
export type RestRoute = { method: string; path: string; body: BodyMode; handle: (call: RestCall) => RestAnswer };

type Node = { literals: Map<string, Node>; parameter: Node | undefined; routes: Map<string, RestRoute> };

/** A raw request target in parts. `segments` are decoded; `literals` keep %2F, %25 and %2B as Qdrant's router does. */
export type Target = { segments: string[]; literals: string[]; query: Map<string, string> };

/** Splits a raw target: absolute form reduced, runs of slashes joined, a trailing one cut, query and fragment apart. */
export function splitTarget(target: string): Target {
  const relative = target.replace(/^https?:\/\/[^/?#]*/i, '');
  const withoutFragment = relative.split('#', 1)[0] ?? '';
  const mark = withoutFragment.indexOf('?');
  const path = mark < 0 ? withoutFragment : withoutFragment.slice(0, mark);
  const raw = path.split('/').filter((segment) => segment !== '');
  const query = new Map<string, string>();
  for (const pair of mark < 0 ? [] : withoutFragment.slice(mark + 1).split('&')) {
    const [name, value] = pair.split('=', 2);
    query.set(decoded(name ?? ''), decoded(value ?? ''));
  }
  return { segments: raw.map(decoded), literals: raw.map(decodedLiteral), query };
}

function decoded(text: string): string {
  try {
    return text.includes('%') ? decodeURIComponent(text) : text;
  } catch {
    return text;
  }
}

function decodedLiteral(text: string): string {
  return /%(?:2f|25|2b)/i.test(text) ? text : decoded(text);
}

/** Finds the route of a method and a split path. */
export class Router {
  readonly #root: Node = newNode();

  constructor(routes: RestRoute[]) {
    for (const route of routes) {
      let node = this.#root;
      for (const part of route.path.split('/').filter((segment) => segment !== '')) {
        node = part === '{}' ? parameterOf(node) : literalOf(node, part);
      }
      node.routes.set(route.method, route);
    }
  }

  /** The route and its parameters, or undefined where no pattern of this method fits. */
  find(method: string, target: Target): { route: RestRoute; params: string[] } | undefined {
    const params: string[] = [];
    const walk = (node: Node, at: number): RestRoute | undefined => {
      const literal = target.literals[at];
      const segment = target.segments[at];
      if (literal === undefined || segment === undefined) {
        return node.routes.get(method);
      }
      const next = node.literals.get(literal);
      const found = next === undefined ? undefined : walk(next, at + 1);
      if (found !== undefined || node.parameter === undefined) {
        return found;
      }
      params.push(segment);
      const behind = walk(node.parameter, at + 1);
      if (behind === undefined) {
        params.pop();
      }
      return behind;
    };
    const route = walk(this.#root, 0);
    return route === undefined ? undefined : { route, params };
  }
}

function newNode(): Node {
  return { literals: new Map(), parameter: undefined, routes: new Map() };
}

function literalOf(node: Node, part: string): Node {
  const next = node.literals.get(part) ?? newNode();
  node.literals.set(part, next);
  return next;
}

function parameterOf(node: Node): Node {
  node.parameter ??= newNode();
  return node.parameter;
}

/** The route with the shard in its path checked. Upstream: v1.18.3 answers 400 where it is no number. */
export function withNumberedShard(given: RestRoute): RestRoute {
  if (!given.path.startsWith('/collections/{}/shards/{}/')) {
    return given;
  }
  const handle = (call: RestCall): RestAnswer => {
    if (!/^\d+$/.test(call.params[1] ?? '')) {
      throw new Fault('bad-input', 'Format error in path parameters: can not parse shard id');
    }
    return given.handle(call);
  };
  return { ...given, handle };
}
