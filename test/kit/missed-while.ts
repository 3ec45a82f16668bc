/** Things that have to be so all the time while a test does something. */

/**
 * Asks each question again and again, before, during and after the work.
 * @returns the names of those that were ever answered with no, or with an error, and that.
 */
export async function missedWhile(
  questions: Readonly<Record<string, () => boolean>>,
  work: () => Promise<void>,
  { everyMilliseconds = 100 } = {},
): Promise<string[]> {
  const missed = new Set<string>();
  const look = () => {
    for (const [name, isSo] of Object.entries(questions)) {
      try {
        if (!isSo()) missed.add(name);
      } catch (error) {
        missed.add(`${name}: ${String(error)}`);
      }
    }
  };
  look();
  const watch = setInterval(look, everyMilliseconds);
  try {
    await work();
  } finally {
    clearInterval(watch);
  }
  look();
  return [...missed];
}
