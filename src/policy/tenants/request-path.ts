import { badRequest } from '../denial.ts';
import { MAX_PATH_LENGTH, type PathStep, parsePath } from './payload-path.ts';
import { TenantRefusal } from './refusal.ts';

const TOO_LONG = badRequest('tenant_form', `a path into the payload is longer than ${MAX_PATH_LENGTH} characters`);

/** Parses a path of a request. Throws a refusal if it is longer than `MAX_PATH_LENGTH`. `undefined` = upstream would refuse it. */
export function requestPath(text: string): readonly PathStep[] | undefined {
  if (text.length > MAX_PATH_LENGTH) throw new TenantRefusal(TOO_LONG);
  return parsePath(text);
}
