/**
 * What a runtime is told when a call fails.
 * Implements: CNI spec 1.1.0 §5 (errors); 8 as libcni has it.
 */

export const CniErrorCode = {
  incompatibleVersion: 1,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodingFailure: 6,
  invalidConfig: 7,
  invalidNamespace: 8,
  tryAgainLater: 11,
  notAvailable: 50,
  /** From 100 on a plugin's own: the kernel does not hold what was made. */
  notAsMade: 100,
  /** An error of ours. */
  internal: 999,
} as const;

export type CniErrorCode = (typeof CniErrorCode)[keyof typeof CniErrorCode];

export class CniError extends Error {
  override readonly name = 'CniError';
  readonly code: CniErrorCode;
  readonly details: string | undefined;

  /** @param message short; `details` may be long. */
  constructor(code: CniErrorCode, message: string, details?: string) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** The error as the runtime reads it. @param version of the call, as far as it is known. */
export function formatError({ code, message, details }: CniError, version: string): object {
  return { cniVersion: version, code, msg: message, ...(details !== undefined && { details }) };
}
