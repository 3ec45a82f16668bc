/**
 * Settings of the kernel that agents have changed on this host in this boot, with the value of before: for `godwit cleanup`.
 * Holds: the first change counts; a file of another boot, or one that cannot be read, says that nothing was changed.
 */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { ChangedSysctl } from '../../dataplane/index.ts';

const fileName = 'settings.json';

const schema = z.object({
  bootId: z.string(),
  changed: z.array(z.object({ name: z.string(), before: z.string(), now: z.string() })),
});

export function readChangedSettings(folder: string, bootId: string): readonly ChangedSysctl[] {
  try {
    const record = schema.parse(JSON.parse(readFileSync(join(folder, fileName), 'utf8')));
    return record.bootId === bootId ? record.changed : [];
  } catch {
    return [];
  }
}

/** @throws the system's error: disk full, read-only file system. */
export function noteChangedSettings(folder: string, bootId: string, changed: readonly ChangedSysctl[]): void {
  const known = readChangedSettings(folder, bootId);
  const news = changed.filter(({ name }) => !known.some((before) => before.name === name));
  if (news.length === 0) return;
  mkdirSync(folder, { recursive: true, mode: 0o750 });
  const path = join(folder, fileName);
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify({ bootId, changed: [...known, ...news] })}\n`, { mode: 0o640 });
  renameSync(temporary, path);
}
