import { isCertificateName } from '../config/sections/acme-rules.ts';
import { keepDevCerts } from '../dev-certs/kept.ts';
import { trustText } from '../dev-certs/trust.ts';
import { type Output, UsageError } from './output.ts';

const MOST_DAYS = 365;

export interface DevelopmentRequest {
  /** Absolute. */
  readonly folder: string;
  readonly names: readonly string[];
  /** A whole number, as it was given. */
  readonly days: string;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** `certs dev`. Throws `UsageError` for names and days that cannot be used. */
export async function makeForDevelopment(
  { folder, names, days, now }: DevelopmentRequest,
  json: boolean,
  output: Output,
): Promise<void> {
  const wrong = names.find((name) => !isCertificateName(name));
  if (wrong !== undefined)
    throw new UsageError(`--name: \`${wrong}\` is neither a host name in lower case nor an address`);
  const count = /^\d{1,3}$/.test(days) ? Number(days) : 0;
  if (count < 1 || count > MOST_DAYS) throw new UsageError(`--days must be a whole number from 1 to ${MOST_DAYS}`);
  const kept = await keepDevCerts({ folder, names, days: count, now });
  const { ca, caKey, cert, key, made } = kept;
  if (json) {
    output.out(`${JSON.stringify({ ca, ca_key: caKey, cert, key, made })}\n`);
    return;
  }
  const verb = (anew: boolean): string => (anew ? 'made' : 'kept');
  output.out(`${verb(made.ca)} ${ca}\n${verb(made.cert)} ${cert}\nwith ${key}\n\n${trustText(kept)}`);
}
