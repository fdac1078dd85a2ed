import { readFileSync } from 'node:fs';
import type { TokenRecipe } from './forge.ts';

/** One answer of a secured Qdrant. */
export interface RecordedCase {
  /** A sentence. */
  readonly case: string;
  readonly over: 'rest' | 'grpc';
  /** Only where it is not the usual one. */
  readonly target?: string;
  /** Header lines in the order sent, one character per byte; by default the token as Bearer. */
  readonly send?: readonly string[];
  /** What `{token}` in a header line stands for. */
  readonly token?: TokenRecipe;
  /**
   * `grants manage`, `grants read`, `grants everything` (either of these), the collections it shows, or status (REST)
   * or code (gRPC) and text of the refusal. Given by a server with all three keys.
   */
  readonly answer: RecordedAnswer;
  /** The answer of a server without `alt_api_key`, where it differs. */
  readonly oneKey?: RecordedAnswer;
}

export type RecordedAnswer = string | readonly string[];

interface RecordedFile {
  readonly keys: Readonly<Record<'main' | 'alt' | 'read', string>>;
  readonly collections: readonly string[];
  readonly cases: readonly RecordedCase[];
}

const file = new URL('../cases/credentials.json', import.meta.url);

/** The recorded cases, the keys of the server and the collections it holds. */
export const RECORDED = JSON.parse(readFileSync(file, 'utf8')) as RecordedFile;

/** Puts the real keys where a text names them. */
export function withKeys(text: string): string {
  return text.replace(/\{(main|alt|read)\}/g, (_, name: 'main' | 'alt' | 'read') => RECORDED.keys[name]);
}
