/** Extended communities as BIRD 2 prints them, from the speaker's text. */

/** Of those that the speaker names: the subtype. */
const subtypes: Readonly<Record<string, number>> = { rt: 2, ro: 3, lb: 4 };

/** `(rt, 65001, 12)`, `(unknown 0x4004, 65001, 1290693416)`, `(generic, 0x3010203, 0x1)`. */
export function extendedCommunityText(text: string): string {
  const [kind, ...parts] = text.split(':');
  if (kind === 'generic') {
    const [high, low] = parts.map(Number);
    return fourOctetText(high, low) ?? `(generic, ${hex(high)}, ${hex(low)})`;
  }
  const name = kind.replace('!', '');
  const [administrator, assigned] = parts;
  const subtype = subtypes[name] ?? Number(name);
  const type = administrator.includes('.') ? 0x01 : Number(administrator) > 0xffff ? 0x02 : 0x00;
  const value = name === 'lb' ? floatBits(Number(assigned)) : Number(assigned);
  return formatted((type | (kind === name ? 0 : 0x40)) * 0x100 + subtype, administrator, value);
}

/** RFC 5668 with a number that would fit into two octets: the speaker has no shorter text for it. */
function fourOctetText(high: number, low: number): string | undefined {
  const type = high >>> 24;
  if ((type & ~0x40) !== 0x02) return undefined;
  return formatted(high >>> 16, String(((high & 0xffff) * 0x10000 + (low >>> 16)) >>> 0), low & 0xffff);
}

function formatted(type: number, administrator: string, value: number): string {
  const words: Readonly<Record<number, string>> = { 2: 'rt', 3: 'ro' };
  // Without the form of the administrator, which shows by itself; with the bit that says: not transitive.
  const isNamed = type < 0x300 && words[type & 0xff] !== undefined;
  return `(${isNamed ? words[type & 0xff] : `unknown ${hex(type)}`}, ${administrator}, ${value})`;
}

function hex(number: number): string {
  return `0x${number.toString(16)}`;
}

/** The 32 bits of an IEEE 754 number. */
function floatBits(number: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, number);
  return view.getUint32(0);
}
