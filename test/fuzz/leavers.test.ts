import t from 'tap';
import { shortRun } from './harness.ts';
import { fuzzer } from './leavers.ts';

shortRun(t, fuzzer, 12);
