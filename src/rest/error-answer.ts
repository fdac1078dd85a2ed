/** Upstream's errors on rows with a filter, of which everything is known: they name nothing (Qdrant v1.18.3). */
const NAMELESS = new Set([
  'Service internal error: Could not get telemetry from cluster',
  'Service internal error: Timeout',
]);
/** Says what is wrong with the query that the caller itself sent. */
const ABOUT_THE_QUERY = /^Query deserialize error: [a-z0-9 ,`_]{1,120}$/i;
const NOT_FOUND = /^Not found: Collection `([^`]*)` doesn't exist!$/;

/**
 * The body of upstream's error for a caller with a list of collections: as it is where it can name nothing that the caller may
 * not see, else one that says nothing. INVARIANT: with a list access an answer is either filtered or not given at all.
 *
 * @param target the collection that the caller named itself
 */
export function errorForList(status: number, body: Buffer, target: string | undefined): Buffer {
  if (body.length === 0) return body;
  const text = errorOf(body);
  if (text !== undefined && saysNothing(text, target)) return body;
  return Buffer.from(`{"status":{"error":"upstream answered ${status}"},"time":0.0}`);
}

function saysNothing(text: string, target: string | undefined): boolean {
  if (NAMELESS.has(text)) return true;
  const missing = NOT_FOUND.exec(text)?.[1];
  return missing === undefined ? ABOUT_THE_QUERY.test(text) : missing === target;
}

/** The text of an error in upstream's envelope, if nothing else stands in it. */
function errorOf(body: Buffer): string | undefined {
  const found = /^\{"status":\{"error":("(?:[^"\\]|\\.){0,400}")\},"time":[0-9.eE+-]{1,30}\}$/.exec(
    body.toString('utf8'),
  )?.[1];
  if (found === undefined) return undefined;
  try {
    return String(JSON.parse(found));
  } catch {
    return undefined;
  }
}
