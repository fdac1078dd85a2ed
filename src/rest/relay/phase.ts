/**
 * Where a client connection of the relay stands:
 *
 * - `head`: waits for a request, or has a part of its head
 * - `deciding`: what a request's decision depends on is being looked up; nothing of it has been used
 * - `holding`: its body is waited for, to be looked at before anything is sent
 * - `relaying`: it is upstream's; its body and the answer pass
 * - `skipping`: it is answered, the rest of its body is dropped, so that the answer is not lost in a reset
 * - `over`: the socket is closed, closing or handed over
 */
export type Phase = 'head' | 'deciding' | 'holding' | 'relaying' | 'skipping' | 'over';
