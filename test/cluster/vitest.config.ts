import { defineConfig } from 'vitest/config';

/** The cluster's tests are a run of their own: `npm run test:cluster`. */
// oxlint-disable-next-line import/no-default-export -- vitest reads the default export
export default defineConfig({
  test: {
    include: ['test/cluster/**/*.test.ts'],
    testTimeout: 400_000,
    hookTimeout: 240_000,
    pool: 'forks',
    fileParallelism: false,
    // A step that fails leaves the next ones nothing to stand on.
    bail: 1,
  },
});
