import { renameSync, writeFileSync } from 'node:fs';

/**
 * Puts a file in the place of another at once, as a careful tool does. A gateway takes it after a moment, where one that is
 * written in place has to stand still for seconds (`src/config/files/settled-files.ts`).
 */
export function replaceFile(path: string, content: string | Buffer): void {
  const beside = `${path}.replacement`;
  writeFileSync(beside, content);
  renameSync(beside, path);
}
