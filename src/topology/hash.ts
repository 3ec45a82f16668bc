/**
 * A short fingerprint of text: equal texts give equal fingerprints, different ones practically never do (64 bits).
 * Leaves out: any promise against an opponent. It keys filters and names, and guards nothing.
 */

/** @returns two 32-bit numbers, each a full avalanche over the whole text. */
function hashWords(text: string): readonly [number, number] {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x9e3779b1);
    b = Math.imul(b ^ unit, 0x5f356495);
  }
  a = Math.imul(a ^ (a >>> 16), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
  b = Math.imul(b ^ (b >>> 16), 0x85ebca6b) ^ Math.imul(a ^ (a >>> 13), 0xc2b2ae35);
  return [a >>> 0, b >>> 0];
}

/** @returns 16 hexadecimal digits. */
export function fingerprint(text: string): string {
  return hashWords(text)
    .map((word) => word.toString(16).padStart(8, '0'))
    .join('');
}

/** @returns a number of 32 bits, never zero. */
export function nonZeroHash32(text: string): number {
  const [a, b] = hashWords(text);
  return a || b || 1;
}
