import { defineConfig } from 'vitest/config';

/** The image's tests are a run of their own, which needs the image: `npm run test:image`. */
// oxlint-disable-next-line import/no-default-export -- vitest reads the default export
export default defineConfig({
  test: {
    include: ['test/image/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
