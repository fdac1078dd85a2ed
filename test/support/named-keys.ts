import { createHash } from 'node:crypto';
import type { NamedKeySettings } from '../../src/policy/named-key.ts';

/** A key with this text that reads everything, and no limits. */
export function namedKey(id: string, text: string, more: Partial<NamedKeySettings> = {}): NamedKeySettings {
  return {
    id,
    name: `key ${id}`,
    owner: undefined,
    postfix: undefined,
    access: 'r',
    hash: { kind: 'sha256', digest: createHash('sha256').update(text).digest('hex') },
    previous: undefined,
    expiresAt: undefined,
    notBefore: undefined,
    disabled: false,
    networks: undefined,
    ...more,
  };
}
