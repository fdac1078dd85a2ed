import type { Flags } from '../../config/load.ts';
import { spaceOf } from '../../explain/diff/changes.ts';
import { accessMatrix } from '../../explain/matrix.ts';
import type { OnlineFlag } from '../../explain/online.ts';
import { partsToSurvey } from '../../explain/parts.ts';
import { leftOut } from '../../explain/space/left-out.ts';
import type { Report } from '../frame/declare.ts';
import { UsageError } from '../output.ts';
import { matrixHtml, matrixMarkdown, matrixText, type NotedMatrix } from './matrix-formats.ts';
import { withSharedKeys } from './shared-keys.ts';
import { stateToAsk } from './state.ts';

/** Flags of `matrix`. */
export interface MatrixFlags {
  readonly policy?: string | undefined;
  readonly format?: string | undefined;
  readonly collection?: readonly string[] | undefined;
  readonly caller?: readonly string[] | undefined;
}

const FORMATS: Readonly<Record<string, (matrix: NotedMatrix) => string>> = {
  text: matrixText,
  markdown: matrixMarkdown,
  html: matrixHtml,
};

/** `matrix`: callers, operations, and where each is allowed. */
export async function showMatrix(flags: Flags & MatrixFlags & OnlineFlag, now: number): Promise<Report> {
  const state = await withSharedKeys(stateToAsk(flags, flags.policy), flags);
  const parts = partsToSurvey(state, now);
  const space = spaceOf([parts], flags.collection);
  const wanted = flags.caller ?? [];
  const principals = space.principals.filter(
    ({ label }) => wanted.length === 0 || wanted.some((part) => label.includes(part)),
  );
  if (principals.length === 0) {
    throw new UsageError(
      `no caller has such a name; there are ${space.principals.map(({ label }) => label).join('; ')}`,
    );
  }
  const matrix = await accessMatrix(parts, { ...space, principals });
  const notes = leftOut([state]);
  const text = (FORMATS[flags.format ?? 'text'] ?? matrixText)({ ...matrix, notes });
  return { json: { ...matrix, ...(notes.length > 0 && { notes }) }, text };
}
