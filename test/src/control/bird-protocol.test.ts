import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  joinWords,
  ReplyFormatter,
  ReplyParser,
  ReplySyntaxError,
  replyCode,
  splitWords,
} from '../../../src/control/bird-protocol.ts';
import type { ReplyCode, ReplyLine } from '../../../src/control/bird-protocol.ts';

const code = fc.constantFrom<ReplyCode[]>(...Object.values(replyCode));
const text = fc.string({ unit: fc.constantFrom('a', ' ', '-', '0', 'é', '\t', '1000-') });

test('whatever the cuts of the stream, the parser reads what the formatter wrote', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(code, text)),
      code,
      fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
      (body, last, cuts) => {
        const lines: ReplyLine[] = [
          ...body.map(([code, text]) => ({ code, text })),
          { code: last, text: 'end', final: true },
        ];
        const formatter = new ReplyFormatter();
        const bytes = Buffer.from(lines.map((line) => formatter.format(line)).join(''));
        const parser = new ReplyParser();
        const received = [];
        for (let at = 0; at < bytes.length;) {
          const size = cuts.next().value as number;
          received.push(...parser.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(received).toEqual(lines.map(({ code, text, final }) => ({ code, text, final: final ?? false })));
      },
    ),
  );
});

test('what is no reply is refused by name', () => {
  expect(() => new ReplyParser().push(Buffer.from('HTTP/1.1 400 Bad Request\n'))).toThrow(
    new ReplySyntaxError("not a reply: 'HTTP/1.1 400 Bad Request'"),
  );
  expect(() => new ReplyParser().push(Buffer.from(' a continuation of nothing\n'))).toThrow(ReplySyntaxError);
  expect(() => new ReplyParser().push(Buffer.alloc(70_000, 'a'))).toThrow(new ReplySyntaxError('a line does not end'));
});

test('whatever the bytes and their cuts: lines, or a ReplySyntaxError', () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom('1007-', '0000 ', ' ', '\n', '99', 'BIRD ', '\u{feff}', '\r\n').map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const parser = new ReplyParser();
      try {
        for (const { code, text } of pieces.flatMap((bytes) => parser.push(bytes))) {
          expect(code).toMatch(/^\d{4}$/);
          expect(text).not.toContain('\n');
        }
      } catch (error) {
        expect(error).toBeInstanceOf(ReplySyntaxError);
      }
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['show  route 10.0.0.0/8 ', ['show', 'route', '10.0.0.0/8']],
  ['show protocols "peer *"', ['show', 'protocols', 'peer *']],
  ["show protocols 'a-b'", ['show', 'protocols', 'a-b']],
  ['show protocols "open', ['show', 'protocols', 'open']],
  ['', []],
])('words of: %s', (line, words) => {
  expect(splitWords(line)).toEqual(words);
  expect(splitWords(joinWords(words))).toEqual(words);
});

test('a line fits into the buffer of birdc, whatever its characters', () => {
  const line = new ReplyFormatter().format({ code: replyCode.why, text: 'é'.repeat(5000) });
  expect(Buffer.byteLength(line)).toBeLessThan(4096);
  expect(line).toMatch(/^1902-é+ \.\.\.\n$/);
});
