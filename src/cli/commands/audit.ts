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
