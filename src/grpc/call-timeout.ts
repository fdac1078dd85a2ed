const UNITS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 0.001, n: 0.000_001 };

/** The `grpc-timeout` among a call's fields, in milliseconds; `undefined` = absent or malformed. */
export function grpcTimeoutOf(fields: readonly string[]): number | undefined {
  for (let at = 0; at + 1 < fields.length; at += 2) {
    if (fields[at] !== 'grpc-timeout') continue;
    const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(fields[at + 1] ?? '') ?? [];
    return digits === undefined || unit === undefined ? undefined : Number(digits) * (UNITS[unit] ?? 0);
  }
  return undefined;
}
