import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatPrefix, maskAddress, prefixCovers, type Prefix } from '../../../bgp/ip.ts';
import { PrefixMap } from '../../../src/topology/prefix-map.ts';

// Few different bits, so that prefixes meet; the first bit too, where a 32-bit number turns negative.
const octet = fc.constantFrom(0, 1, 128, 255);
const prefix = fc
  .constantFrom(4, 16)
  .chain((size) =>
    fc.tuple(fc.array(octet, { minLength: size, maxLength: size }), fc.integer({ min: 0, max: size * 8 })),
  )
  .map(([octets, length]): Prefix => {
    const bytes = maskAddress(Uint8Array.from(octets), length);
    return { family: bytes.length === 4 ? 'ipv4' : 'ipv6', bytes, length };
  });

test('covering() finds the longest of the prefixes that cover the one asked for, get() the very one', () => {
  fc.assert(
    fc.property(fc.array(prefix, { maxLength: 20 }), prefix, (entries, asked) => {
      const map = new PrefixMap<string>();
      for (const entry of entries) map.set(entry, formatPrefix(entry));
      const covering = entries.filter((entry) => entry.family === asked.family && prefixCovers(entry, asked));
      const longest = covering.sort((a, b) => b.length - a.length).at(0);
      expect(map.covering(asked.bytes, asked.length)).toBe(longest && formatPrefix(longest));
      for (const entry of entries) expect(map.get(entry)).toBe(formatPrefix(entry));
    }),
    { numRuns: 500 },
  );
});
