import { configSchema, type Limits } from '../../src/config/schema.ts';

const BY_DEFAULT: Limits = configSchema.parse({}).gateway.limits;

/** `gateway.limits` with their defaults, but for `own`. */
export function limitsOf(own: Partial<Limits>): Limits {
  return { ...BY_DEFAULT, ...own };
}
