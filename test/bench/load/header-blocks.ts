/** Header blocks of one connection: that of its first request, which fills the peer's table, and that of all others. */
export type HeaderBlocks = { readonly first: Buffer; readonly next: Buffer };

const FIRST_DYNAMIC = 62;

/** Fields the static table holds whole (RFC 7541 appendix A). */
const STATIC = new Map([
  [':method GET', 2],
  [':method POST', 3],
  [':scheme https', 7],
]);

/** An integer with a prefix of seven bits (RFC 7541 section 5.1). */
function integer(mark: number, value: number): Buffer {
  if (value < 0x7f) return Buffer.from([mark | value]);
  const bytes = [mark | 0x7f];
  let rest = value - 0x7f;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

function text(value: string): Buffer {
  return Buffer.concat([integer(0, value.length), Buffer.from(value, 'latin1')]);
}

/**
 * Encodes the same fields twice as clients that use the dynamic table do: literals with incremental indexing first,
 * then nothing but indices. All fields together must fit the table (4096 bytes with 32 for each).
 */
export function indexingBlocks(fields: readonly (readonly [name: string, value: string])[]): HeaderBlocks {
  const first: Buffer[] = [];
  const next: Buffer[] = [];
  const added = fields.filter(([name, value]) => !STATIC.has(`${name} ${value}`)).length;
  let adding = 0;
  for (const [name, value] of fields) {
    const known = STATIC.get(`${name} ${value}`);
    if (known !== undefined) {
      first.push(integer(0x80, known));
      next.push(integer(0x80, known));
    } else {
      adding++;
      first.push(Buffer.from([0x40]), text(name), text(value));
      next.push(integer(0x80, FIRST_DYNAMIC + added - adding));
    }
  }
  return { first: Buffer.concat(first), next: Buffer.concat(next) };
}
