import { stripTypeScriptTypes } from 'node:module';

/**
 * A module without its types, for a gateway that runs from its source: the package holds built files.
 *
 * @param text TypeScript whose types can be erased
 */
export function stripTypes(text: string): string {
  return stripTypeScriptTypes(text, { mode: 'strip' }).replaceAll(/[ \t]+$/gm, '');
}
