import type { Dispatcher } from 'undici';
import { type FaultReport, Guard } from '../../lifetime/guard.ts';
import { type Denial, UPSTREAM_UNREACHABLE } from '../../policy/denial.ts';
import { noAnswer, type RestUpstream, toNodeFailure, type UpstreamRequest } from '../http.ts';
import type { Node } from './node.ts';
import type { NodeSet } from './node-set.ts';
import { NodeRoute } from './route.ts';

type Controller = Dispatcher.DispatchController;

/** The gateway's own questions, which change nothing: any node, and once more to another. */
const ANY = { sticky: false, asked: undefined, affinity: undefined, client: '', sees: true };

/**
 * The connections to the REST ports of several nodes: each node has its own.
 *
 * @param open makes those of one node; nothing is connected yet @param report of exceptions
 */
export function createNodesUpstream(
  nodes: NodeSet,
  open: (node: Node) => RestUpstream,
  report: FaultReport,
): RestUpstream {
  const opened = new Map<Node, RestUpstream>();
  const attempts = new Set<Attempt>();
  const of = (node: Node): RestUpstream => {
    const known = opened.get(node);
    if (known) return known;
    for (const [other, upstream] of opened) {
      if (other.isMember || upstream.size() > 0) continue;
      opened.delete(other);
      void upstream.close();
    }
    const made = open(node);
    opened.set(node, made);
    return made;
  };
  const all = (): RestUpstream[] => [...opened.values()];
  return {
    look() {
      for (const attempt of attempts) attempt.look();
    },
    size: () => all().reduce((sum, upstream) => sum + upstream.size(), 0),
    send(request, handler) {
      const route = request.route ?? new NodeRoute(nodes, ANY, true);
      return new Attempt({ request, handler, route, of, attempts }, report).begin();
    },
    close: async () => void (await Promise.all(all().map((upstream) => upstream.close()))),
    destroy: async () => void (await Promise.all(all().map((upstream) => upstream.destroy()))),
  };
}

/** The parts of an attempt. */
interface AttemptParts {
  readonly request: UpstreamRequest;
  readonly handler: Dispatcher.DispatchHandler;
  readonly route: NodeRoute;
  readonly of: (node: Node) => RestUpstream;
  /** Those that wait for an answer, and may be sent again. */
  readonly attempts: Set<Attempt>;
}

/** One request on its way to a node, or to a second one. undici enters through its guard: an exception ends the request. */
class Attempt implements Dispatcher.DispatchHandler {
  readonly #parts: AttemptParts;
  #controller: Controller | undefined;
  /** Bytes may have gone out to the present node, and its answer has begun. */
  #sent = false;
  #heard = false;
  /** Gives back the share of the present node; see `Share`. */
  #leave: (() => void) | undefined;
  /** The body as it is sent again. */
  #again: Pick<UpstreamRequest, 'body'> | undefined;
  readonly onRequestStart: (controller: Controller, context: unknown) => void;
  readonly onResponseStart: (controller: Controller, status: number) => void;
  readonly onResponseData: (controller: Controller, chunk: Buffer) => void;
  readonly onResponseEnd: (controller: Controller) => void;
  readonly onResponseError: (controller: Controller, error: Error) => void;

  constructor(parts: AttemptParts, report: FaultReport) {
    this.#parts = parts;
    const { handler, route, attempts } = parts;
    const owner = { fail: (error: unknown) => this.#broken(error), cut: () => undefined };
    const guard = new Guard(owner, 'rest_upstream', report);
    this.onRequestStart = guard.entry((controller: Controller, context: unknown) => {
      this.#sent = true;
      this.#controller = controller;
      handler.onRequestStart?.(controller, context);
    });
    this.onResponseStart = guard.entry((controller: Controller, status: number) => {
      this.#heard = true;
      attempts.delete(this);
      route.answered();
      handler.onResponseStart?.(controller, status, {});
    });
    this.onResponseData = guard.entry((controller: Controller, chunk: Buffer) => {
      handler.onResponseData?.(controller, chunk);
    });
    this.onResponseEnd = guard.entry((controller: Controller) => {
      route.end();
      handler.onResponseEnd?.(controller, {});
    });
    this.onResponseError = guard.entry((controller: Controller, error: Error) => this.#failed(controller, error));
  }

  /** A request that waits at an ejected node is given up there. */
  look(): void {
    const { request, route } = this.#parts;
    if (!this.#sent || !route.waitsInVain) return;
    // A request whose body is not kept stays where it is.
    if (!isKept(request.body) && !request.again?.()) return;
    this.#parts.attempts.delete(this);
    this.#controller?.abort(noAnswer());
  }

  #end(): void {
    this.#parts.route.end();
    this.#parts.attempts.delete(this);
  }

  /** INVARIANT: a share of a node's connections goes back to that node, also where another node answers in the end. */
  #entered(leave: () => void): void {
    this.#leave = leave;
    this.#parts.request.share?.entered(() => this.#leaveShare());
  }

  #leaveShare(): void {
    const leave = this.#leave;
    this.#leave = undefined;
    leave?.();
  }

  begin(): Denial | undefined {
    const node = this.#parts.route.next();
    return 'kind' in node ? node : this.#send(node);
  }

  #send(node: Node): Denial | undefined {
    this.#sent = false;
    if (this.#parts.route.isRepeatable) this.#parts.attempts.add(this);
    const { request } = this.#parts;
    const share = request.share && { ...request.share, entered: (leave: () => void) => this.#entered(leave) };
    const refused = this.#parts.of(node).send({ ...request, ...this.#again, share }, this);
    if (refused) this.#end();
    return refused;
  }

  #failed(controller: Controller, error: Error): void {
    const next = this.#next(error);
    if (!('kind' in next)) this.#leaveShare();
    if (!('kind' in next) && !this.#send(next)) return;
    this.#end();
    this.#parts.handler.onResponseError?.(controller, error);
  }

  /** The node that has the request next, or a denial. */
  #next(error: Error): Node | Denial {
    const { request, route } = this.#parts;
    const failure = this.#heard ? undefined : toNodeFailure(error);
    if (!failure) return UPSTREAM_UNREACHABLE;
    if (this.#sent && !isKept(request.body)) {
      const body = request.again?.();
      // Told all the same: the node has failed.
      if (!body) return route.lost(failure);
      this.#again = { body };
    }
    return route.failed(failure, this.#sent);
  }

  #broken(error: unknown): void {
    this.#end();
    this.#controller?.abort(error instanceof Error ? error : new Error('internal fault'));
  }
}

/** Is the body still whole, although it was sent? */
function isKept(body: UpstreamRequest['body']): boolean {
  return body === null || typeof body === 'string' || Buffer.isBuffer(body);
}
