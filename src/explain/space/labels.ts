/**
 * The label of a caller with these traits; those that are not told may be any.
 *
 * @param family for example `token of api_key`
 */
export function tokenLabel(family: string, traits: readonly (string | undefined)[]): string {
  const told = traits.filter((one) => one !== undefined && one !== '');
  return told.length === 0 ? `any ${family}` : `${family}: ${told.join(', ')}`;
}
