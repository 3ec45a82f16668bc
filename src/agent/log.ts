/** The agent's log: JSON lines on stdout (pino). Passwords are never given to it; routes are not logged one by one. */

import { pino } from 'pino';
import type { LogLevel } from '../cli/agent-flags.ts';

export type Log = ReturnType<typeof createLog>;

export function createLog(level: LogLevel, nodeName: string) {
  return pino({ level, base: { node: nodeName }, timestamp: pino.stdTimeFunctions.isoTime });
}
