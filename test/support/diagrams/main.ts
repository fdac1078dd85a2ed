import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEPLOYMENT } from './deployment.ts';
import { type Diagram, draw } from './draw.ts';
import { KEYS } from './keys.ts';
import { REQUEST } from './request.ts';

/** The pictures of the documents that are drawn from data. `npm run docs:diagrams` writes them. */
export const DIAGRAMS: readonly Diagram[] = [REQUEST, DEPLOYMENT, KEYS];

/** Folder of the pictures. */
export const PICTURES = join(import.meta.dirname, '../../../docs');

if (import.meta.main) for (const diagram of DIAGRAMS) writeFileSync(join(PICTURES, diagram.file), draw(diagram));
