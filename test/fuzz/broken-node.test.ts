import t from 'tap';
import { fuzzer } from './broken-node.ts';
import { shortRun } from './harness.ts';

shortRun(t, fuzzer, 250);
