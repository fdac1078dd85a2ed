import type { Node } from './node.ts';

/* Choices among nodes. Pure. */

/**
 * Power of two choices: of two nodes drawn by weight, the one with fewer requests under way for its weight. With one node it
 * is that one.
 *
 * @param random 0 to 1, without 1
 */
export function fewestOpen(nodes: readonly Node[], random: () => number): Node | undefined {
  if (nodes.length < 2) return nodes[0];
  const first = drawn(nodes, undefined, random);
  const second = drawn(nodes, first, random);
  if (!first || !second) return first ?? second;
  return second.open / second.share < first.open / first.share ? second : first;
}

function drawn(nodes: readonly Node[], except: Node | undefined, random: () => number): Node | undefined {
  let all = 0;
  for (const node of nodes) if (node !== except) all += node.share;
  let left = random() * all;
  let last: Node | undefined;
  for (const node of nodes) {
    if (node === except) continue;
    last = node;
    left -= node.share;
    if (left < 0) return node;
  }
  return last;
}

/**
 * The node of a key: the same as long as the node is there, and only the keys of a node that goes move (rendezvous hashing,
 * weighted).
 *
 * @param key its hash, 32 bits
 */
export function byKey(nodes: readonly Node[], key: number): Node | undefined {
  let best: Node | undefined;
  let most = 0;
  for (const node of nodes) {
    const score = node.weight / -Math.log((mixed(key ^ node.hash) + 0.5) / 2 ** 32);
    if (best && score <= most) continue;
    best = node;
    most = score;
  }
  return best;
}

/** Finalizer of MurmurHash3, 32 bits. */
function mixed(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
