import { clientFrames } from './client-frames.ts';

export const fuzzer = clientFrames('node-frames', 'frames of a gRPC client in every order, over three nodes', 3);
