import type { CertificateSettings } from '../../../policy/mapping/certificates.ts';
import type { KnownOperations, Report } from '../access-problems.ts';
import { issueProblems, type Reading } from '../entries.ts';
import { checkExamples, checkMappings, checkPath } from './checks.ts';
import { mappingOf } from './read.ts';
import { certificatesSchema } from './schema.ts';

const SECTION = 'client_certificates';

/** Reads the section. `undefined` = there is none, or it has problems. */
export function readCertificates(
  { tree, problems }: Reading,
  section: unknown,
  operations: KnownOperations | undefined,
): CertificateSettings | undefined {
  if (section === undefined) return undefined;
  const parsed = certificatesSchema.safeParse(section);
  for (const issue of parsed.error?.issues ?? []) {
    problems.push(...issueProblems(tree, [SECTION], issue, certificatesSchema));
  }
  if (!parsed.success) return undefined;
  const { id, subject, mappings, examples = [] } = parsed.data;
  const report: Report = (path, message) => problems.push({ place: tree.placeOf([SECTION, ...path]), message });
  checkMappings(mappings, operations, (path, message) => report(['mappings', ...path], message));
  checkExamples(parsed.data, operations, (path, message) => report(['examples', ...path], message));
  checkPath(subject, (message) => report(['subject'], message));
  return Object.freeze({
    ...{ id, subject },
    mappings: mappings.map(mappingOf),
    examples: examples.map(({ claims, access, refused }, at) => ({
      ...{ place: tree.placeOf([SECTION, 'examples', at]), claims: JSON.stringify(claims), access, refused },
    })),
  });
}
