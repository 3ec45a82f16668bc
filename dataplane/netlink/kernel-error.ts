/** What goes wrong between us and the kernel: its refusals, and messages that cannot be read. */

/** The kernel said no. `code` and `errno` are its own, `detail` its extended acknowledgement where it gave one. */
export class KernelError extends Error {
  readonly operation: string;
  /** The positive number: 17. */
  readonly code: number;
  /** Its name: `EEXIST`. */
  readonly errno: string;
  /** The kernel's own sentence: "Nexthop has invalid gateway". */
  readonly detail: string | undefined;

  constructor(operation: string, code: number, errno: string, detail?: string) {
    super(`${operation}: ${errno}${detail === undefined ? '' : `: ${detail}`}`);
    this.name = 'KernelError';
    this.operation = operation;
    this.code = code;
    this.errno = errno;
    this.detail = detail;
  }
}

/** Bytes that are no netlink message: a length past its end, a field cut short. Nothing else leaves a decoder. */
export class NetlinkFormatError extends Error {
  constructor(reason: string) {
    super(`malformed netlink message: ${reason}`);
    this.name = 'NetlinkFormatError';
  }
}
