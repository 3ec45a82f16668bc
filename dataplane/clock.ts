/** Time as an argument: the dataplane asks, the agent (or a test) answers. */

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /**
   * Calls back once, not before `milliseconds` have passed and never in the same turn.
   * @returns a function that cancels it.
   */
  after(milliseconds: number, callback: () => void): () => void;
}
