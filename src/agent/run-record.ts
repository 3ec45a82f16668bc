/**
 * What one run of the agent leaves for the next: who it was, and the boot it ran in.
 * A speaker that ran before in this boot restarts in the sense of RFC 4724 §4.1; after a reboot nothing was forwarded meanwhile.
 * Holds: a record that cannot be read counts as none, and says why; a record is written whole or not at all.
 */

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const fileName = 'run.json';

const recordSchema = z.object({ bootId: z.string(), nodeName: z.string(), socket: z.string(), startedAt: z.number() });

export type RunRecord = z.infer<typeof recordSchema>;

export interface EarlierRun {
  /** The run before of this same agent (node and control socket), in this same boot. */
  readonly record: RunRecord | undefined;
  /** Why there is none, where a file was there. */
  readonly problem: string | undefined;
}

/** The kernel's own name of this boot. */
export function readBootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

export function readEarlierRun(folder: string, run: Omit<RunRecord, 'startedAt'>): EarlierRun {
  let text: string;
  try {
    text = readFileSync(join(folder, fileName), 'utf8');
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    return { record: undefined, problem: absent ? undefined : String(error) };
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { record: undefined, problem: `${fileName}: ${String(error)}` };
  }
  const parsed = recordSchema.safeParse(json);
  if (!parsed.success) return { record: undefined, problem: `${fileName}: ${z.prettifyError(parsed.error)}` };
  const record = parsed.data;
  const same = record.bootId === run.bootId && record.nodeName === run.nodeName && record.socket === run.socket;
  return { record: same ? record : undefined, problem: undefined };
}

/** @throws the system's error: disk full, read-only file system. */
export function writeRunRecord(folder: string, record: RunRecord): void {
  mkdirSync(folder, { recursive: true, mode: 0o750 });
  const path = join(folder, fileName);
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, `${JSON.stringify(record)}\n`, { mode: 0o640 });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}
