import type { Denial } from '../../policy/denial.ts';
import { accessText } from '../../policy/mapping/access-text.ts';
import type { CertificateSettings } from '../../policy/mapping/certificates.ts';
import type { Claims } from '../../policy/mapping/claims.ts';
import type { ExampleSettings, IssuerSettings } from '../../policy/mapping/issuer.ts';
import { createMapper, type Mapped } from '../../policy/mapping/mapper.ts';
import { accessOf } from '../../policy/settings.ts';
import { mapIssued } from './accept-issued.ts';
import { readClaimTree } from './claim-tree.ts';
import { issuerOf } from './issuer.ts';

/** A fault at a place of the policy file. */
export interface ExampleProblem {
  readonly place: string;
  readonly message: string;
}

/** Maps the example claims of an issuer, and compares with what is expected. Empty = all are as expected. */
export function exampleProblems(settings: IssuerSettings): readonly ExampleProblem[] {
  if (settings.examples.length === 0) return [];
  const issuer = issuerOf(settings);
  return differing(settings.examples, (claims) => mapIssued(issuer, claims));
}

/** The same of example names of client certificates. */
export function certificateExampleProblems({
  mappings,
  examples = [],
}: CertificateSettings): readonly ExampleProblem[] {
  const { map } = createMapper(mappings);
  return differing(examples, map);
}

function differing(
  examples: readonly ExampleSettings[],
  map: (claims: Claims) => Mapped | Denial,
): readonly ExampleProblem[] {
  return examples.flatMap(({ place, claims, access, refused }) => {
    const tree = readClaimTree(Buffer.from(claims));
    if (!tree) return { place, message: 'the claims of the example cannot be those of a token' };
    const mapped = map(tree);
    const given = mapped.kind === 'denial' ? `refused: ${mapped.code}` : accessText(mapped.access);
    const expected = access === undefined ? `refused: ${refused}` : accessText(accessOf(access));
    if (given === expected) return [];
    const by = mapped.kind === 'denial' ? '' : ` by ${mapped.mappings.map((id) => `\`${id}\``).join(', ')}`;
    return { place, message: `the example expects \`${expected}\`, and the mappings give \`${given}\`${by}` };
  });
}
