/** The entries of an option that is a list of texts: in the environment and in flags they are separated by commas. */
export function textList(text: string | null): readonly string[] {
  return (text ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/** The text of a list, which `textList` takes apart; null for none. */
export function listText(list: string | readonly string[] | null): string | null {
  return typeof list === 'string' || list === null ? list : list.join(', ') || null;
}
