import { declareCommand } from '../frame/declare.ts';

/** `schema`. */
export const schemaCommand = declareCommand({
  name: 'schema',
  group: 'Reference:',
  summary: 'print the JSON schema of the configuration file',
  options: {
    policy: { kind: 'switch', text: 'print the schema of the policy file instead' },
    keys: { kind: 'switch', text: 'print the schema of the file of named keys instead' },
  },
  examples: [['qdrant-gateway schema --policy > policy.schema.json', 'for the completion of an editor']],
  async run({ flags: { policy, keys } }) {
    const { jsonSchemaText, keysSchemaText, policySchemaText } = await import('../../config/document.ts');
    const text = keys ? keysSchemaText() : policy ? policySchemaText() : jsonSchemaText();
    return { text, json: JSON.parse(text) };
  },
});

/** `options`. */
export const optionsCommand = declareCommand({
  name: 'options',
  group: 'Reference:',
  summary: 'print all options as a Markdown page',
  examples: [['qdrant-gateway options --json', 'for a program']],
  async run() {
    const { optionsPage } = await import('../../config/options-page.ts');
    const { options } = await import('../../config/options.ts');
    const json = options.map(({ path, env, fallback, secret }) => ({ path, env, default: fallback, secret }));
    return { text: optionsPage(), json };
  },
});

/** `completion`. */
export const completionCommand = declareCommand({
  name: 'completion',
  group: 'Reference:',
  summary: 'print a script that completes commands and options in a shell',
  args: [{ name: 'shell', text: 'bash, zsh or fish' }],
  json: false,
  examples: [
    ['source <(qdrant-gateway completion bash)', 'for this shell; zsh does the same'],
    ['qdrant-gateway completion fish > ~/.config/fish/completions/qdrant-gateway.fish', 'for fish'],
  ],
  async run({ args: [shell = ''], commands }) {
    const { completionScript } = await import('../frame/completion.ts');
    return { text: completionScript(shell, commands), json: null };
  },
});
