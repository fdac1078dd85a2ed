import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Json, parseJson, writeJson } from '../fake-qdrant/json.ts';

const VENV = join(import.meta.dirname, '../../../.runtime/clients/bin/python');
const PROGRAM = join(import.meta.dirname, 'engine.py');

/** The Python that has Qdrant's engine (`qdrant-edge-py`); `undefined` = there is none. */
export function pythonWithEngine(): string | undefined {
  try {
    execFileSync(VENV, ['-c', 'import qdrant_edge'], { stdio: 'ignore' });
    return VENV;
  } catch {
    return undefined;
  }
}

/** What came of an operation: its answer, or the text of its fault. */
export type Answer = { readonly ok: Json } | { readonly error: string };

/** Qdrant's engine in a process of its own. Operations are carried out one after the other. */
export interface Engine {
  readonly ask: (op: string, body: Json) => Promise<Answer>;
  readonly close: () => Promise<void>;
}

/** Starts the engine; an answer is missing (rejects) where its process has ended. */
export function startEngine(python: string): Engine {
  const child = spawn(python, [PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    ask: async (op, body) => {
      child.stdin.write(`${writeJson({ op, body })}\n`);
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`the engine has ended at ${op}: ${writeJson(body)}`);
      return parseJson(value) as unknown as Answer;
    },
    close: async () => {
      child.stdin.end();
      await ended;
    },
  };
}
