/*
 * The parts of undici that are used, each by its own file: the package as a whole also loads fetch, WebSocket, caches and
 * mocks, which cost every process a tenth of its start and 8 MB.
 */

declare module 'undici/lib/dispatcher/pool.js' {
  const pool: typeof import('undici').Pool;
  export = pool;
}

declare module 'undici/lib/core/connect.js' {
  const buildConnector: typeof import('undici').buildConnector;
  export = buildConnector;
}

declare module 'undici/lib/core/errors.js' {
  const errors: typeof import('undici').errors;
  export = errors;
}
