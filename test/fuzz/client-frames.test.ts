import t from 'tap';
import { fuzzer } from './client-frames.ts';
import { shortRun } from './harness.ts';

shortRun(t, fuzzer, 400);
