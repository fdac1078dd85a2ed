import { suggest } from '../config/nearest.ts';
import type { Fleet } from '../gateway/fleet.ts';
import { nodesOf, stateOfAll } from '../observability/nodes-of.ts';
import type { NodeDrained, Operator } from '../observability/operator.ts';

type Drainer = Pick<Operator, 'drainNode' | 'drainedNodes'>;

/** Drains nodes in every process, one request after the other. Forgets them with the process. */
export function createDrainer(fleet: Pick<Fleet, 'snapshots' | 'drainNodes'>): Drainer {
  let drained: ReadonlySet<string> = new Set();
  let last: Promise<unknown> = Promise.resolve();

  const change = async (name: string, out: boolean): Promise<NodeDrained> => {
    const nodes = nodesOf(await fleet.snapshots());
    const names = nodes.map(([known]) => known);
    if (!names.includes(name) && (out || !drained.has(name))) return unknown(name, names);
    const takes = nodes.filter(([other, states]) => other !== name && ['up', 'rising'].includes(stateOfAll(states)));
    // INVARIANT: requests would go on to it, as there is no other: it is not said to be out.
    if (out && takes.length === 0) {
      const problem = `\`${name}\` is the last node that takes requests: the others are drained or left out, or there are none`;
      return { ok: false, why: 'last', problems: [problem] };
    }
    const next = new Set(drained);
    if (out) next.add(name);
    else next.delete(name);
    drained = next;
    await fleet.drainNodes([...next]);
    return { ok: true, node: name, drained: out };
  };

  return {
    drainedNodes: () => [...drained],
    async drainNode(request, out) {
      const name = nameIn(request);
      if (name === undefined) {
        return { ok: false, why: 'invalid', problems: ['body: must be `{"node": NAME}` with the name of a node'] };
      }
      const changed = last.then(() => change(name, out));
      last = changed.catch(() => undefined);
      return await changed;
    },
  };
}

function nameIn(request: unknown): string | undefined {
  if (typeof request !== 'object' || request === null || Array.isArray(request)) return undefined;
  const { node, ...others } = request as { node?: unknown };
  return typeof node === 'string' && Object.keys(others).length === 0 ? node : undefined;
}

function unknown(name: string, names: readonly string[]): NodeDrained {
  if (names.length === 0) {
    return {
      ok: false,
      why: 'unknown',
      problems: ['there are no nodes: one address is configured, or dns gives none'],
    };
  }
  return { ok: false, why: 'unknown', problems: [`no node has this name, ${suggest(name, names)}`] };
}
