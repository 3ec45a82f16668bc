/**
 * Times as BIRD prints them, in the host's time zone. Its `timeformat … iso long`, `2026-11-27 12:00:01`, is the one that prometheus-bird-exporter
 * and birdwatcher read, and they ask BIRD's users to configure it. Calico's readers take a time for one word, as BIRD's `iso short` is.
 */

/** `iso long`. @param time milliseconds since the epoch */
export function timeText(time: number): string {
  return `${dayText(time)} ${clockText(time)}`;
}

/** BIRD's limit: 20 hours. */
const shortTimeLimit = 20 * 3600 * 1000;

/** `iso short`: the time of the day, or the day of what was long ago. @param now milliseconds since the epoch */
export function shortTimeText(time: number, now: number): string {
  return now - time < shortTimeLimit ? clockText(time) : dayText(time);
}

function dayText(time: number): string {
  const at = new Date(time);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

function clockText(time: number): string {
  const at = new Date(time);
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
