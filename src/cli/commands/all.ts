import type { Groups } from '../frame/build.ts';
import type { AnyCommand } from '../frame/declare.ts';
import { canICommand, explainCommand, matrixCommand, whoCanCommand } from './ask.ts';
import {
  auditHeadCommand,
  auditQueryCommand,
  auditStatsCommand,
  auditTailCommand,
  auditVerifyCommand,
  learnCommand,
} from './audit.ts';
import { certsDevCommand } from './certs.ts';
import { checkConfigCommand } from './check-config.ts';
import { demoCommand } from './demo.ts';
import { doctorCommand } from './doctor.ts';
import { healthCommand } from './health.ts';
import { initCommand } from './init.ts';
import { keyCommands } from './key.ts';
import { policyDiffCommand, policyReplayCommand, policyTestCommand } from './policy.ts';
import { completionCommand, optionsCommand, schemaCommand } from './reference.ts';
import { revokeCommand, revokeLiftCommand, revokeListCommand } from './revoke.ts';
import { serveCommand } from './serve.ts';
import { tokenInspectCommand, tokenMintCommand, tokenRevokeCommand } from './token.ts';

/** The subject of each group of commands. */
export const GROUPS: Groups = {
  token: 'mint, inspect and revoke tokens; without a command: mint',
  revoke: 'revoke tokens, list and lift revocations; without a command: add',
  certs: 'certificates for development',
  key: 'named keys in the file `gateway.keys_file`, or in Redis with `gateway.shared.keys`',
  policy: 'test a policy and compare policies',
  audit: 'read, count and verify audit files',
};

/** Every command, in the order of help and of the reference page. */
export const COMMANDS: readonly AnyCommand[] = [
  serveCommand,
  demoCommand,
  initCommand,
  certsDevCommand,
  checkConfigCommand,
  doctorCommand,
  healthCommand,
  ...[tokenMintCommand, tokenInspectCommand, tokenRevokeCommand],
  ...[revokeCommand, revokeListCommand, revokeLiftCommand],
  ...keyCommands,
  ...[canICommand, whoCanCommand, matrixCommand, explainCommand],
  ...[policyTestCommand, policyDiffCommand, policyReplayCommand],
  learnCommand,
  ...[auditTailCommand, auditQueryCommand, auditStatsCommand, auditVerifyCommand, auditHeadCommand],
  ...[schemaCommand, optionsCommand, completionCommand],
];
