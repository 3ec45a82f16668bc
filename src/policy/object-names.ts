/**
 * Short names for nftables objects whose identity is long: a selector, a list of ranges, a set of policies.
 * Holds: two identities never share a name, even where someone chose them so that their hashes are equal.
 */

export class ObjectNames {
  readonly #identityByName = new Map<string, string>();

  /** @returns `PREFIX-HASH`: the same as long as the name is kept */
  nameOf(prefix: string, identity: string): string {
    for (let attempt = 0; ; attempt++) {
      const name = `${prefix}-${hash(identity, attempt)}`;
      const owner = this.#identityByName.get(name);
      if (owner !== undefined && owner !== identity) continue;
      this.#identityByName.set(name, identity);
      return name;
    }
  }

  /** Forgets the names that are no longer used. */
  keepOnly(isUsed: (name: string) => boolean): void {
    for (const name of this.#identityByName.keys()) if (!isUsed(name)) this.#identityByName.delete(name);
  }
}

/** FNV-1a, 32 bits, over UTF-16 units. Not against attackers: nameOf() compares in full. */
function hash(text: string, seed: number): string {
  let state = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193);
  return (state >>> 0).toString(16).padStart(8, '0');
}
