import { declareCommand } from '../frame/declare.ts';

const FILES = {
  name: 'files',
  text: 'audit files; a folder stands for all audit files in it',
  variadic: true,
} as const;

/** `audit verify`. */
export const auditVerifyCommand = declareCommand({
  name: 'audit verify',
  group: 'Audit log:',
  summary: 'check the hash chain of audit files',
  args: [FILES],
  options: {
    from: {
      kind: 'list',
      value: 'hash',
      text: 'hash before the first line, or `start` for a complete chain; repeat for each chain',
    },
    to: {
      kind: 'list',
      value: 'hash',
      text: 'hash that the chain must contain, stored outside of the files; repeat for each chain',
    },
  },
  examples: [['qdrant-gateway audit verify --to HASH storage/audit', 'does all hold, and is that hash reached?']],
  exits: {
    1: 'the chain is broken',
    3: 'the lines hold, but an end of the chain is not anchored by `--from` or `--to`',
  },
  async run({ args, flags, output, json }) {
    const { verifyAudit } = await import('../audit.ts');
    return verifyAudit(args, flags, output, json);
  },
});

/** `audit head`. */
export const auditHeadCommand = declareCommand({
  name: 'audit head',
  group: 'Audit log:',
  summary: 'print the last hash of each chain, to be stored outside of the files',
  args: [FILES],
  examples: [['qdrant-gateway audit head storage/audit', 'the newest hash of each chain']],
  async run({ args, output }) {
    const { showHeads } = await import('../audit.ts');
    return showHeads(args, output);
  },
});

const FILTERS = {
  since: { kind: 'value', value: 'time', text: 'not before: 15m, 2h, 7d ago, or an ISO time' },
  until: { kind: 'value', value: 'time', text: 'before this time, in the same form' },
  result: { kind: 'value', value: 'result', choices: ['ok', 'denied'], text: 'only these' },
  code: { kind: 'value', value: 'code', text: 'this code of a refusal' },
  operation: { kind: 'value', value: 'name', text: 'this operation; `points.*` is a prefix, as in the options below' },
  collection: { kind: 'value', value: 'name', text: 'requests that name this collection' },
  key: { kind: 'value', value: 'id', text: 'this key' },
  subject: { kind: 'value', value: 'text', text: 'this subject' },
  remote: { kind: 'value', value: 'address', text: 'this address' },
  rule: { kind: 'value', value: 'id', text: 'this rule, guard or limit' },
  event: { kind: 'value', value: 'code', text: 'this kind of event' },
  id: { kind: 'value', value: 'id', text: 'the entry with this id, or the request with this `tracing_id`' },
} as const;

/** `audit query`. */
export const auditQueryCommand = declareCommand({
  name: 'audit query',
  group: 'Audit log:',
  summary: 'show the entries of audit files that fit, the newest last',
  args: [FILES],
  options: {
    ...FILTERS,
    limit: { kind: 'value', value: 'number', short: 'n', fallback: '100', text: 'most entries, the newest ones' },
  },
  examples: [
    ['qdrant-gateway audit query --result denied --since 1h storage/audit', 'what was refused in the last hour'],
    ['qdrant-gateway audit query --id 5f0c --json storage/audit', 'the entry of a refusal, by its x-request-id'],
  ],
  async run({ args, flags, output, now }) {
    const { queryAudit } = await import('../audit-log/query.ts');
    return queryAudit(args, flags, output, now);
  },
});

/** `audit tail`. */
export const auditTailCommand = declareCommand({
  name: 'audit tail',
  group: 'Audit log:',
  summary: 'show the newest entries of audit files, and with --follow those that are added',
  details: 'With `--json` each entry is one line.',
  args: [FILES],
  options: {
    follow: { kind: 'switch', text: 'go on until Ctrl-C, also in files that begin later' },
    ...FILTERS,
    limit: { kind: 'value', value: 'number', short: 'n', fallback: '10', text: 'entries to begin with' },
  },
  examples: [['qdrant-gateway audit tail --follow --result denied storage/audit', 'refusals as they happen']],
  async run({ args, flags, output, now, json, ended }) {
    const { tailAudit } = await import('../audit-log/query.ts');
    return tailAudit(args, flags, { output, now, json, ended });
  },
});

/** `audit stats`. */
export const auditStatsCommand = declareCommand({
  name: 'audit stats',
  group: 'Audit log:',
  summary: 'count the entries of audit files by result, code, operation, collection, key, subject and address',
  args: [FILES],
  options: FILTERS,
  examples: [['qdrant-gateway audit stats --since 7d storage/audit', 'a week in numbers']],
  async run({ args, flags, now }) {
    const { auditStats } = await import('../audit-log/stats.ts');
    return auditStats(args, flags, now);
  },
});

/** `learn`. */
export const learnCommand = declareCommand({
  name: 'learn',
  group: 'Ask the policy:',
  summary: 'print the smallest policy for the requests of audit files',
  details:
    'Only permitted requests count. `gateway.mode: learn` does the same in a running gateway, which then protects nothing.',
  args: [FILES],
  options: FILTERS,
  examples: [['qdrant-gateway learn --since 30d storage/audit > learned.yaml', 'from a month of a protected gateway']],
  async run({ args, flags, output, now }) {
    const { learnFromAudit } = await import('../audit-log/learn.ts');
    return learnFromAudit(args, flags, output, now);
  },
});
