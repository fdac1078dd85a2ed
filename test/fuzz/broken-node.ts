import { upstreamFrames } from './upstream-frames.ts';

export const fuzzer = upstreamFrames('broken-node', 'frames and garbage of one of two nodes', 2);
