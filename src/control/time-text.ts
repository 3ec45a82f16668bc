/**
 * Times as BIRD prints them with its `timeformat … iso long`, in the host's time zone: `2026-11-27 12:00:01`. That is the one of its formats
 * that prometheus-bird-exporter and birdwatcher read, and they ask BIRD's users to configure it.
 */

/** @param time milliseconds since the epoch */
export function timeText(time: number): string {
  const at = new Date(time);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
