/** The kernel said no to nf_tables. Nothing was changed. */
export class NftError extends Error {
  override readonly name = 'NftError';
  /** The kernel's number, positive, and its name: `EEXIST`; undefined: what it said could not be read. */
  readonly code: number | undefined;
  readonly errno: string | undefined;
  /** The element that was refused, where it was one. */
  readonly element: NftElementName | undefined;

  /** @param message says what was refused: the element, rule, chain or set */
  constructor(message: string, { code, errno, element }: NftRefusal = {}) {
    super(message);
    this.code = code;
    this.errno = errno;
    this.element = element;
  }
}

export interface NftElementName {
  readonly set: string;
  /** In canonical text. */
  readonly key: string;
}

interface NftRefusal {
  readonly code?: number;
  readonly errno?: string;
  readonly element?: NftElementName | undefined;
}

/** This kernel has no nf_tables. */
export class NftMissing extends NftError {}
