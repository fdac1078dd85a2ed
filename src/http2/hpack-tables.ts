/** Number of entries in the static table (RFC 7541 appendix A); dynamic indices start right after it. */
export const STATIC_ENTRIES = 61;

/** Bytes an entry counts for beyond its name and value (RFC 7541 section 4.1, RFC 9113 section 6.5.2). */
export const ENTRY_OVERHEAD = 32;

// RFC 7541 appendix A, in order: `name` or `name=value`. The first `=` separates, no static name or value holds one.
const STATIC_TEXT = `
:authority|:method=GET|:method=POST|:path=/|:path=/index.html|:scheme=http|:scheme=https|:status=200|:status=204
:status=206|:status=304|:status=400|:status=404|:status=500|accept-charset|accept-encoding=gzip, deflate
accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control
content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type
cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since
last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after
server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate`;

const staticPairs = STATIC_TEXT.trim()
  .split(/[|\n]/)
  .map((text) => text.split('='));

/** Static table names by index; position 0 is an unused empty string, since HPACK counts from 1. */
export const STATIC_NAMES: readonly string[] = ['', ...staticPairs.map(([name]) => name ?? '')];

/** Static table values by index, aligned with `STATIC_NAMES`; entries without a value hold the empty string. */
export const STATIC_VALUES: readonly string[] = ['', ...staticPairs.map(([, value]) => value ?? '')];

/** Entries of the static table that the encoder may use for one header name. */
export type StaticMatch = {
  /** Lowest static index that carries the name. */
  readonly nameIndex: number;
  /** Values of the entries from there on: entries of one name stand side by side. */
  readonly values: readonly string[];
};

/** Header name → its place in the static table; absent when the table does not have the name. */
export const STATIC_BY_NAME: ReadonlyMap<string, StaticMatch> = indexStaticTable();

function indexStaticTable(): Map<string, StaticMatch> {
  const byName = new Map<string, { nameIndex: number; values: string[] }>();
  for (let index = 1; index <= STATIC_ENTRIES; index++) {
    const name = STATIC_NAMES[index] ?? '';
    const row = byName.get(name) ?? { nameIndex: index, values: [] };
    row.values.push(STATIC_VALUES[index] ?? '');
    byName.set(name, row);
  }
  return byName;
}

/** Slots of a dynamic table with its first entry: those of a client with one credential. */
const FIRST_SLOTS = 8;

/**
 * The decoder's dynamic table (RFC 7541 sections 2.3.2 and 4): a ring of string pairs addressed by plain integers.
 * Position 1 is the newest entry. Sizes are in bytes as section 4.1 counts them.
 */
export class DynamicTable {
  #names: string[] = [];
  #values: string[] = [];
  #mask = 0;
  #inserted = 0;
  #bytes = 0;
  #capacity = 0;

  /** Entries held now. */
  count = 0;

  /** Goes up with every change that can give an index another meaning; equal numbers mean an equal table. */
  version = 0;

  /** An empty table of the given capacity in bytes. */
  constructor(capacity: number) {
    this.resize(capacity);
  }

  /** Capacity in bytes, as the peer last set it. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Name at a position between 1 and `count`; anything else is the caller's mistake. */
  name(position: number): string {
    return this.#names[(this.#inserted - position) & this.#mask] as string;
  }

  /** Value at a position between 1 and `count`; anything else is the caller's mistake. */
  value(position: number): string {
    return this.#values[(this.#inserted - position) & this.#mask] as string;
  }

  /** Adds an entry as position 1 and evicts the oldest ones; one larger than the capacity just empties the table. */
  insert(name: string, value: string): void {
    const size = name.length + value.length + ENTRY_OVERHEAD;
    this.version++;
    this.#evict(this.#capacity - size);
    if (size > this.#capacity) return;
    if (this.count === this.#names.length) this.#grow();
    const slot = this.#inserted & this.#mask;
    this.#names[slot] = name;
    this.#values[slot] = value;
    this.#inserted++;
    this.#bytes += size;
    this.count++;
  }

  /** Changes the capacity in bytes and evicts what no longer fits. */
  resize(capacity: number): void {
    if (capacity === this.#capacity) return;
    this.version++;
    this.#capacity = capacity;
    this.#evict(capacity);
  }

  #evict(target: number): void {
    while (this.count > 0 && this.#bytes > target) {
      const slot = (this.#inserted - this.count) & this.#mask;
      this.#bytes -= (this.#names[slot] as string).length + (this.#values[slot] as string).length + ENTRY_OVERHEAD;
      // Let go of the strings: an evicted credential must not stay reachable.
      this.#names[slot] = '';
      this.#values[slot] = '';
      this.count--;
    }
  }

  /** INVARIANT: the ring has a power of two slots. A table that is full would have 128: most hold few entries. */
  #grow(): void {
    const slots = Math.max(FIRST_SLOTS, this.#names.length * 2);
    const names: string[] = new Array<string>(slots).fill('');
    const values: string[] = new Array<string>(slots).fill('');
    for (let position = this.count; position > 0; position--) {
      names[this.count - position] = this.name(position);
      values[this.count - position] = this.value(position);
    }
    this.#names = names;
    this.#values = values;
    this.#mask = slots - 1;
    this.#inserted = this.count;
  }
}
