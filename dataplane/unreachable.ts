/** Ends a switch over a union: forgetting a member does not compile, and a value from outside the union crashes with itself. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
