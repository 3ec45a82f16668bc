/**
 * What `npm run build` makes of the sources: the program, a file for each command that is loaded only for it. A tree of modules as they are
 * would cost each start a third of a second and 8 MiB (docs/adr/0017-bundle.md).
 */

import { defineConfig } from 'rolldown';

// oxlint-disable-next-line import/no-default-export -- rolldown reads the default export
export default defineConfig({
  cwd: import.meta.dirname,
  // The lab starts the second as a program of its own.
  input: { 'src/main': 'src/main.ts', 'src/lab/workload': 'src/lab/workload.ts' },
  platform: 'node',
  // Machine code; and what looks for files of its own beside it.
  external: ['koffi', '@kubernetes/client-node'],
  output: { dir: 'dist', cleanDir: true, entryFileNames: '[name].js', chunkFileNames: 'src/[name].js' },
});
