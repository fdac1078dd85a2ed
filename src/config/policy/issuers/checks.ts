import { claimPath } from '../../../policy/mapping/claims.ts';
import { readTemplate } from '../../../policy/mapping/name-template.ts';
import type { AccessEntry } from '../../../policy/settings.ts';
import { checkAccess, type KnownOperations, type Report } from '../access-problems.ts';
import type { RawIssuer, RawMapping } from './schema.ts';

/* Checks of mappings and examples beyond the schema. */

const PATH_FORM = 'is no path of a claim, such as `groups`, `realm_access.roles` or `"https://example.com/roles"`';

/** Reports what is wrong with a list of mappings. */
export function checkMappings(
  mappings: readonly RawMapping[],
  operations: KnownOperations | undefined,
  report: Report,
): void {
  const seen = new Set<string>();
  for (const [at, mapping] of mappings.entries()) {
    const here: Report = (path, message) => report([at, ...path], message);
    if (seen.has(mapping.id)) here(['id'], `the id \`${mapping.id}\` is given twice`);
    seen.add(mapping.id);
    checkMapping(mapping, here);
    checkAccess(mapping.access, operations, (path, message) => here(['access', ...path], message));
    if (typeof mapping.access !== 'string')
      checkNames(mapping.access, (path, message) => here(['access', ...path], message));
  }
}

function checkMapping(mapping: RawMapping, report: Report): void {
  for (const field of ['claim', 'tenant_from'] as const)
    checkPath(mapping[field], (message) => report([field], message));
  const { claim, value, values, tenant, tenant_from: from } = mapping;
  if (value !== undefined && values !== undefined) report(['values'], '`value` and `values` are both set: keep one');
  const given = value === undefined ? 'values' : 'value';
  if (claim === undefined && mapping[given] !== undefined) report([given], `\`${given}\` needs \`claim\``);
  if (tenant !== undefined && from !== undefined)
    report(['tenant_from'], '`tenant` and `tenant_from` are both set: keep one');
}

/** Reports a text that is no path of a claim. */
export function checkPath(text: string | undefined, report: (message: string) => void): void {
  if (text !== undefined && !claimPath(text)) report(`\`${text}\` ${PATH_FORM}`);
}

function checkNames(entries: readonly AccessEntry[], report: Report): void {
  for (const [at, { collection, collections }] of entries.entries()) {
    const checked = (name: string, path: readonly (string | number)[]): void => {
      const template = readTemplate(name);
      if (typeof template === 'string') report([at, ...path], template);
    };
    if (collection !== undefined) checked(collection, ['collection']);
    for (const [index, name] of (collections ?? []).entries()) checked(name, ['collections', index]);
  }
}

/** Reports examples that say nothing, or two things. */
export function checkExamples(
  { examples = [] }: Pick<RawIssuer, 'examples'>,
  operations: KnownOperations | undefined,
  report: Report,
): void {
  for (const [at, { access, refused }] of examples.entries()) {
    if (access === undefined && refused === undefined) report([at], 'the example needs `access` or `refused`');
    if (access !== undefined && refused !== undefined)
      report([at, 'refused'], '`access` and `refused` are both set: keep one');
    checkAccess(access, operations, (path, message) => report([at, 'access', ...path], message));
  }
}
