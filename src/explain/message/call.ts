import { suggest } from '../../config/nearest.ts';
import { GRPC_OPERATIONS } from '../../operations/grpc.ts';
import { MessageFault, messageFromJson } from './from-json.ts';

/**
 * The call of `Points/Search`, `qdrant.Points/Search` or `/qdrant.Points/Search`. Throws `MessageFault`.
 *
 * @param json its message; `undefined` = an empty one
 */
export function callOf(text: string, json: unknown): { readonly path: string; readonly message: Buffer } {
  const bare = text.replace(/^\//, '');
  const names = [bare, `qdrant.${bare}`];
  const operation = GRPC_OPERATIONS.find(({ name }) => names.includes(name));
  if (!operation) {
    const known = GRPC_OPERATIONS.map(({ name }) => name.replace(/^qdrant\./, ''));
    const meant = /^did you mean [^?]*\?/.exec(suggest(bare, known))?.[0];
    throw new MessageFault(`unknown gRPC method, ${meant ?? 'the form is Points/Search'}`);
  }
  return { path: operation.path, message: json === undefined ? Buffer.alloc(0) : messageFromJson(operation, json) };
}
