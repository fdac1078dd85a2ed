import type { State } from '../../config/state.ts';
import { fetchKeys } from '../../issuers/fetch-keys.ts';
import { KeyFetchFault } from '../../issuers/get.ts';
import type { IssuerSettings } from '../../policy/mapping/issuer.ts';
import { type Check, type Finding, finding } from './finding.ts';

/** One check of each issuer of the policy: the keys that it publishes, fetched as the gateway fetches them. */
export function issuerChecks({ policy: { issuers = [] } }: State): Readonly<Record<string, Check>> {
  return Object.fromEntries(issuers.map((issuer) => [`issuer ${issuer.id}`, () => keyFindings(issuer)]));
}

async function keyFindings({ id, issuer, source }: IssuerSettings): Promise<readonly Finding[]> {
  const check = `issuer ${id}`;
  if (source.from === 'file') return [finding(check, 'ok', `${source.keys.length} keys in its file`)];
  try {
    const keys = await fetchKeys(source, issuer);
    if (keys.length === 0) return [finding(check, 'bad', `${source.url} has no key: its tokens are refused`)];
    return [finding(check, 'ok', `${source.url} answers with ${keys.length} ${keys.length === 1 ? 'key' : 'keys'}`)];
  } catch (error) {
    if (!(error instanceof KeyFetchFault)) throw error;
    return [finding(check, 'bad', `the keys cannot be fetched from here: ${error.message}`)];
  }
}
