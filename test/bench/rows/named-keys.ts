import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashText } from '../../../src/config/keys/file.ts';
import { sha256Hex } from '../../../src/identity/key-ring.ts';
import { newKeyText } from '../../../src/identity/key-text.ts';

/** So many records of named keys, and the text of the one in their middle. */
export function namedKeyEntries(keys: number) {
  const texts = Array.from({ length: keys }, (_, at) => newKeyText(`key${at}`));
  const entries = texts.map((text, at) => ({
    ...{ id: `key${at}`, name: `Key ${at} of the benchmark`, access: 'r', expires_at: 'never' },
    hash: hashText({ kind: 'sha256', digest: sha256Hex(text) }),
  }));
  return { entries, credential: texts[Math.floor(keys / 2)] ?? '' };
}

/** A file with this many named keys, and the text of one in its middle. Removed when the process ends. */
export function namedKeysFile(keys: number): { readonly file: string; readonly credential: string } {
  const folder = mkdtempSync(join(tmpdir(), 'qdrant-gateway-bench-keys-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const { entries, credential } = namedKeyEntries(keys);
  const file = join(folder, 'keys.json');
  writeFileSync(file, JSON.stringify({ keys: entries }));
  return { file, credential };
}
