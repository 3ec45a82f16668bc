/**
 * The attachments on disk: one JSON file each, so that an agent that starts knows what the one before made.
 * Holds: a file is written whole or not at all; one that cannot be read is told and left as it is.
 */

import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import type { AttachmentKey } from '../../cni/request.ts';
import { attachmentSchema, ownerOf, type Attachment } from './attachment.ts';

const temporarySuffix = '.tmp';

export interface AttachmentLedger {
  /** In the order in which they were attached. */
  read(): Promise<{ attachments: readonly Attachment[]; problems: readonly string[] }>;
  /** @throws the system's error: disk full, read-only file system. */
  write(attachment: Attachment): Promise<void>;
  /** One that is not there is no error. @throws the system's error */
  remove(key: AttachmentKey): Promise<void>;
}

export class LedgerFolder implements AttachmentLedger {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async read() {
    await mkdir(this.#folder, { recursive: true, mode: 0o750 });
    const attachments: Attachment[] = [];
    const problems: string[] = [];
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name);
      if (name.endsWith(temporarySuffix)) await rm(path, { force: true });
      else {
        const result = parseAttachment(await readFile(path, 'utf8'));
        if (typeof result === 'string') problems.push(`${path}: ${result}`);
        else attachments.push(result);
      }
    }
    attachments.sort((a, b) => a.attachedAt - b.attachedAt || (ownerOf(a) < ownerOf(b) ? -1 : 1));
    return { attachments, problems };
  }

  async write(attachment: Attachment): Promise<void> {
    const path = this.#pathOf(attachment);
    const temporary = path + temporarySuffix;
    try {
      const file = await open(temporary, 'w', 0o640);
      try {
        await file.writeFile(`${JSON.stringify(attachment)}\n`);
        // A file system may tell only now that it is full.
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async remove(key: AttachmentKey): Promise<void> {
    await rm(this.#pathOf(key), { force: true });
  }

  /** A container's id may be longer than a file's name. */
  #pathOf(key: AttachmentKey): string {
    return join(this.#folder, `${createHash('sha256').update(ownerOf(key)).digest('hex').slice(0, 32)}.json`);
  }
}

/** @returns the reason where the text is none. */
function parseAttachment(text: string): Attachment | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return (error as Error).message;
  }
  const parsed = attachmentSchema.safeParse(json);
  return parsed.success ? parsed.data : z.prettifyError(parsed.error);
}
