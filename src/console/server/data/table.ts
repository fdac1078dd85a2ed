import { accessRows } from './access.ts';
import { auditRows } from './audit.ts';
import { gatewayRows } from './gateway.ts';
import { keyRows } from './keys.ts';
import { nodeRows } from './nodes.ts';
import { overviewRows } from './overview.ts';
import { policyRows } from './policy.ts';
import type { DataRow } from './row.ts';
import { sessionRows } from './sessions.ts';
import { tokenRows } from './tokens.ts';

/** Every endpoint for data. INVARIANT: what has no row here is 404, and each row says its role. */
export const DATA_ROWS: readonly DataRow[] = [
  ...gatewayRows,
  ...overviewRows,
  ...nodeRows,
  ...tokenRows,
  ...keyRows,
  ...accessRows,
  ...policyRows,
  ...auditRows,
  ...sessionRows,
];
