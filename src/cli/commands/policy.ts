import { declareCommand } from '../frame/declare.ts';

const POLICY = {
  kind: 'value',
  value: 'file',
  text: 'a policy file in the place of the configured one',
} as const;

const ONLINE = {
  kind: 'switch',
  text: 'read the named keys in Redis, too',
} as const;

/** `policy test`. */
export const policyTestCommand = declareCommand({
  name: 'policy test',
  group: 'Ask the policy:',
  summary: 'run cases: a caller, a request and the expected verdict each',
  details: 'The guide explaining.md shows the form of a file. The steps of the gateway decide, without Qdrant.',
  args: [{ name: 'files', text: 'YAML files with `cases`', variadic: true }],
  options: {
    policy: POLICY,
    online: ONLINE,
    format: {
      kind: 'value',
      value: 'form',
      choices: ['text', 'tap', 'junit'],
      fallback: 'text',
      text: 'form of the results',
    },
    coverage: { kind: 'switch', text: 'tell which rules, grants, guards, limits and tenants decided a case' },
  },
  config: true,
  examples: [
    ['qdrant-gateway policy test cases.yaml --coverage', 'what is tested, and what is not'],
    ['qdrant-gateway policy test cases.yaml --policy next.yaml --format junit > results.xml', 'for a CI system'],
  ],
  exits: { 4: 'a case has failed' },
  async run({ args, flags, now }) {
    const { testPolicy } = await import('../ask/policy-test.ts');
    return testPolicy(args, flags, now);
  },
});

/** `policy diff`. */
export const policyDiffCommand = declareCommand({
  name: 'policy diff',
  group: 'Ask the policy:',
  summary: 'tell every verdict that changes from one policy to another',
  details:
    'Exhaustive: all callers, operations and classes of collections are asked. Keys and options are those of the configuration.',
  args: [
    { name: 'old', text: 'policy file' },
    { name: 'new', text: 'policy file' },
  ],
  options: {
    online: ONLINE,
    format: {
      kind: 'value',
      value: 'form',
      choices: ['text', 'markdown'],
      fallback: 'text',
      text: 'markdown is for the description of a pull request',
    },
  },
  config: true,
  examples: [
    ['qdrant-gateway policy diff policy.yaml next.yaml', 'what will this change do?'],
    ['qdrant-gateway policy diff old.yaml new.yaml --format markdown > diff.md', 'for a pull request'],
  ],
  exits: { 4: 'a verdict changes' },
  async run({ args, flags, now }) {
    const { diffPolicies } = await import('../ask/policy-diff.ts');
    return diffPolicies(args, flags, now);
  },
});

/** `policy replay`. */
export const policyReplayCommand = declareCommand({
  name: 'policy replay',
  group: 'Ask the policy:',
  summary: 'tell which past requests of the audit log another policy would change',
  details:
    'Compared are the configured policy and the new one. The log does not tell the access of a token: where that matters, a change is marked with "perhaps".',
  args: [{ name: 'audit', text: 'audit files; a folder stands for all audit files in it', variadic: true }],
  options: { policy: { ...POLICY, required: true, text: 'the new policy file' }, online: ONLINE },
  config: true,
  examples: [['qdrant-gateway policy replay storage/audit --policy next.yaml', 'who would notice this change?']],
  exits: { 4: 'the verdict on a past request changes' },
  async run({ args, flags, now }) {
    const { replayPolicy } = await import('../ask/policy-replay.ts');
    return replayPolicy(args, flags, now);
  },
});
