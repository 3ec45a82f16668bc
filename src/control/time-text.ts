/** Times as BIRD 2 prints them, in the host's time zone. */

/** Older than this, a table shows the day instead of the hour. */
const shortLimit = 20 * 3600 * 1000;

/** `12:00:01.123`, or `2026-11-25` for what is more than 20 hours ago. Milliseconds since the epoch. */
export function shortTime(time: number, now: number): string {
  const at = new Date(time);
  return now - time < shortLimit ? clock(at) : day(at);
}

/** `2026-11-27 12:00:01.123` */
export function longTime(time: number): string {
  const at = new Date(time);
  return `${day(at)} ${clock(at)}`;
}

function clock(at: Date): string {
  const hours = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  return `${hours}.${String(at.getMilliseconds()).padStart(3, '0')}`;
}

function day(at: Date): string {
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
