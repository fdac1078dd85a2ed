import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The release of the gateway, as its package says. */
export function gatewayVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(join(import.meta.dirname, '../package.json'), 'utf8'));
  const version = typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : '';
  return typeof version === 'string' ? version : '';
}
