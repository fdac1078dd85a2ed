/** Lower-case token characters of a field name (RFC 9110 section 5.6.2). */
const NAME_CHARACTER: readonly boolean[] = Array.from({ length: 256 }, (_, code) =>
  /[a-z0-9!#$%&'*+\-.^_`|~]/.test(String.fromCharCode(code)),
);

/** A token in lower case (RFC 9113 section 8.2.1). */
export function isFieldName(name: string): boolean {
  for (let i = 0; i < name.length; i++) if (!NAME_CHARACTER[name.charCodeAt(i)]) return false;
  return name !== '';
}

/** RFC 9113 section 8.2.1, and no other control byte but the tab, as upstream has it. */
export function isFieldValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f) return false;
  }
  return true;
}
