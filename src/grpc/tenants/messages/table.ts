/**
 * Messages of upstream, one per row: fields as `number name type`, separated by commas. Behind the type `*` = repeated, `?` =
 * with presence, and a further word = the oneof it belongs to. A type is a scalar, `enum`, `floats` or `packed` (runs of
 * floats or of varints, which are not read) or a message; `~` before a message: its form is checked, and its bytes are kept as they came.
 *
 * Read from the interface of Qdrant v1.20.0. An `Entry` is that of a map.
 */
export type MessageTable = Readonly<Record<string, string | readonly string[]>>;

/** One field of a message. */
export interface FieldRow {
  readonly number: number;
  readonly name: string;
  /** A scalar, `enum`, `floats`, `packed`, or `message`. */
  readonly type: string;
  /** The message, if it is one. */
  readonly message: string | undefined;
  /** True = kept as bytes. */
  readonly opaque: boolean;
  readonly repeated: boolean;
  readonly optional: boolean;
  readonly oneof: string | undefined;
}

const SCALARS: ReadonlySet<string> = new Set([
  ...['string', 'bytes', 'bool', 'int32', 'int64', 'uint32', 'uint64', 'double', 'float', 'enum', 'floats', 'packed'],
]);

const FIELD = /^(\d+) (\w+) (~?)(\w+)([*?]?)(?: (\w+))?$/;

/** The fields of all messages. Throws `TypeError` for a row that cannot be read, or a message that has no row. */
export function fieldsOf(table: MessageTable): ReadonlyMap<string, readonly FieldRow[]> {
  const messages = new Map<string, readonly FieldRow[]>();
  for (const [name, row] of Object.entries(table)) {
    const text = typeof row === 'string' ? row : row.join(', ');
    messages.set(name, text === '' ? [] : text.split(', ').map(fieldOf));
  }
  for (const fields of messages.values()) {
    for (const { message } of fields) {
      if (message !== undefined && !messages.has(message)) throw new TypeError(`the message \`${message}\` has no row`);
    }
  }
  return messages;
}

function fieldOf(text: string): FieldRow {
  const [, number = '', name = '', opaque, type = '', how, oneof] = FIELD.exec(text) ?? [];
  if (name === '') throw new TypeError(`the field \`${text}\` cannot be read`);
  const isScalar = SCALARS.has(type);
  return {
    ...{ number: Number(number), name, type: isScalar ? type : 'message', message: isScalar ? undefined : type },
    ...{ opaque: opaque === '~', repeated: how === '*', optional: how === '?', oneof },
  };
}
