/**
 * What can go wrong between us and an API server, as one typed error.
 * Holds: the message is for a person and says what happened, with the server's own words where it gave some.
 */

export type KubeErrorKind =
  /** No connection, or it broke. */
  | 'unreachable'
  /** A connection on which nothing came for too long. */
  | 'silent'
  | 'unauthorized'
  | 'forbidden'
  | 'notFound'
  | 'alreadyExists'
  /** Someone else changed the object, or owns the field. */
  | 'conflict'
  /** The resourceVersion is too old. */
  | 'expired'
  /** The request is not one that this server takes. */
  | 'invalid'
  | 'serverFault'
  /** The answer is not what the API's rules say. */
  | 'garbage';

export interface KubeErrorDetails {
  /** HTTP status, or the code of a Status object. */
  readonly status?: number;
  /** The server's wish, in milliseconds. */
  readonly retryAfter?: number;
}

export class KubeError extends Error {
  override readonly name = 'KubeError';
  readonly kind: KubeErrorKind;
  readonly status: number | undefined;
  readonly retryAfter: number | undefined;

  constructor(kind: KubeErrorKind, message: string, { status, retryAfter }: KubeErrorDetails = {}) {
    super(message);
    this.kind = kind;
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

const kindsByStatus: Readonly<Record<number, { readonly kind: KubeErrorKind; readonly words: string }>> = {
  400: { kind: 'invalid', words: 'Bad Request' },
  401: { kind: 'unauthorized', words: 'Unauthorized' },
  403: { kind: 'forbidden', words: 'Forbidden' },
  404: { kind: 'notFound', words: 'Not Found' },
  409: { kind: 'conflict', words: 'Conflict' },
  410: { kind: 'expired', words: 'Gone' },
  415: { kind: 'invalid', words: 'Unsupported Media Type' },
  422: { kind: 'invalid', words: 'Unprocessable Entity' },
  429: { kind: 'serverFault', words: 'Too Many Requests' },
  500: { kind: 'serverFault', words: 'Internal Server Error' },
  502: { kind: 'serverFault', words: 'Bad Gateway' },
  503: { kind: 'serverFault', words: 'Service Unavailable' },
  504: { kind: 'serverFault', words: 'Gateway Timeout' },
};

/**
 * @param status HTTP status, or the code of a Status object in a watch.
 * @param body what came with it: a Status object, where the server keeps to the API's rules.
 */
export function errorOfStatus(status: number, body: unknown, retryAfter?: number): KubeError {
  const { reason, message } = (typeof body === 'object' && body !== null ? body : {}) as {
    readonly reason?: unknown;
    readonly message?: unknown;
  };
  const known = kindsByStatus[status] ?? { kind: status < 500 ? 'invalid' : 'serverFault', words: '' };
  const kind = reason === 'AlreadyExists' ? 'alreadyExists' : reason === 'Expired' ? 'expired' : known.kind;
  const words = typeof message === 'string' && message !== '' ? `: ${message}` : '';
  const name = known.words === '' ? String(status) : `${status} ${known.words}`;
  return new KubeError(kind, `${name}${words}`, { status, retryAfter });
}

/** The world's error as ours; any other is a fault of the program and is thrown on. */
export function errorOfConnection(error: unknown): KubeError {
  if (error instanceof KubeError) return error;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return new KubeError('unreachable', error.message === '' ? error.code : error.message);
  }
  throw error;
}
