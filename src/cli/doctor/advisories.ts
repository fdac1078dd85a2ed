import { compareReleases } from '../../upstream/nodes/node-set.ts';

/** A known flaw of Qdrant releases. */
export interface Advisory {
  /** Identifiers, or the pull request that fixes it. */
  readonly id: string;
  /** The first release with the flaw; absent = all before `fixed`. */
  readonly from?: string;
  /** The first release without it. */
  readonly fixed: string;
  readonly flaw: string;
  /** The reason why callers of the gateway do not reach it; absent = those with the access that the operation needs do. */
  readonly kept?: string;
}

/** Flaws of releases that the gateway can stand before, oldest first. */
export const ADVISORIES: readonly Advisory[] = [
  { id: 'qdrant#3623', fixed: '1.8.0', flaw: 'the name of an uploaded file leaves its folder' },
  { id: 'CVE-2024-3078', fixed: '1.8.3', flaw: 'path traversal in full snapshots' },
  { id: 'CVE-2024-3584, CVE-2024-3829', fixed: '1.9.0', flaw: 'symbolic links in snapshots' },
  {
    id: 'CVE-2026-25628, GHSA-f632-vm87-2m2f',
    from: '1.9.3',
    fixed: '1.15.6',
    flaw: '`/logger` is written with a read-only key',
    kept: 'needs global manage here',
  },
  { id: 'qdrant#8503', fixed: '1.17.1', flaw: 'names of snapshots are not checked' },
  { id: 'GHSA-3v92-w72v-j994', fixed: '1.18.1', flaw: 'an upload fills the disk before it is refused' },
  {
    id: 'qdrant#9254',
    fixed: '1.18.2',
    flaw: 'paths of the dashboard bypass the check of the key',
    kept: 'the gateway decides by its own table of routes',
  },
  { id: 'qdrant#10085', fixed: '1.19.0', flaw: 'path traversal in snapshots on S3' },
  {
    id: 'GHSA-jwrp-6pff-wg9c',
    fixed: '1.19.1',
    flaw: '`.` and `..` are taken for names',
    kept: 'such names are refused here',
  },
  { id: 'GHSA-3gph-6c29-p29v', from: '1.18.0', fixed: '1.19.2', flaw: 'the cluster port (6335) answers strangers' },
];

/** The flaws of a release, `1.19.0`. */
export function advisoriesOf(release: string): readonly Advisory[] {
  return ADVISORIES.filter(
    ({ from, fixed }) =>
      compareReleases(release, fixed) < 0 && (from === undefined || compareReleases(release, from) >= 0),
  );
}
