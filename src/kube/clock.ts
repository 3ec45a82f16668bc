/** Time, for what writes to an API server: an argument, so that a test can own it. */
export interface KubeClock {
  /** Milliseconds that only grow. */
  now(): number;
  /** Milliseconds since the epoch: what is written down. */
  epoch(): number;
  /**
   * Calls back once, when the milliseconds have passed.
   * @returns a function that cancels it.
   */
  after(milliseconds: number, callback: () => void): () => void;
}

/** metav1.Time: whole seconds. */
export function timeText(epoch: number): string {
  return new Date(epoch).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** metav1.MicroTime, which older servers read with exactly six digits. */
export function microTimeText(epoch: number): string {
  return new Date(epoch).toISOString().replace('Z', '000Z');
}
