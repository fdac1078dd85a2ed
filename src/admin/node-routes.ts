import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AdminAct } from '../audit/act.ts';
import { askedNode, NODE_REFUSALS } from '../observability/asked-change.ts';
import type { NodeDrained } from '../observability/operator.ts';
import { hasQuery, say } from './answers.ts';

/** Parts of the source that the routes of nodes use. */
export interface NodeSource {
  readonly drainNode: (request: unknown, out: boolean) => Promise<NodeDrained>;
  readonly acted: (act: Omit<AdminAct, 'at'>) => void;
}

/** Adds the routes that take nodes out and in. */
export function addNodeRoutes(app: FastifyInstance, source: NodeSource): void {
  const add = (path: string, method: AdminAct['method'], out: boolean): void => {
    app.post(path, { config: { guard: { token: 'needed', act: method } } }, async (request, reply) => {
      if (hasQuery(request)) return await say(reply, 400, 'query: unknown parameter; the node stands in the body');
      return await answer(source, { method, out }, request, reply);
    });
  };
  add('/-/nodes/drain', 'gateway_node_drain', true);
  add('/-/nodes/undrain', 'gateway_node_undrain', false);
}

async function answer(
  source: NodeSource,
  { method, out }: { readonly method: AdminAct['method']; readonly out: boolean },
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const act = { method, remote: request.ip, ...askedNode(request.body) };
  const changed = await source.drainNode(request.body, out).catch((error: unknown) => {
    source.acted({ ...act, result: 'failed', durationMs: reply.elapsedTime });
    throw error;
  });
  const { elapsedTime: durationMs } = reply;
  if (!changed.ok) {
    source.acted({ ...act, result: 'failed', durationMs });
    return await reply.code(NODE_REFUSALS[changed.why]).send({ ok: false, problems: changed.problems });
  }
  source.acted({ ...act, result: 'ok', durationMs });
  return await reply.send(changed);
}
