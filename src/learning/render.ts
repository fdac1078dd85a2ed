import { Document, isMap, isScalar, isSeq, type Node } from 'yaml';
import { accessOf, type Learned, type LearnedCaller, ruleFrom } from '../policy/learn.ts';
import { printableLines } from '../text/printable.ts';

const HEAD = [
  ' A policy that qdrant-gateway learned: what callers were seen to do, and nothing else. Read it before you use it.',
  ' A rule only takes away. Callers that are not named here are under no rule: what their key or token carries holds.',
  ' Operations that list collections show the ones named here.',
];

/** Renders the learned rules as a policy file, with comments on frequency and first use. */
export function renderLearned(learned: Learned): string {
  const known = learned.callers.flatMap((caller, at) => {
    const rule = ruleFrom(caller, `learned-${at + 1}`);
    return rule ? [{ caller, rule }] : [];
  });
  const rules = known.map(({ rule: { mode: _, ...rest } }) => rest);
  const document = new Document({ rules });
  document.commentBefore = HEAD.join('\n');
  const nodes = document.get('rules');
  if (isSeq(nodes)) for (const [at, { caller }] of known.entries()) annotate(nodes.items[at], caller);
  const rest = learned.callers.filter(({ caller }) => caller.kind !== 'principal').flatMap(describeStranger);
  if (learned.missed > 0)
    rest.push(` ${learned.missed} requests of further callers are not covered: there were too many callers.`);
  if (rest.length > 0) document.comment = rest.join('\n');
  // Values are in double quotes, where YAML reads the escapes back; elsewhere are comments.
  const text = document.toString({ lineWidth: 0, defaultStringType: 'QUOTE_DOUBLE', defaultKeyType: 'PLAIN' });
  return printableLines(text);
}

function annotate(node: unknown, learned: LearnedCaller): void {
  if (!isMap(node)) return;
  const { caller, collections, operations, overflow } = learned;
  if (caller.kind !== 'principal') return;
  const who = `${caller.keyId}, ${caller.subject === '' ? 'without a subject' : `subject ${JSON.stringify(caller.subject)}`}`;
  node.commentBefore = ` ${who}: ${describeTimes(learned)}${overflow ? '; more collections than are remembered' : ''}`;
  for (const name of ['keys', 'subjects']) {
    const list = node.get(name);
    if (isSeq(list)) list.flow = true;
  }
  const access: unknown = node.get('access');
  if (isSeq(access)) {
    for (const [at, item] of access.items.entries()) {
      if (isMap(item)) item.flow = true;
      comment(item, requests(collections[at]?.[1].count ?? 0));
    }
  }
  const list = node.get('operations');
  if (isSeq(list)) for (const [at, item] of list.items.entries()) comment(item, requests(operations[at]?.[1] ?? 0));
}

function comment(item: unknown, text: string): void {
  if (isMap(item) || isScalar(item)) (item as Node).comment = ` ${text}`;
}

/** A caller without a key can have no rule: the comment names the claims that its token would need. */
function describeStranger(learned: LearnedCaller): string[] {
  const access = accessOf(learned);
  const { caller } = learned;
  if (caller.kind !== 'stranger') return [];
  const who =
    caller.code === 'missing_credential' ? 'Callers without a credential' : 'Callers whose credential is not accepted';
  return [
    ` ${who} (${caller.code}): ${describeTimes(learned)}. They are refused once the policy is enforced. They would need a token with`,
    `   access: ${JSON.stringify(access)}`,
    `   for ${learned.operations.map(([name, count]) => `${name} (${count})`).join(', ')}`,
  ];
}

function describeTimes({ count, first, last }: LearnedCaller): string {
  return `${requests(count)}, ${new Date(first).toISOString()} to ${new Date(last).toISOString()}`;
}

function requests(count: number): string {
  return count === 1 ? '1 request' : `${count} requests`;
}
