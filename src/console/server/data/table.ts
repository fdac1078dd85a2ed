import { gatewayRows } from './gateway.ts';
import type { DataRow } from './row.ts';

/** Every endpoint for data. INVARIANT: what has no row here is 404, and each row says its role. */
export const DATA_ROWS: readonly DataRow[] = [...gatewayRows];
