import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { loadCaseFile } from './cells.ts';
import type { Grant } from './principals.ts';
import type { Verdict } from './verdicts.ts';

/** A collection, or an alias with its collection. */
export type Entry = string | readonly [alias: string, collection: string];

/** One list over gRPC: what is asked and what an unsecured upstream lists. */
export interface FilteredCall {
  readonly path: string;
  /** The request message. */
  readonly hex: string;
  readonly all: readonly Entry[];
  /** What the principal sees, or code and text. */
  readonly seen: readonly Entry[] | string;
}

interface FilteredCase extends Omit<FilteredCall, 'seen'> {
  readonly answers: Readonly<Record<string, readonly Entry[] | string>>;
}

/** Every recorded answer of a filtered gRPC method, by principal; outcomes are code and text, or 0 and the entries. */
export function filteredGrpcVerdicts(): Verdict<FilteredCall>[] {
  const { principals, cases } = loadCaseFile<{
    principals: Readonly<Record<string, Grant>>;
    cases: readonly FilteredCase[];
  }>('filtered-grpc.json');
  return cases.flatMap(({ answers, ...call }) =>
    Object.entries(answers).map(([principal, seen]) => ({
      file: 'filtered-grpc.json',
      case: `${call.path} (${call.hex})`,
      principal,
      grant: principals[principal] ?? null,
      request: { ...call, seen },
      recorded: typeof seen === 'string' ? seen : `0 ${JSON.stringify(seen)}`,
    })),
  );
}

/** One entry of such an answer. */
export function entryOf(entry: Entry): Uint8Array {
  const writer = new BinaryWriter();
  const names = typeof entry === 'string' ? [entry] : entry;
  for (const [index, name] of names.entries()) writer.tag(index + 1, WireType.LengthDelimited).string(name);
  return writer.finish();
}

/** The answer that lists these: `collections` or `aliases` (1) and `time` (2). */
export function listAnswer(entries: readonly Entry[]): Buffer {
  const writer = new BinaryWriter();
  for (const entry of entries) writer.tag(1, WireType.LengthDelimited).bytes(entryOf(entry));
  return Buffer.from(writer.tag(2, WireType.Bit64).double(0.25).finish());
}

/** Reads what `listAnswer` writes. */
export function listedEntries(message: Uint8Array): Entry[] {
  const found: Entry[] = [];
  const outer = new BinaryReader(message);
  while (outer.pos < outer.len) {
    const [field, type] = outer.tag();
    if (field !== 1) {
      outer.skip(type, field);
      continue;
    }
    const inner = new BinaryReader(outer.bytes());
    const names: string[] = [];
    while (inner.pos < inner.len) {
      inner.tag();
      names.push(inner.string());
    }
    const [first = '', second] = names;
    found.push(second === undefined ? first : [first, second]);
  }
  return found;
}
