/** Where the two control sockets lie. */

export const defaultSocketPath = '/run/godwit/godwit.ctl';

/** The framed-JSON socket that belongs to a socket of BIRD's protocol: `api.sock` beside it. */
export function apiPathBeside(socketPath: string): string {
  return `${socketPath.slice(0, socketPath.lastIndexOf('/') + 1)}api.sock`;
}
