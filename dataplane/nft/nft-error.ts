/** The kernel said no to nf_tables. Nothing was changed. */
export class NftError extends Error {
  override readonly name = 'NftError';
  /** The kernel's number, positive, and its name: `EEXIST`; undefined: what it said could not be read. */
  readonly code: number | undefined;
  readonly errno: string | undefined;

  /** @param message says what was refused: the element, rule, chain or set */
  constructor(message: string, { code, errno }: { readonly code?: number; readonly errno?: string } = {}) {
    super(message);
    this.code = code;
    this.errno = errno;
  }
}

/** This kernel has no nf_tables. */
export class NftMissing extends NftError {}
