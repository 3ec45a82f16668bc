/** One line a step: what is being done, and when it is done how long it took. */

import { styleText } from 'node:util';

export interface Progress {
  /** Runs a step; `done` becomes the line's text once it has succeeded. */
  step<T>(title: string, work: () => Promise<T>, done?: (result: T) => string): Promise<T>;
  line(text: string): void;
}

/** @param interactive whether an unfinished line may be overwritten. */
export function printedProgress(write: (text: string) => void, interactive: boolean): Progress {
  return {
    async step(title, work, done) {
      const started = Date.now();
      if (interactive) write(`  … ${title}`);
      try {
        const result = await work();
        const seconds = ((Date.now() - started) / 1000).toFixed(1);
        const text = done?.(result) ?? title;
        write(
          `${interactive ? '\r\u001B[K' : ''}  ${mark('✓', 'green')} ${text} ${styleText('dim', `(${seconds} s)`)}\n`,
        );
        return result;
      } catch (error) {
        write(`${interactive ? '\r\u001B[K' : ''}  ${mark('✗', 'red')} ${title}\n`);
        throw error;
      }
    },
    line: (text) => write(`${text}\n`),
  };
}

function mark(symbol: string, color: 'green' | 'red'): string {
  return styleText(color, symbol);
}
