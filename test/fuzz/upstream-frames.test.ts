import t from 'tap';
import { shortRun } from './harness.ts';
import { fuzzer } from './upstream-frames.ts';

shortRun(t, fuzzer, 400);
