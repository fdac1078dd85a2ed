/** Lower-case token characters of a field name (RFC 9110 section 5.6.2). */
const NAME_CHARACTER: readonly boolean[] = Array.from({ length: 256 }, (_, code) =>
  /[a-z0-9!#$%&'*+\-.^_`|~]/.test(String.fromCharCode(code)),
);

/** A token in lower case (RFC 9113 section 8.2.1). */
export function isFieldName(name: string): boolean {
  for (let i = 0; i < name.length; i++) if (!NAME_CHARACTER[name.charCodeAt(i)]) return false;
  return name !== '';
}

/** RFC 9113 section 8.2.1; as upstream, no control byte other than the tab. */
export function isFieldValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return false;
  }
  return true;
}

/** Meaningless in HTTP/2 (RFC 9113 section 8.2.2): a message that has one is malformed. */
const CONNECTION_FIELDS = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

/** Validates a regular field (RFC 9113 section 8.2). Returns the fault; `undefined` = valid. */
export function fieldFault(name: string, value: string): string | undefined {
  if (!isFieldName(name)) return name === '' ? 'empty header name' : 'malformed header name';
  if (!isFieldValue(value)) return 'malformed header value';
  if (CONNECTION_FIELDS.has(name)) return 'connection header';
  return undefined;
}

/** Reads a `content-length` (RFC 9110 section 8.6). Returns bytes; -2 = malformed. */
export function lengthIn(value: string): number {
  return /^\d{1,15}$/.test(value) ? Number(value) : -2;
}

/** Validates trailers, each field with `check`. Returns the fault; `undefined` = valid. */
export function trailersFault(
  fields: Iterable<readonly [name: string, value: string, ...unknown[]]>,
  check: typeof fieldFault = fieldFault,
): string | undefined {
  for (const [name, value] of fields) {
    if (name.charCodeAt(0) === 0x3a) return 'pseudo-header in trailers';
    const fault = check(name, value);
    if (fault) return fault;
  }
  return undefined;
}

/** Validates a response head (RFC 9113 section 8.3.2): `:status` comes first, once, and is a number. Returns the fault. */
export function answerHeadFault(
  fields: readonly (readonly [name: string, value: string, ...unknown[]])[],
): string | undefined {
  const [first, ...rest] = fields;
  if (first?.[0] !== ':status') return 'status missing';
  // 101 does not exist in HTTP/2 (RFC 9113 section 8.6).
  if (!/^[1-9]\d\d$/.test(first[1]) || first[1] === '101') return 'malformed status';
  return trailersFault(rest);
}
