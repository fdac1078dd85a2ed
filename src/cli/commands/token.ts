import { declareCommand } from '../frame/declare.ts';

/** `token`, `token mint`. */
export const tokenMintCommand = declareCommand({
  name: 'token mint',
  group: 'Keys and tokens:',
  summary: 'mint a JWT (HS256) with the configured admin key, or with a signing key',
  options: {
    access: { kind: 'value', value: 'letter', text: 'global access: r or m' },
    collection: {
      kind: 'list',
      value: 'name=access',
      text: 'access to one collection: r, rw or prw; may be repeated',
    },
    exp: { kind: 'value', value: 'when', text: 'expiry: 30d, 12h, 90m or an ISO date (default: never)' },
    sub: { kind: 'value', value: 'text', text: 'claim `sub`' },
    subject: { kind: 'value', value: 'text', text: 'claim `subject`, shown in the audit log' },
    valueExists: { kind: 'value', value: 'json', text: 'claim `value_exists`' },
    signingKey: {
      kind: 'value',
      value: 'id',
      text: 'sign with this key of the policy file, and name it in the header (`kid`)',
    },
    secretFile: { kind: 'value', value: 'file', text: 'file with the key to sign with, instead of the configured one' },
  },
  config: true,
  isDefault: true,
  changes: true,
  examples: [
    ['qdrant-gateway token mint --access r --exp 30d --subject reports', 'a token that reads everything for 30 days'],
    ['qdrant-gateway token mint --collection a=rw --collection b=r', 'write to one collection, read another'],
  ],
  async run({ flags, output, now }) {
    const { mint } = await import('../token.ts');
    return mint(flags, output, now);
  },
});

/** `token inspect`. */
export const tokenInspectCommand = declareCommand({
  name: 'token inspect',
  group: 'Keys and tokens:',
  summary: 'show a token, and whether the gateway accepts it',
  details: 'The token is read from standard input, with or without `Bearer`.',
  args: [{ name: 'token', text: 'the token; better not: other users see arguments', optional: true }],
  options: {
    file: { kind: 'value', value: 'file', text: 'read the token from this file' },
    fetchKeys: { kind: 'switch', text: 'fetch the keys of the identity provider that the token names' },
  },
  config: true,
  examples: [['qdrant-gateway token inspect < token.txt', 'show a token']],
  exits: { 1: 'a gateway with this configuration refuses the token' },
  async run({ args, flags, output, now, readStdin }) {
    const { inspect, presentedToken } = await import('../token.ts');
    const token = await presentedToken({ argument: args[0], file: flags.file, readStdin }, output);
    return inspect(token, flags, output, now, flags.fetchKeys === true);
  },
});

/** `token revoke`. */
export const tokenRevokeCommand = declareCommand({
  name: 'token revoke',
  group: 'Keys and tokens:',
  summary: 'revoke a token by its id (`jti`)',
  details: 'The token is read from standard input, with or without `Bearer`.',
  options: {
    file: { kind: 'value', value: 'file', text: 'read the token from this file' },
    until: { kind: 'value', value: 'when', text: 'expiry of the entry: 30d, 12h, 90m or an ISO date (default: never)' },
    reason: { kind: 'value', value: 'text', text: 'note that is stored with the entry' },
  },
  config: true,
  changes: true,
  examples: [['qdrant-gateway token revoke --reason "laptop lost" < token.txt', 'revoke the token of a file']],
  async run({ flags, output, now, readStdin }) {
    const { presentedToken } = await import('../token.ts');
    const { revokeToken } = await import('../revocations.ts');
    const token = await presentedToken({ argument: undefined, file: flags.file, readStdin }, output);
    return revokeToken(token, flags, output, now);
  },
});
