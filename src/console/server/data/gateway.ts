import { type DataRow, ok } from './row.ts';

/** The gateway as a whole: its state, and what is asked of it as on the admin port. */
export const gatewayRows: readonly DataRow[] = [
  { method: 'GET', name: 'status', role: 'read', answer: async ({ source }) => ok(await source.status()) },
  {
    method: 'POST',
    name: 'reload',
    role: 'full',
    answer: async ({ source, act }) => {
      const { ok: done, body } = await source.reload();
      act({ method: 'gateway_reload', result: done ? 'ok' : 'failed' });
      return { status: done ? 200 : 422, body };
    },
  },
];
