/** What every parser of commands throws. */

/** The command was not understood. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** The one of the words that begins so. @throws CommandError */
export function wordOf<T extends string>(text: string, words: readonly T[], after: string): T {
  const found = words.filter((word) => word === text || (text !== '' && word.startsWith(text)));
  const [only] = found.includes(text as T) ? [text as T] : found;
  if (only !== undefined && (only === text || found.length === 1)) return only;
  throw new CommandError(`syntax error, ${after} knows ${words.join(', ')}, not '${text}'`);
}

/** @throws CommandError where words are left. */
export function noMore<T>(rest: readonly string[], value: T): T {
  if (rest.length === 0) return value;
  throw new CommandError(`syntax error, unexpected '${rest[0]}'`);
}
