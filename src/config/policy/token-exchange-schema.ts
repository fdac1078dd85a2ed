import { z } from 'zod';
import { KEY_NAMES } from '../secrets.ts';

const whole = (from: number, to: number) => {
  const form = `must be a whole number from ${from} to ${to}`;
  return z.int({ error: form }).min(from, form).max(to, form);
};

/** The longest life of a minted token, in seconds. */
export const MAX_LIFETIME = 3600;

/** The section `token_exchange`. */
export const tokenExchangeSchema = z
  .strictObject(
    {
      lifetime: whole(10, MAX_LIFETIME)
        .default(300)
        .meta({ description: 'life of a minted token in seconds; it never outlives the credential it was minted for' }),
      per_minute: whole(1, 100_000)
        .default(60)
        .meta({ description: 'most tokens per minute for each key with each subject' }),
      rest_port: z
        .boolean({ error: 'must be true or false' })
        .default(false)
        .meta({ description: 'true: the REST port answers `POST /-/token`, too; false: only the admin port' }),
      keys: z
        .array(z.enum(KEY_NAMES, { error: `must be one of ${KEY_NAMES.join(', ')}` }), {
          error: `must be a list of ${KEY_NAMES.join(', ')}`,
        })
        .default([])
        .meta({ description: 'configured keys that may be exchanged, beside named keys and tokens; unset: none' }),
    },
    { error: 'must be a section with settings; `{}` takes the defaults' },
  )
  .meta({ description: 'exchange of keys and tokens for short tokens (RFC 8693); unset: off' });
