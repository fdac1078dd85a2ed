/** The parameters that upstream knows on the routes of points. Others it passes over (Qdrant v1.19.0), and they are not sent. */
const KNOWN: ReadonlySet<string> = new Set(['wait', 'ordering', 'timeout', 'consistency']);

/** The query of a target. @param query with its question mark; empty = none */
export function readQuery(query: string): { readonly kept: string; readonly waits: boolean } {
  const kept: string[] = [];
  let waits = false;
  for (const pair of query.slice(1).split('&')) {
    const at = pair.indexOf('=');
    const name = decoded(at < 0 ? pair : pair.slice(0, at));
    if (name === undefined || !KNOWN.has(name)) continue;
    kept.push(pair);
    if (name === 'wait' && at >= 0 && decoded(pair.slice(at + 1)) === 'true') waits = true;
  }
  return { kept: kept.length === 0 ? '' : `?${kept.join('&')}`, waits };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
