/**
 * A listening unix socket as a file: made with mode 0660 unless told, never taken from a process that still answers.
 * The socket is bound under a name of its own and then linked to its path, so that nobody sees it with other rights and two
 * agents that start together cannot both have it.
 */

import { chmod, link, lstat, mkdir, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import type { Server } from 'node:net';
import { dirname, join } from 'node:path';

export type SocketFileReason = 'inUse' | 'notASocket' | 'notAllowed';

/** The socket cannot be made; the message names the path and the reason. */
export class SocketFileError extends Error {
  override readonly name = 'SocketFileError';
  readonly reason: SocketFileReason;

  constructor(reason: SocketFileReason, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

export interface SocketFile {
  readonly path: string;
  /** Removes the file, if it is still the one we made. The server must be closed by its owner. */
  remove(): Promise<void>;
}

let bound = 0;

/**
 * Listens, the folder of the path included.
 * @throws SocketFileError where another process answers there, the path is something else, or rights are missing.
 */
export async function listenOnSocketFile(server: Server, path: string, mode = 0o660): Promise<SocketFile> {
  const folder = dirname(path);
  const ownName = join(folder, `.${process.pid}.${bound++}`);
  try {
    await mkdir(folder, { recursive: true });
    await refuseIfAnswered(path);
    await rm(ownName, { force: true });
    await listen(server, ownName);
  } catch (error) {
    throw explained(error, path);
  }
  try {
    await chmod(ownName, mode);
    await takePath(ownName, path);
    const { dev, ino } = await lstat(path);
    return { path, remove: () => removeIfSame(path, dev, ino) };
  } catch (error) {
    server.close();
    throw explained(error, path);
  } finally {
    await rm(ownName, { force: true });
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** link(2) fails where the name exists: of two agents that start together, one gets EEXIST and looks again who answers. */
async function takePath(ownName: string, path: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await link(ownName, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt === 3) throw error;
    }
    await refuseIfAnswered(path);
    await rm(path, { force: true });
  }
}

/** @throws SocketFileError unless the path is free, or a socket whose owner is gone. */
async function refuseIfAnswered(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new SocketFileError('notASocket', `${path} exists and is not a socket: it is left alone`);
  const failure = await tryConnect(path);
  if (failure === undefined || failure.code === 'EAGAIN') {
    throw new SocketFileError('inUse', `another agent answers on ${path}`);
  }
  // ECONNREFUSED: bound once, nobody listens. ENOENT: removed in the meantime.
  if (failure.code !== 'ECONNREFUSED' && failure.code !== 'ENOENT') throw failure;
}

function tryConnect(path: string): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
    socket.once('error', resolve);
  });
}

async function removeIfSame(path: string, dev: number, ino: number): Promise<void> {
  const now = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (now?.dev === dev && now.ino === ino) await rm(path);
}

function explained(error: unknown, path: string): Error {
  if (error instanceof SocketFileError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = code === 'EACCES' || code === 'EPERM' ? 'not allowed, root is needed' : message;
  return new SocketFileError('notAllowed', `cannot listen on ${path}: ${reason}`, error);
}
