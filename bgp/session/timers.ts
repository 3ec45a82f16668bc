/**
 * The timers of one session, as deadlines: the time at which each ends, Infinity where it does not run.
 * Implements: RFC 4271 §10 (jitter), §8.1.1 (DampPeerOscillations: how long to hold back).
 * Holds: restarting a timer is one assignment; nobody has to be told.
 */

export type TimerName = 'connectRetry' | 'idleHold' | 'hold' | 'keepalive' | 'sendHold';

/** Milliseconds on the speaker's clock. */
export class SessionTimers implements Record<TimerName, number> {
  connectRetry = Infinity;
  idleHold = Infinity;
  hold = Infinity;
  keepalive = Infinity;
  sendHold = Infinity;

  /** The earliest deadline. */
  next(): number {
    return Math.min(this.connectRetry, this.idleHold, this.hold, this.keepalive, this.sendHold);
  }

  /** A timer whose time has come, and stops it; undefined where none has. */
  takeExpired(now: number): TimerName | undefined {
    for (const name of names) {
      if (this[name] > now) continue;
      this[name] = Infinity;
      return name;
    }
    return undefined;
  }

  stopAll(): void {
    for (const name of names) this[name] = Infinity;
  }
}

/** Keepalives first: a late look at the clock must not cost a session that could still speak. */
const names: readonly TimerName[] = ['keepalive', 'hold', 'sendHold', 'connectRetry', 'idleHold'];

/** RFC 4271 §10: 0.75 to 1 of the time. @param random 0 <= random < 1 */
export function jittered(milliseconds: number, random: number): number {
  return milliseconds * (0.75 + random * 0.25);
}

/**
 * How long to wait after so many failures in a row, in milliseconds: a second, then twice as long each time.
 * @param failures at least 1
 */
export function backoff(failures: number, limitSeconds: number): number {
  return Math.min(limitSeconds, 2 ** Math.min(failures - 1, 16)) * 1000;
}

/** Damping forgets after this: a session that held so long was not an oscillation. */
export const stableAfterSeconds = 60;

/** The longest pause of damping. */
export const longestIdleHoldSeconds = 60;

/** RFC 4271 §8.2.2: "a large value", 4 minutes is its suggestion. */
export const largeHoldTimeSeconds = 240;

/** RFC 9687 §3: the greater of 8 minutes and twice the hold time, in seconds. */
export function sendHoldTimeSeconds(holdTimeSeconds: number): number {
  return Math.max(480, holdTimeSeconds * 2);
}
