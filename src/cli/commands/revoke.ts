import { declareCommand } from '../frame/declare.ts';

/** `revoke`, `revoke add`. */
export const revokeCommand = declareCommand({
  name: 'revoke add',
  group: 'Keys and tokens:',
  summary: 'revoke tokens: adds an entry to the configured file or Redis',
  options: {
    tokenId: { kind: 'value', value: 'id', text: 'revoke the token with this `jti`' },
    subject: { kind: 'value', value: 'text', text: 'revoke all tokens with this `sub` or `subject`' },
    key: {
      kind: 'value',
      value: 'id',
      text: 'revoke all tokens signed with this key: api_key, alt_api_key or the id of a signing key or an issuer',
    },
    before: {
      kind: 'value',
      value: 'time',
      text: 'revoke all tokens issued (`iat`) before this time: now, an ISO time, or seconds since 1970',
    },
    forSubject: { kind: 'value', value: 'text', text: 'with --before: only tokens with this `sub` or `subject`' },
    until: {
      kind: 'value',
      value: 'when',
      text: 'expiry of the entry: 30d, 12h, 90m or an ISO date (default: never)',
    },
    reason: { kind: 'value', value: 'text', text: 'note that is stored with the entry' },
  },
  config: true,
  isDefault: true,
  changes: true,
  examples: [
    ['qdrant-gateway revoke --token-id 5f0c --reason "laptop lost"', 'revoke one token'],
    ['qdrant-gateway revoke --before now --for-subject alice', 'revoke what alice holds, but not what she gets later'],
  ],
  async run({ flags, output, now }) {
    const { revoke } = await import('../revoke.ts');
    return revoke(flags, output, now);
  },
});

/** `revoke list`. */
export const revokeListCommand = declareCommand({
  name: 'revoke list',
  group: 'Keys and tokens:',
  summary: 'list the revocations in the configured file or Redis',
  options: { all: { kind: 'switch', text: 'also those that are over' } },
  config: true,
  examples: [['qdrant-gateway revoke list', 'the revocations in force']],
  async run({ flags, now }) {
    const { listRevocations } = await import('../revocations.ts');
    return listRevocations(flags, flags.all === true, now);
  },
});

/** `revoke lift`. */
export const revokeLiftCommand = declareCommand({
  name: 'revoke lift',
  group: 'Keys and tokens:',
  summary: 'take a revocation out again: its tokens are accepted as before',
  options: {
    tokenId: { kind: 'value', value: 'id', text: 'of the token with this `jti`' },
    subject: { kind: 'value', value: 'text', text: 'of this `sub` or `subject`' },
    key: { kind: 'value', value: 'id', text: 'of this key' },
    before: { kind: 'value', value: 'time', text: 'of tokens issued before this time, as `revoke list` shows it' },
    forSubject: { kind: 'value', value: 'text', text: 'with --before: of this `sub` or `subject`' },
  },
  config: true,
  changes: true,
  examples: [['qdrant-gateway revoke lift --subject alice', 'alice may come again']],
  async run({ flags, now }) {
    const { liftRevocations } = await import('../revocations.ts');
    return liftRevocations(flags, now);
  },
});
