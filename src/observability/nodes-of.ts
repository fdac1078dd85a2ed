import { type GatewaySnapshot, NODE_STATES, type NodeFigures } from './snapshot.ts';

/** The nodes of all processes by name, in the order of the list: each with what every process says of it. */
export function nodesOf(snapshots: readonly GatewaySnapshot[]): readonly (readonly [string, readonly NodeFigures[]])[] {
  const byName = new Map<string, NodeFigures[]>();
  for (const node of snapshots.flatMap(({ nodes }) => nodes ?? [])) {
    const known = byName.get(node.name);
    if (known) known.push(node);
    else byName.set(node.name, [node]);
  }
  return [...byName];
}

/** The state of a node for all processes: the worst that one of them sees. */
export function stateOfAll(nodes: readonly NodeFigures[]): NodeFigures['state'] {
  const worst = Math.max(0, ...nodes.map(({ state }) => NODE_STATES.indexOf(state)));
  return NODE_STATES[worst] ?? 'up';
}
