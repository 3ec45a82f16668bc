/** nft, or the kernel through it, said no. Nothing was changed. */
export class NftError extends Error {
  override readonly name = 'NftError';
  /** What nft wrote to its standard error. */
  readonly output: string;

  constructor(message: string, output = '') {
    super(output === '' ? message : `${message}: ${output.trim()}`);
    this.output = output;
  }
}

/** There is no program `nft` here. */
export class NftMissing extends NftError {}
