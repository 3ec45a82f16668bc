import { expect, test } from 'vitest';
import { extendedCommunityText } from '../../../src/control/bird-communities.ts';

/** As BIRD 2.0.12 printed them: rt, ro, and what it has no name for. */
test.each([
  ['rt:65001:12', '(rt, 65001, 12)'],
  ['ro:10.0.0.1:7', '(ro, 10.0.0.1, 7)'],
  ['rt:4200000001:7', '(rt, 4200000001, 7)'],
  ['!lb:65001:125000000', '(unknown 0x4004, 65001, 1290693416)'],
  ['generic:0x03010203:0x00000001', '(generic, 0x3010203, 0x1)'],
  ['!rt:65001:12', '(unknown 0x4002, 65001, 12)'],
  ['0x09:65001:12', '(unknown 0x9, 65001, 12)'],
  ['generic:0x02020000:0xfde9000c', '(rt, 65001, 12)'],
])('%s is %s', (text, expected) => expect(extendedCommunityText(text)).toBe(expected));
