const SIMPLE = /^[0-9a-f]{32}$/i;
const HYPHENATED = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/**
 * A UUID in small letters with hyphens; `undefined` = the text is none. Upstream takes four forms: with hyphens or without, and
 * with hyphens in braces or behind `urn:uuid:`, in small letters (Qdrant v1.19.0, uuid 1.x).
 */
export function uuidOf(text: string): string | undefined {
  if (SIMPLE.test(text)) {
    const all = text.toLowerCase();
    return [all.slice(0, 8), all.slice(8, 12), all.slice(12, 16), all.slice(16, 20), all.slice(20)].join('-');
  }
  const bare = unwrapped(text);
  return HYPHENATED.test(bare) ? bare.toLowerCase() : undefined;
}

function unwrapped(text: string): string {
  if (text.startsWith('urn:uuid:')) return text.slice(9);
  return text.startsWith('{') && text.endsWith('}') ? text.slice(1, -1) : text;
}
