/** What the checks found: printed as they go, counted at the end. */

import { styleText } from 'node:util';

export class Report {
  private readonly problems: string[] = [];
  private checks = 0;
  private readonly write: (text: string) => void;

  constructor(write: (text: string) => void) {
    this.write = write;
  }

  heading(text: string): void {
    this.write(`\n${styleText('bold', text)}\n`);
  }

  lines(lines: readonly string[]): void {
    for (const line of lines) this.write(`  ${line}\n`);
  }

  /** @param problems what is not as it should be; none: the check passed. */
  verdict(title: string, problems: readonly string[]): void {
    this.checks++;
    if (problems.length === 0) {
      this.write(`  ${styleText('green', '✓')} ${title}\n`);
      return;
    }
    this.write(`  ${styleText('red', '✗')} ${title}\n`);
    const shown = problems.slice(0, 10);
    for (const problem of shown) this.write(`      ${problem}\n`);
    if (shown.length < problems.length) this.write(`      and ${problems.length - shown.length} more\n`);
    this.problems.push(title);
  }

  /** Prints the summary. @returns whether everything passed. */
  summary(seconds: number): boolean {
    const passed = this.checks - this.problems.length;
    const failed = this.problems.length === 0 ? '0 failed' : styleText('red', `${this.problems.length} failed`);
    this.write(`\n${styleText('bold', 'Lab check:')} ${passed} passed, ${failed}, in ${seconds.toFixed(0)} s\n`);
    for (const title of this.problems) this.write(`  ${styleText('red', '✗')} ${title}\n`);
    return this.problems.length === 0;
  }
}
