import { z } from 'zod';
import { keysSchema } from './keys/schema.ts';
import { envName, options } from './options.ts';
import { policySchema } from './policy/schema.ts';
import { type Config, settingsSchema } from './schema.ts';

/** The JSON schema of the YAML file (draft 2020-12), as text with a line break at its end. `x-env`: variable name. */
export function jsonSchemaText(): string {
  const title = 'Configuration of the Qdrant security gateway';
  const generated = z.toJSONSchema(settingsSchema, { io: 'input', override: addEnvName });
  return `${JSON.stringify({ title, ...generated }, null, 2)}\n`;
}

/** The JSON schema of the policy file, in the same form. */
export function policySchemaText(): string {
  const title = 'Policy of the Qdrant security gateway';
  return `${JSON.stringify({ title, ...z.toJSONSchema(policySchema, { io: 'input' }) }, null, 2)}\n`;
}

/** The JSON schema of the file of named keys, in the same form. */
export function keysSchemaText(): string {
  const title = 'Named keys of the Qdrant security gateway';
  return `${JSON.stringify({ title, ...z.toJSONSchema(keysSchema, { io: 'input' }) }, null, 2)}\n`;
}

function addEnvName({ jsonSchema, path }: { jsonSchema: Record<string, unknown>; path: readonly (string | number)[] }) {
  const names = path.filter((part) => part !== 'properties').join('.');
  if (options.some((option) => option.path === names)) jsonSchema['x-env'] = envName(names);
}

function valueAt(config: Config, path: string): unknown {
  let value: unknown = config;
  for (const part of path.split('.')) {
    value =
      typeof value === 'object' && value !== null ? Object.entries(value).find(([name]) => name === part)?.[1] : null;
  }
  return value;
}

/** The value of every option, including secrets: for comparison, never for output. */
export function effectiveValues(config: Config): ReadonlyMap<string, unknown> {
  return new Map(options.map(({ path }) => [path, valueAt(config, path)]));
}

/** Effective settings, one `path: value` per line; of a secret only whether it is set. */
export function effectiveSettings(config: Config): string {
  const lines = options.map(({ path, secret }) => {
    const value = valueAt(config, path);
    return `${path}: ${secret && value !== null ? '(set, not shown)' : JSON.stringify(value)}`;
  });
  return `${lines.join('\n')}\n`;
}
