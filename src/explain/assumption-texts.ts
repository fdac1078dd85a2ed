import type { Config } from '../config/schema.ts';
import { seesAll } from '../policy/access.ts';
import type { Judged } from './judge.ts';
import type { OfflineParts } from './parts.ts';

/** A fact on which an answer depends, and that was not asked of the running system. */
export type AssumedText = string;

/** The assumptions that may have changed this answer, as sentences. */
export function assumptionTexts(
  { exchange, ending }: Judged,
  { state, assumptions, policy }: OfflineParts,
): AssumedText[] {
  const { resolution, principal } = exchange;
  const operation = resolution?.operation;
  const texts: AssumedText[] = [];
  const release = assumptions.release;
  if (operation?.pathNames || resolution?.dotName !== undefined || principal?.tenancy) {
    texts.push(release === undefined ? 'the release of Qdrant is not known' : `Qdrant is ${release}`);
  }
  const creates = operation?.manages?.right === 'create' && !seesAll(principal?.access);
  if (creates) {
    const { collections } = assumptions;
    texts.push(
      collections
        ? `the collections are: ${collections.join(', ') || 'none'}`
        : 'the existing collections are not known',
    );
  }
  if (principal?.authType === 'Jwt') {
    texts.push(
      assumptions.asked ? 'revoked tokens are those of this moment' : revocationText(state.config),
      `what \`value_exists\` asks for ${assumptions.valueExists ? 'is' : 'is not'} there`,
    );
  }
  if (principal?.tenancy) {
    texts.push('no collection has shard keys');
    if (assumptions.idfVectors === undefined) texts.push('vectors with the modifier idf are not known');
  }
  if (ending.kind === 'forwarded' && ending.rewriting && ending.rewriting.byIdAlone.length > 0)
    texts.push('the collection has no shard keys');
  if (policy.limits) texts.push('no limit has been used before this request');
  if (!assumptions.asked && !principal && (state.policy.issuers ?? []).length > 0)
    texts.push('keys that issuers publish are not fetched without --online');
  if (state.config.gateway.shared.keys) texts.push('named keys in Redis are not read without --online');
  if (principal?.key || policy.limits) texts.push(`the client's address is ${assumptions.remote || 'not known'}`);
  if (resolution && resolution.target.kind !== 'none') texts.push('aliases are not resolved');
  return texts;
}

function revocationText({ gateway: { revocation } }: Config): string {
  if (revocation.file !== null) return 'revoked tokens are those of the file';
  return 'no token is revoked';
}
