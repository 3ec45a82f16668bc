/** Bytes as a vector shows them: pairs of hexadecimal digits, blanks as one likes. */

export function fromHex(text: string): Uint8Array {
  const digits = text.replaceAll(/\s/g, '');
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16));
}

export function toHex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** A message as it stands on the wire. */
export function messageHex(type: number, body: string): string {
  const length = 19 + fromHex(body).length;
  return `${'ff'.repeat(16)}${length.toString(16).padStart(4, '0')}${type.toString(16).padStart(2, '0')}${toHex(fromHex(body))}`;
}
