/** Who may change something over the control socket: root, and the user that the agent runs as. Everyone else who may open it reads. */

import type { Socket } from 'node:net';
import { KernelError, peerUser } from '../../dataplane/index.ts';

export function isOperator(client: Socket): boolean {
  // Node keeps the descriptor in the private handle.
  const handle: unknown = Reflect.get(client, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : undefined;
  if (typeof fd !== 'number' || fd < 0) return false;
  try {
    const user = peerUser(fd);
    return user === 0 || user === process.getuid?.();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    return false;
  }
}
