function distance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (const [at, letter] of [...left].entries()) {
    const next = [at + 1];
    for (const [column, other] of [...right].entries()) {
      const swap = (row[column] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(swap, (row[column + 1] ?? 0) + 1, (next[column] ?? 0) + 1));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}

/**
 * The most similar allowed name, or undefined: at most a third of it differs, or one is a prefix of the other. Not
 * case-sensitive.
 */
export function nearest(name: string, allowed: readonly string[]): string | undefined {
  // Longer than any name: bounds the time for hostile input.
  if (name.length > 100) return undefined;
  const lower = name.toLowerCase();
  const ranked = allowed
    .map((one) => ({ one, far: distance(lower, one.toLowerCase()) }))
    .sort((left, right) => left.far - right.far);
  const best = ranked[0];
  if (best !== undefined && best.far <= Math.max(1, Math.floor(lower.length / 3))) return best.one;
  return lower.length < 4 ? undefined : allowed.find((one) => one.startsWith(lower) || lower.startsWith(one));
}

/** `did you mean` with the most similar name, else the list of allowed names. */
export function suggest(name: string, allowed: readonly string[]): string {
  const near = nearest(name, allowed);
  const list = allowed.map((one) => `\`${one}\``).join(', ');
  return near === undefined ? `allowed here: ${list}` : `did you mean \`${near}\`? allowed here: ${list}`;
}
