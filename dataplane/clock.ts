/** Time as an argument: the dataplane asks, the agent (or a test) answers. */

/** Asked between two small pieces of long work: something to wait for where the event loop should go on first. */
export type Pause = () => Promise<void> | undefined;

/** For who has no event loop to keep going. */
export const noPause: Pause = () => undefined;

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /**
   * Calls back once, not before `milliseconds` have passed and never in the same turn.
   * @returns a function that cancels it.
   */
  after(milliseconds: number, callback: () => void): () => void;
}
