/** The end of a switch over a union: a case that was forgotten does not compile; a value that cannot be is a crash. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
