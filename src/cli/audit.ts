import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { GENESIS } from '../audit/chain/hash-chain.ts';
import { orderFiles, type Verified, verifyChain } from '../audit/chain/verify.ts';
import { parseFileName } from '../audit/sinks/file-name.ts';
import { exitCode } from './exit-code.ts';
import type { Report } from './frame/declare.ts';
import { type Output, Unproven, UsageError } from './output.ts';

const MIB = 1_048_576;
const SHOWN_EVERY = 256 * MIB;

/** The hash chain is broken: lines were changed, removed or added. */
export class BrokenChain extends Error {
  readonly code = 'ERR_AUDIT_CHAIN';
}

/** Options of `audit verify`, as commander hands them over. */
export interface VerifyFlags {
  readonly from?: readonly string[] | undefined;
  readonly to?: readonly string[] | undefined;
}

type Held = Extract<Verified, { readonly ok: true }>;

/**
 * `audit verify`: follows the hash chain through audit files, in the order they were written, independent of the order
 * of `paths`, and compares its ends with hashes that were stored elsewhere. Throws `BrokenChain` for a broken chain,
 * `Unproven` when the beginning or end of a chain is not anchored, `UsageError` for a path that is not a file.
 */
export async function verifyAudit(
  paths: readonly string[],
  flags: VerifyFlags,
  output: Output,
  json = false,
): Promise<Report | undefined> {
  const anchors = { from: anchorsOf('--from', flags.from), to: anchorsOf('--to', flags.to) };
  const loose: string[] = [];
  const chains: object[] = [];
  const found = new Set<string>();
  for (const { files, chain } of await readChains(paths, output, new Set([...anchors.from, ...anchors.to]))) {
    for (const hash of [...chain.found, chain.before]) found.add(hash);
    checkBegin(files, chain, anchors.from, loose);
    checkEnd(files, chain, anchors.to, loose);
    if (chain.torn > 0) output.err(`note: ${chain.torn} incomplete lines, left by interrupted writes\n`);
    if (anchors.to.size > 0 && chain.behind > 0) {
      output.err(`note: ${chain.behind} lines follow the last hash given with \`--to\`: nothing anchors them\n`);
    }
    chains.push({ files, lines: chain.lines, torn: chain.torn, last: chain.last });
    if (!json) output.out(`ok: ${chain.lines} lines in ${files.length} files, last hash ${chain.last}\n`);
  }
  const missing = [...anchors.from, ...anchors.to].filter((hash) => !found.has(hash) && hash !== GENESIS);
  if (missing.length > 0) throw new BrokenChain(`no line has the hash ${missing[0]}: lines or whole files are missing`);
  if (json) {
    const code = loose.length === 0 ? exitCode.ok : exitCode.unproven;
    return { text: '', json: { proven: loose.length === 0, chains, unproven: loose }, code };
  }
  if (loose.length > 0) throw new Unproven(loose.join('; '));
  return undefined;
}

/** `audit head`: the hash of the newest line of each chain, and its file. Throws as `audit verify` does. */
export async function showHeads(paths: readonly string[], output: Output): Promise<Report> {
  const chains = await readChains(paths, output, new Set());
  const heads = chains.map(({ files, chain }) => ({ hash: chain.last, file: files.at(-1) ?? '' }));
  return { text: heads.map(({ hash, file }) => `${hash}  ${file}\n`).join(''), json: heads };
}

function checkBegin(
  files: readonly string[],
  { before, found }: Held,
  from: ReadonlySet<string>,
  loose: string[],
): void {
  if (from.has(before) || (from.size === 0 && before === GENESIS)) return;
  if ([...from].some((hash) => found.has(hash))) return;
  if (from.size > 0) {
    throw new BrokenChain(
      `${files[0]}:1: the chain continues none of the hashes of \`--from\`: lines before it are missing`,
    );
  }
  loose.push(
    `the chain of ${files[0]} continues an earlier file: give the hash before its first line with \`--from\` (${before})`,
  );
}

function checkEnd(files: readonly string[], { last, found }: Held, to: ReadonlySet<string>, loose: string[]): void {
  if ([...to].some((hash) => found.has(hash))) return;
  const file = files.at(-1);
  if (to.size > 0)
    throw new BrokenChain(`${file}: the chain contains none of the hashes of \`--to\`: lines at its end are missing`);
  loose.push(
    `the end of the chain of ${file} is not anchored: store its last hash elsewhere and give it with \`--to\` (${last})`,
  );
}

function anchorsOf(flag: string, given: readonly string[] = []): ReadonlySet<string> {
  return new Set(
    given.map((text) => {
      const hash = text.toLowerCase();
      if (hash === 'start' && flag === '--from') return GENESIS;
      if (!/^[0-9a-f]{64}$/.test(hash)) {
        throw new UsageError(`${flag} must be a hash of 64 hexadecimal digits${flag === '--from' ? ', or start' : ''}`);
      }
      return hash;
    }),
  );
}

/** Every chain in files and folders. Throws `BrokenChain` for the first broken one. */
async function readChains(
  paths: readonly string[],
  output: Output,
  anchors: ReadonlySet<string>,
): Promise<readonly { readonly files: readonly string[]; readonly chain: Held }[]> {
  const all = paths.flatMap(auditFiles);
  const total = all.reduce((sum, path) => sum + sizeOf(path), 0);
  const chains: { readonly files: readonly string[]; readonly chain: Held }[] = [];
  let before = 0;
  for (const files of orderFiles([...new Set(all)])) {
    let shown = 0;
    const chain = await verifyChain(
      files,
      (bytes) => {
        if (bytes - shown < SHOWN_EVERY) return;
        shown = bytes;
        output.err(`${toMib(before + bytes)} of ${toMib(total)} MiB\n`);
      },
      anchors,
    );
    if (!chain.ok) throw new BrokenChain(`${chain.file || files[0]}:${chain.line}: ${chain.reason}`);
    before += files.reduce((sum, path) => sum + sizeOf(path), 0);
    chains.push({ files, chain });
  }
  return chains;
}

/** A file, or every audit file of a folder. Throws `UsageError` for a folder without any, and for what cannot be read. */
export function auditFiles(path: string): readonly string[] {
  let names: readonly string[];
  try {
    if (!statSync(path).isDirectory()) return [path];
    names = readdirSync(path).filter((name) => parseFileName(name) && statSync(join(path, name)).isFile());
  } catch {
    throw new UsageError(`\`${path}\` is not a readable file`);
  }
  if (names.length > 0) return names.map((name) => join(path, name));
  throw new UsageError(`\`${path}\` contains no audit file`);
}

function sizeOf(path: string): number {
  try {
    const found = statSync(path);
    if (found.isFile()) return found.size;
  } catch {
    // Reported below.
  }
  throw new UsageError(`\`${path}\` is not a readable file`);
}

function toMib(bytes: number): number {
  return Math.round(bytes / MIB);
}
