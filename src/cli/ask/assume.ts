import type { State } from '../../config/state.ts';
import { type Assumptions, assumed } from '../../explain/assumptions.ts';
import { readRevocationFile } from '../../revocation/file-source.ts';
import { foldEntries } from '../../revocation/fold.ts';
import { UsageError } from '../output.ts';

/** Flags for facts of the running system. */
export interface AssumeFlags {
  readonly release?: string | undefined;
  readonly exists?: readonly string[] | undefined;
  readonly noCollections?: boolean | undefined;
  readonly idf?: readonly string[] | undefined;
  readonly from?: string | undefined;
}

/** The assumptions of a question. Revocations are those of the configured file. Throws `UsageError`. */
export function assumptionsOf(flags: AssumeFlags, state: State, now: number): Assumptions {
  const { release, exists, noCollections, idf, from } = flags;
  if (release !== undefined && !/^v?\d+\.\d+\.\d+$/.test(release))
    throw new UsageError('--release must be like 1.19.2');
  if (from !== undefined && !/^[0-9a-fA-F.:]{2,45}$/.test(from)) throw new UsageError('--from must be an address');
  const { file } = state.config.gateway.revocation;
  return assumed({
    now,
    ...(release !== undefined && { release: release.replace(/^v/, '') }),
    ...((exists || noCollections) && { collections: exists ?? [] }),
    ...(idf && { idfVectors: new Set(idf) }),
    ...(from !== undefined && { remote: from }),
    ...(file !== null && { revocations: foldEntries(readRevocationFile(file), Math.floor(now / 1000)) }),
  });
}
