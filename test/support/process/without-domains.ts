import { syncBuiltinESMExports } from 'node:module';

/*
 * Loaded before a test file by the runner: tap gets no hook of asynchronous resources. It would follow every promise and
 * timer of the process, gateway included, for a tenth of the processor time, in order to name the test that an uncaught
 * error belongs to. Without it such an error ends the file, and the runner reports it with its stack.
 */

const none = { enable: () => none, disable: () => none };
const hooks = process.getBuiltinModule('node:async_hooks');
hooks.createHook = () => none;
syncBuiltinESMExports();
