/** Adds up vitest's JSON reports and prints one line; status 1 where a test failed, a file did not load, or nothing ran. */

import { readFileSync } from 'node:fs';

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

let passed = 0;
let failed = 0;
let skipped = 0;
const failures: string[] = [];

for (const file of process.argv.slice(2)) {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report;
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests + report.numTodoTests;
  for (const result of report.testResults) {
    const failing = result.assertionResults.filter((test) => test.status === 'failed');
    failures.push(...failing.map((test) => `${result.name}: ${test.fullName}`));
    // A file that fails to load, or whose beforeAll fails, has no failed test of its own.
    if (result.status === 'failed' && failing.length === 0) {
      failed++;
      failures.push(`${result.name}: did not run`);
    }
  }
}

for (const failure of failures) console.log(`FAILED ${failure}`);
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
